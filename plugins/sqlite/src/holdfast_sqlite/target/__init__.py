"""The target of a restore.

The file and how another one takes its place (`file`), or is copied into it where none can (`in_place`); where it lies
and what that place allows (`place`); and whom it belongs to (`attributes`).
"""
