"""Definitions of a database that comes back under another name, with what cannot follow it told of."""

import logging
from collections.abc import Collection
from dataclasses import replace

from holdfast.api import quote_name
from holdfast_mysql.definitions.renaming import ambiguous_refs, names_in_strings, rename_database
from holdfast_mysql.definitions.script import Statement

log = logging.getLogger("holdfast.mysql")


def renamed(statement: Statement, *, old: str, new: str, objects: Collection[str]) -> Statement:
    """A definition whose references to its own database follow to the new name."""
    for reference in ambiguous_refs(statement, old=old, objects=objects):
        log.warning(
            "%s %s names %s, which is left as it is because it can be a column there: if it is meant to be in "
            "database %s, correct the definition by hand",
            statement.kind, quote_name(statement.name), quote_name(reference), quote_name(old),
        )  # fmt: skip
    if names_in_strings(statement, old=old):
        log.warning("%s %s runs SQL out of a string that names database %s: it stays as it is",
                    statement.kind, quote_name(statement.name), quote_name(old))  # fmt: skip
    return replace(statement, body=rename_database(statement, old=old, new=new, objects=objects))
