"""Kinds of objects that a backup or a restore leaves out, as statements of a script call them."""

from holdfast.api import ObjectKind

STATEMENTS: dict[str, frozenset[str]] = {
    ObjectKind.EVENT: frozenset({"event"}),
    ObjectKind.FOREIGN_KEY: frozenset(),  # clauses of tables
    ObjectKind.ROUTINE: frozenset({"function", "procedure", "package", "package body", "library"}),
    ObjectKind.TRIGGER: frozenset({"trigger"}),
    ObjectKind.VIEW: frozenset({"view"}),
}
