"""Scratch databases for drills: marked, locked, checked, and dropped whatever happens."""

from holdfast_postgres import driver  # noqa: F401 (first: it says what is missing)
from holdfast_postgres.scratch.database import PostgresScratch, list_databases, open_scratch

__all__ = ["PostgresScratch", "list_databases", "open_scratch"]
