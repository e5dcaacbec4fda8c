"""CHECKs that rows break while they are loaded: not enforced for that time, and enforced again afterwards.

Rows are loaded in UTC, and a CHECK over a TIMESTAMP can mean something else there than in the time zone in which they
were written. MySQL has no way to load them without looking at it, but looks at all rows in the time zone of the
session that enforces it (MySQL 8.4 manual §15.1.20.6); MariaDB loads with check_constraint_checks=0.
"""

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import pymysql

from holdfast.api import HoldfastError, quote_name
from holdfast_mysql.catalog.computing import MODES, computing, with_modes
from holdfast_mysql.catalog.time_zones import offsets
from holdfast_mysql.drill_marker import note
from holdfast_mysql.errors import CHECK_VIOLATED, OUT_OF_RANGE, error_number, translate_errors
from holdfast_mysql.session import Session, quoted

log = logging.getLogger("holdfast.mysql")


# Under which CHECKs can mean something else.
_MODES = (["NO_ZERO_DATE", "NO_ZERO_IN_DATE"], *([mode] for mode in MODES if mode != "TIME_ROUND_FRACTIONAL"))


class CheckViolatedError(HoldfastError):
    """LOAD DATA LOCAL has left rows out that break a CHECK."""


def breaks_check(error: Exception) -> bool:
    """Whether that is what an error says."""
    number = error_number(error) if isinstance(error, pymysql.MySQLError) else 0
    return number == CHECK_VIOLATED or isinstance(error, CheckViolatedError)


class LeftChecks:
    """The CHECKs of a restore's tables that are not enforced for now."""

    def __init__(self, session: Session, *, drill: bool) -> None:
        self._session = session
        self._drill = drill
        self._left: dict[str, Sequence[str]] = {}
        self._zoned: set[str] = set()  # the tables on whose CHECKs the time zone can have an influence
        self._lock = threading.Lock()

    def leave(self, session: Session, table: str) -> bool:
        """Stop to enforce the CHECKs of a table of the session's database; False if there are none to stop."""
        with self._lock:
            if table in self._left:
                return True
            names = [
                name for (name,) in session.texts(
                    "SELECT constraint_name FROM information_schema.table_constraints WHERE constraint_type='CHECK'"
                    f" AND enforced='YES' AND table_schema=DATABASE() AND {session.is_named('table_name', table)}"
                )
            ]  # fmt: skip
            if names:
                with translate_errors(f"cannot load table {quote_name(table)}"):
                    session.execute(_alter(table, names, "NOT ENFORCED"))
                self._left[table] = names
                if _depends_on_zone(session, table):
                    self._zoned.add(table)
                log.info("the CHECKs of table %s are enforced after its rows are loaded", quote_name(table))
            return bool(names)

    def enforce(self, database: str) -> list[str]:
        """Enforce all of them again, in a time zone in which no row breaks them; tells of those that stay so."""
        warnings = []
        for table, names in self._left.items():
            broken = [name for name in names if not self._enforce(table, name)]
            for name in broken:
                zones = " in every time zone" if table in self._zoned else ""
                why = f"rows break its CHECK {quote_name(name)}{zones}, so that it is NOT ENFORCED"
                warnings.append(f"table {quote_name(table)}: {why}")
                if self._drill:
                    note(self._session, database, "table", table, why)
        self._left.clear()
        return warnings

    def _enforce(self, table: str, name: str) -> bool:
        zones = list(self._zones()) if table in self._zoned else ["+00:00"]
        plain: tuple[list[str], ...] = ([],)
        # Both together last: each try reads rows up to the first one that breaks it.
        tries = [*product(plain, zones), *product(_MODES, zones[:1]), *product(_MODES, zones[1:])]
        return any(self._enforce_under(with_modes({"time_zone": zone}, modes), table, name) for modes, zone in tries)

    def _enforce_under(self, settings: Mapping[str, str], table: str, name: str) -> bool:
        with computing(self._session, settings):
            try:
                self._session.execute(_alter(table, [name], "ENFORCED"))
            except pymysql.MySQLError as error:
                if error_number(error) not in (CHECK_VIOLATED, OUT_OF_RANGE):
                    raise
                return False
        return True

    def _zones(self) -> Iterator[str]:
        """UTC, the server's own, and whatever rows may have been written in."""
        yield "+00:00"
        yield self._session.value("SELECT @@global.time_zone")
        yield from offsets()


def _depends_on_zone(session: Session, table: str) -> bool:
    """Whether a CHECK can mean something else in another time zone: each try to enforce it reads the whole table."""
    where = f"table_schema=DATABASE() AND {session.is_named('table_name', table)}"
    columns = f"SELECT 1 FROM information_schema.columns WHERE {where} AND"
    clauses = (
        "SELECT 1 FROM information_schema.table_constraints t JOIN information_schema.check_constraints c"
        " USING (constraint_schema, constraint_name)"
        f" WHERE {where} AND c.check_clause LIKE '%unix%'"
    )
    return bool(
        session.rows(f"{columns} (data_type='timestamp' OR generation_expression LIKE '%unix%') LIMIT 1")
        or session.rows(f"{clauses} LIMIT 1")
    )


def _alter(table: str, names: Sequence[str], state: str) -> str:
    return f"ALTER TABLE {quoted(table)} " + ", ".join(f"ALTER CHECK {quoted(name)} {state}" for name in names)
