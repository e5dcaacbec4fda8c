"""Stored generated columns that a restore computes otherwise, and the settings under which it does not.

The server has computed them in the session of whoever wrote the row, and lets nobody write them. A restore computes as
`compute_plainly` says; so does the session that reads here, so that what differs here will differ there. What explains
all values of a column is looked for among the settings of a session, those of the server first.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import pymysql

from holdfast.api import quote_name
from holdfast_mysql.catalog import time_zones
from holdfast_mysql.catalog.computed_columns import comparisons
from holdfast_mysql.catalog.computing import MODES, NUMBERED, PLAIN, computing, with_modes
from holdfast_mysql.catalog.tables import Table
from holdfast_mysql.definitions.create_table import generated_expressions
from holdfast_mysql.definitions.script import SQL_MODE, Statement
from holdfast_mysql.errors import OUT_OF_RANGE, error_number, translate_errors
from holdfast_mysql.proof.rows import reprinted
from holdfast_mysql.session import Session, literal, quoted

log = logging.getLogger("holdfast.mysql")

_PATIENCE = 10.0  # seconds of looking for the settings of a table
_REGEX_FLAGS = "DOTALL DUPNAMES EXTENDED EXTENDED_MORE EXTRA MULTILINE UNGREEDY".split()  # noqa: SIM905
_LANGUAGES = 130  # more than there are
_CIPHERS = tuple(f"aes-{bits}-{mode}" for bits in (128, 192, 256) for mode in "ecb cbc cfb1 cfb8 cfb128 ofb".split())  # noqa: SIM905


@dataclass(frozen=True, kw_only=True)
class Recomputed:
    """How many values of which columns, as `table.column`, would be others when they are computed again.

    `settings` are those under which the other columns of a table are what they were, by its name.
    """

    counts: dict[str, int] = field(default_factory=dict)
    settings: dict[str, dict[str, str]] = field(default_factory=dict)


def recomputed(session: Session, tables: Iterable[Table], definitions: Iterable[Statement]) -> Recomputed:
    """Compare the stored generated columns of tables with their expressions."""
    bodies = {statement.name: statement.body for statement in definitions if statement.kind == "table"}
    told = Recomputed()
    for table in tables:
        if table.stored and any(column.generated for column in table.columns):
            search = _Search(session, table, generated_expressions(bodies[table.name]))
            try:
                search.run()
                told.counts.update(search.counts())
            except pymysql.MySQLError as error:
                log.warning(
                    "whether a restore computes the stored columns of table %s as they are cannot be told: %s",
                    quote_name(table.name), error.args[-1],
                )  # fmt: skip
            if search.settings:
                told.settings[table.name] = _portable(session, search.settings)
    return told


def _portable(session: Session, settings: Mapping[str, str]) -> dict[str, str]:
    """Settings with the name of a language in the place of its number."""
    with computing(session, settings):
        names = {"lc_time_names": session.value("SELECT @@lc_time_names")} if "lc_time_names" in settings else {}
    return {**settings, **names}


def reprinted_values(session: Session, tables: Iterable[Table]) -> dict[str, int]:
    """How many JSON values of which columns MySQL prints otherwise once they come back as text; MariaDB keeps text."""
    differing: dict[str, int] = {}
    for table in tables:
        columns = [column.name for column in table.columns if column.type == "json" and not column.generated]
        if not columns or session.server.mariadb or not table.stored:
            continue
        texts = [(f"CAST({quoted(name)} AS CHAR)", f"CAST({reprinted(quoted(name))} AS CHAR)") for name in columns]
        sums = ", ".join(f"SUM(BINARY {before} <> BINARY {after})" for before, after in texts)
        with translate_errors(f"cannot compare the JSON values of table {quote_name(table.name)}"):
            (row,) = session.texts(f"SELECT {sums} FROM {quoted(table.name)}")
        differing |= {f"{table.name}.{name}": int(count) for name, count in zip(columns, row, strict=True)
                      if int(count or 0)}  # fmt: skip
    return differing


class _Search:
    """Looks for the settings under which the columns of a table are what their expressions say."""

    def __init__(self, session: Session, table: Table, expressions: Mapping[str, bytes]) -> None:
        self._session = session
        self._table = table
        self._place = quoted(table.name).encode() + (b" FOR SYSTEM_TIME ALL" if table.history else b"")
        self._compared = comparisons(table, expressions, session.server)
        self._text = b" ".join(expressions[name].lower() for name in self._compared)
        self._differing: frozenset[str] = frozenset()
        self.settings: dict[str, str] = {}

    def run(self) -> None:
        """Begin with what a restore does; each setting stays that leaves fewer columns which differ."""
        if not self._compared:
            return
        with computing(self._session, {}):
            self._differing = self._differing_at_once()
        deadline = time.monotonic() + _PATIENCE
        for candidate in self._candidates():
            if not self._differing or time.monotonic() > deadline:
                return
            self._try(candidate)

    def _try(self, candidate: Mapping[str, str]) -> None:
        settings = {**self.settings, **{name: value for name, value in candidate.items() if value != PLAIN[name]}}
        if settings == self.settings:
            return
        try:
            differing = self._differing_under(settings, self._differing)
            if differing < self._differing and not self._differing_under(settings, self._compared) - differing:
                self._differing, self.settings = differing, settings
        except pymysql.MySQLError as error:
            log.debug("%s does not take %s: %s", self._session.server.name, candidate, error)

    def counts(self) -> dict[str, int]:
        """How many values differ under the settings that were chosen."""
        with computing(self._session, self.settings):
            return {
                f"{self._table.name}.{name}": int(self._sum(name) or 0)
                for name in self._compared if name in self._differing
            }  # fmt: skip

    def _sum(self, name: str) -> str:
        try:
            return self._session.value(b"SELECT SUM(NOT (" + self._compared[name] + b")) FROM " + self._place)
        except pymysql.MySQLError as error:
            if error_number(error) != OUT_OF_RANGE:
                raise
            return self._session.value(b"SELECT COUNT(*) FROM " + self._place)

    def _differing_at_once(self) -> frozenset[str]:
        """All of the columns of which a value differs, by one look at the rows where none is out of range."""
        highest = b", ".join(b"MAX(NOT (" + comparison + b"))" for comparison in self._compared.values())
        try:
            (row,) = self._session.texts(b"SELECT " + highest + b" FROM " + self._place)
        except pymysql.MySQLError as error:
            if error_number(error) != OUT_OF_RANGE:
                raise
            return frozenset(name for name in self._compared if self._differs(name))
        return frozenset(name for name, differs in zip(self._compared, row, strict=True) if differs == "1")

    def _differing_under(self, settings: Mapping[str, str], names: Iterable[str]) -> frozenset[str]:
        """Those of some columns of which a value differs."""
        with computing(self._session, settings):
            return frozenset(name for name in names if self._differs(name))

    def _differs(self, name: str) -> bool:
        try:
            return bool(self._session.rows(
                b"SELECT 1 FROM " + self._place + b" WHERE NOT (" + self._compared[name] + b") LIMIT 1"
            ))  # fmt: skip
        except pymysql.MySQLError as error:
            if error_number(error) != OUT_OF_RANGE:
                raise
            return True

    def _candidates(self) -> Iterator[dict[str, str]]:
        """Settings that may be why values differ: what the server has for its sessions, and then each value of each."""
        common = {name: self._session.value(f"SELECT @@global.{name}") for name in self._known()}
        modes = [mode for mode in MODES if mode in common["sql_mode"].split(",")]
        zone = common.pop("time_zone")
        yield with_modes({**common, "sql_mode": NUMBERED}, modes)
        yield from ({"time_zone": name} for name in self._zones(zone))
        for base in (SQL_MODE, NUMBERED):
            for wanted in ([], ["NO_ZERO_DATE", "NO_ZERO_IN_DATE"], *([mode] for mode in MODES)):
                yield with_modes({"sql_mode": base}, wanted)
        for name, values in self._values(common).items():
            yield from ({name: value} for value in values)

    def _known(self) -> list[str]:
        names = ", ".join(map(literal, PLAIN))
        rows = self._session.texts(f"SHOW GLOBAL VARIABLES WHERE variable_name IN ({names})")
        return [name.lower() for name, _ in rows]

    def _values(self, common: Mapping[str, str]) -> dict[str, Iterable[str]]:
        """The values of each setting that expressions as these can depend on."""
        values: dict[str, Iterable[str]] = {}
        if b"/" in self._text:
            values["div_precision_increment"] = map(str, range(31))
        if b"week(" in self._text:
            values["default_week_format"] = map(str, range(8))
        if b"aes_" in self._text:
            values["block_encryption_mode"] = _CIPHERS
        if any(function in self._text for function in (b"date_format(", b"dayname(", b"monthname(", b"str_to_date(")):
            values["lc_time_names"] = map(str, range(_LANGUAGES))
        if b"regexp" in self._text or b"rlike" in self._text:
            values["default_regex_flags"] = _REGEX_FLAGS
        values["old_mode"] = ("ZERO_DATE_TIME_CAST,UTF8_IS_UTF8MB3",)
        values["default_collation_for_utf8mb4"] = ("utf8mb4_general_ci",)
        return {name: values[name] for name in values if name in common}

    def _zones(self, common: str) -> Iterator[str]:
        timed = any(column.type == "timestamp" for column in self._table.columns)
        if timed or b"unix" in self._text:
            yield from time_zones.candidates(self._session, common)
