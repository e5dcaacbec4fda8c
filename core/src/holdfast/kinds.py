"""Kinds of objects that a backup or a restore can leave out: one vocabulary for all engines."""

from collections.abc import Collection, Iterable
from enum import StrEnum

from holdfast.errors import UsageError


class ObjectKind(StrEnum):
    """What can be left out; an engine lists those that it has, and each is equal to its text."""

    COMMENT = "comment"  #: comments on anything
    EVENT = "event"  #: jobs of the server's own scheduler
    EVENT_TRIGGER = "event_trigger"  #: triggers on DDL
    EXTENSION = "extension"  #: extensions, with the rows of their own tables; what uses them stays
    FOREIGN_KEY = "foreign_key"  #: references between tables
    GRANT = "grant"  #: GRANT and REVOKE
    POLICY = "policy"  #: row security
    PUBLICATION = "publication"  #: what a server publishes
    ROUTINE = "routine"  #: functions and procedures
    RULE = "rule"  #: rewrite rules
    SECURITY_LABEL = "security_label"  #: labels of security providers
    STATISTICS = "statistics"  #: extended statistics
    SUBSCRIPTION = "subscription"  #: what a server subscribes to
    TRIGGER = "trigger"  #: triggers on tables and views
    USER_MAPPING = "user_mapping"  #: how roles log in elsewhere
    VIEW = "view"  #: views, also materialized ones


def check_kinds(engine: str, known: Collection[str], wanted: Iterable[str]) -> None:
    """Refuse kinds that the engine cannot leave out, instead of quietly restoring them."""
    for kind in wanted:
        if kind not in known:
            there = ", ".join(sorted(known)) or "none"
            raise UsageError(f"engine '{engine}' cannot leave objects of kind '{kind}' out (it can: {there})")
