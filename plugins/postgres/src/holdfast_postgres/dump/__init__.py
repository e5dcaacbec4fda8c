"""The dump: pg_dump for definitions and small tables, COPY in parallel parts for large ones, in one snapshot."""

from holdfast_postgres import driver  # noqa: F401 (first: it says what is missing)
from holdfast_postgres.dump.session import PostgresDump, open_dump

__all__ = ["PostgresDump", "open_dump"]
