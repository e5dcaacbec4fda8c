"""Encryption in the age format (C2SP age, version 1), bulk in several threads."""
