"""The restore: definitions, then rows in parallel, then indexes and constraints; what fails is undone."""

from holdfast_postgres import driver  # noqa: F401 (first: it says what is missing)
from holdfast_postgres.restore.session import PostgresRestore, open_restore

__all__ = ["PostgresRestore", "open_restore"]
