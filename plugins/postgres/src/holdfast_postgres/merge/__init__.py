"""Selected tables into a database that holds more: restored beside it, then put in by one transaction of the target."""

from holdfast_postgres.merge.run import Merge, preview

__all__ = ["Merge", "preview"]
