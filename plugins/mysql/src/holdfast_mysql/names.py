"""The names that are fixed: streams of a backup, and databases that are the server's own."""

SCHEMA, OBJECTS, BROKEN, SCRIPT, ACCOUNTS = "schema", "objects", "broken", "script", "accounts"
SYSTEM = frozenset({"information_schema", "performance_schema", "mysql", "sys"})
MARKER = "holdfast_drill"  # the table that tells a scratch database from everything else
