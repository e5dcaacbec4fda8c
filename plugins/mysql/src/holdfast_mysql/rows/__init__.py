"""Rows as the server sends them: divided by key, copied from the wire, taken apart again, digested, decoded by hand."""
