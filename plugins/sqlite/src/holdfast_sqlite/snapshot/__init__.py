"""One moment of a source that others may be writing to, without changing it.

Child processes (`holdfast_sqlite.child`) alone import what is in here: whoever opens a source in the caller's process
would drop the caller's own locks on it. Standard library only.
"""
