"""The SQLite engine of Holdfast: consistent images of databases in use, and restores that cannot lose data.

Imports nothing: processes that run `holdfast_sqlite.child` pay for this package too. The hooks are in `plugin`.
"""
