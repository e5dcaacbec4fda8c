"""Selections: what --select and --exclude mean, for a backup and for a restore."""

from holdfast_postgres.selection.patterns import Selection, nothing_left

__all__ = ["Selection", "nothing_left"]
