"""The proof of a backup: rows, sequences, large objects and definitions, digested by the server."""
