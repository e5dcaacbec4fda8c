"""Virtual tables: how they are declared, and which tables belong to them.

SQLite's `PRAGMA table_list` calls every table a shadow table whose name a module *could* have made, so that the
user's own table of an external content is one. What a table's options declare is known here instead.
Imports nothing: child processes need `ownership` alone.
"""
