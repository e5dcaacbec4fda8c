"""The proof of a database: its content object by object (`content`), as a manifest records it (`record`).

Imports nothing: child processes need `content` alone.
"""
