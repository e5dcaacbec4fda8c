"""Kinds of objects that a backup or a restore leaves out, as pg_dump's archives call them."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import msgspec

from holdfast.api import ObjectKind, UsageError, quote_name
from holdfast_postgres.hints import Hints

if TYPE_CHECKING:
    from holdfast_postgres.formats.archive import Entry

ENTRY_KINDS: dict[str, frozenset[str]] = {
    ObjectKind.COMMENT: frozenset({"COMMENT"}),
    ObjectKind.EVENT_TRIGGER: frozenset({"EVENT TRIGGER"}),
    ObjectKind.EXTENSION: frozenset({"EXTENSION"}),
    ObjectKind.FOREIGN_KEY: frozenset({"FK CONSTRAINT"}),
    ObjectKind.GRANT: frozenset({"ACL", "DEFAULT ACL"}),
    # A table with row security and without a policy would show no rows at all.
    ObjectKind.POLICY: frozenset({"POLICY", "ROW SECURITY"}),
    ObjectKind.PUBLICATION: frozenset({"PUBLICATION", "PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA"}),
    ObjectKind.ROUTINE: frozenset({"FUNCTION", "PROCEDURE", "AGGREGATE"}),
    ObjectKind.RULE: frozenset({"RULE"}),
    ObjectKind.SECURITY_LABEL: frozenset({"SECURITY LABEL"}),
    ObjectKind.STATISTICS: frozenset({"STATISTICS"}),
    ObjectKind.SUBSCRIPTION: frozenset({"SUBSCRIPTION", "SUBSCRIPTION TABLE"}),
    ObjectKind.TRIGGER: frozenset({"TRIGGER"}),
    ObjectKind.USER_MAPPING: frozenset({"USER MAPPING"}),
    ObjectKind.VIEW: frozenset({"VIEW", "MATERIALIZED VIEW", "MATERIALIZED VIEW DATA"}),
}
# What pg_dump itself can leave out; the rest stays in the archive, and no restore takes it.
PG_DUMP_OPTIONS = {
    ObjectKind.COMMENT: "--no-comments",
    ObjectKind.GRANT: "--no-privileges",
    ObjectKind.PUBLICATION: "--no-publications",
    ObjectKind.SECURITY_LABEL: "--no-security-labels",
    ObjectKind.SUBSCRIPTION: "--no-subscriptions",
}
_SAYINGS = {"COMMENT", "ACL", "SECURITY LABEL"}
_TABLES = {"TABLE", "FOREIGN TABLE", "TABLE DATA"}
_REQUIREMENTS = {ObjectKind.EXTENSION: "extensions", ObjectKind.GRANT: "grantees", ObjectKind.POLICY: "policy_roles"}


def without_kinds(entries: "Sequence[Entry]", kinds: Collection[str]) -> "tuple[list[Entry], list[str]]":
    """The entries without those of some kinds, and for messages what needs them and is therefore left out too.

    What uses an extension stays, since the target may have it; a table that needs what is left out is a `UsageError`.
    """
    unwanted = {entry for kind in kinds for entry in ENTRY_KINDS.get(kind, ())}
    if not unwanted:
        return list(entries), []
    from holdfast_postgres.selection.archive_entries import configuration, with_needing

    omitted = {entry.id for entry in entries if entry.kind in unwanted}
    extensions = {entry.id for entry in entries if entry.kind == "EXTENSION" and entry.id in omitted}
    needing = with_needing(omitted - extensions, entries) - omitted
    needing |= {entry.id for entry in entries if entry.kind in _SAYINGS and not extensions.isdisjoint(entry.needs)}
    if ObjectKind.EXTENSION in kinds:
        omitted |= configuration(entries)
    for entry in entries:
        if entry.id in needing and entry.kind in _TABLES:
            raise UsageError(
                f"{entry.kind.lower()} {quote_name(f'{entry.schema}.{entry.tag}')} needs what is left out by its kind",
                hint="exclude the table too, or do not leave this kind out",
            )
    kept = [entry for entry in entries if entry.id not in omitted and entry.id not in needing]
    return kept, [entry.label for entry in entries if entry.id in needing and entry.kind not in _SAYINGS]


def hints_without(hints: Hints, kinds: Collection[str]) -> Hints:
    """The hints of what a backup needs, without what objects of these kinds would need."""
    changes: dict[str, list[str]] = {field: [] for kind, field in _REQUIREMENTS.items() if kind in kinds}
    return msgspec.structs.replace(hints, **changes)
