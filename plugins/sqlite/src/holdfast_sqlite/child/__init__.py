"""What runs in processes of its own: everything that opens a database which others may have open.

Closing any descriptor of a database file drops all locks that the process holds on it (POSIX, fcntl(2)): in the
caller's process that would be those of the caller's own connections. So source and target are opened in here, with the
help of `holdfast_sqlite.snapshot`, and nowhere else. Standard library only, and little of it: such a process takes
11 MB.

The parent sends lines of text to standard input: first the task as JSON, then commands. At its end of file the
process ends, so that none outlives its parent. Pages go to standard output, messages, JSON lines with `event`, to
the descriptor that the task names. The process always ends without closing its connections to a source, since
SQLite would then merge the write-ahead log: a source is never changed.
"""
