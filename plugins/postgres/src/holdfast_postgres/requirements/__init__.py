"""What a backup or a drill needs of a server, and whether it is there: what `holdfast check` shows."""

from holdfast_postgres import driver  # noqa: F401 (first: it says what is missing)
from holdfast_postgres.requirements.server import requirements

__all__ = ["requirements"]
