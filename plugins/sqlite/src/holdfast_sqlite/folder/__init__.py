"""Several databases at once: which files of a folder are databases (`listing`), found by name (`pattern`).

Nothing here opens a file: a child process does, which looks at the first bytes of each (`holdfast_sqlite.child.kinds`).
"""
