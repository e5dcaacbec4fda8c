"""What the server says of views, routines, triggers and events that it has made."""

import logging
import re
from dataclasses import replace

from holdfast.api import quote_name
from holdfast_mysql.definitions.null_tests import without_repeated_tests
from holdfast_mysql.definitions.renaming import rename_database
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.restore.server_warnings import NO_DEFINER, definition_in, judge, read_warnings
from holdfast_mysql.session import Session

log = logging.getLogger("holdfast.mysql")

# An event whose time has passed is made disabled, dropped at once, or not changed.
_DISABLED = 1544
_SCHEDULER = re.compile(r"Event scheduler is switched off")  # of no number of its own in MariaDB
# Warnings that are told of in words of our own.
_TOLD = frozenset({_DISABLED, 1588, 1589, NO_DEFINER})


class ObjectWarnings:
    """Judges the warnings of each object; what concerns several is told at the end."""

    def __init__(self, session: Session, database: str, *, strict: bool, disable_events: bool) -> None:
        self._session = session
        self._database = database
        self._strict = strict
        self._disable_events = disable_events
        self._idle = False
        self._orphans: dict[str, list[str]] = {}  # objects by the server's words for their definer, who is missing

    def judge(self, statement: Statement, count: int) -> None:
        """Look at the warnings of the statement that made an object."""
        warnings = read_warnings(self._session) if count else []
        for warning in warnings:
            if _SCHEDULER.match(warning.text):
                self._idle = not self._disable_events
            if warning.code == NO_DEFINER:
                self._orphans.setdefault(warning.text, []).append(f"{statement.kind} {quote_name(statement.name)}")
            if warning.code == _DISABLED and not self._disable_events:
                log.warning("event %s is made, but disabled, because its time has passed", quote_name(statement.name))
        judge(
            self._session, statement.kind, statement.name,
            [warning for warning in warnings if warning.code not in _TOLD and not _SCHEDULER.match(warning.text)],
            unchanged=lambda: not self._strict or self._is_there_as(statement),
        )  # fmt: skip

    def _is_there_as(self, statement: Statement) -> bool:
        """Whether the server shows an object as it was told to make it, in whatever database it names."""
        body = definition_in(self._session, statement.kind, statement.name)
        bodies = (replace(statement, body=text) for text in (body, statement.body))
        made, wanted = (rename_database(each, old=self._database, new="", objects=[statement.name]) for each in bodies)
        if statement.kind == "view":
            made, wanted = without_repeated_tests(statement, made), without_repeated_tests(statement, wanted)
        return made == wanted

    def tell(self) -> None:
        """Tell of what was noticed."""
        if self._idle:
            log.warning("events are made, and do not run: event_scheduler is OFF on this server")
        for why, names in self._orphans.items():
            orphans = list(dict.fromkeys(names))  # some were made twice
            listed = ", ".join(orphans[:10]) + (f" and {len(orphans) - 10} more" if len(orphans) > 10 else "")
            log.warning("%s keep their definer, who is missing: %s", listed, why)
