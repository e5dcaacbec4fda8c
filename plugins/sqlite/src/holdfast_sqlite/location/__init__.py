"""Where a database is: from a URL to the path of a file (`path`), and from a path to SQLite's URI (`uri`).

Imports nothing: child processes need `uri` alone.
"""
