"""The database that is restored into: checked, made or emptied, and put in its place."""

from holdfast_postgres.target.restore_target import RestoreTarget

__all__ = ["RestoreTarget"]
