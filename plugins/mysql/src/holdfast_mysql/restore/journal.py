"""The journal of a replacement: a table in the database that is built beside the target.

It is there before anything else is, and gone last. From it a later run, or a person, can tell what a run that was cut
off has left, and put the target right: until the journal says that the swap is done, it holds every definition that
the target had, as a script for the client, and in a second table every definition that it is to get.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from typing import Any

import pymysql

from holdfast.api import IntegrityError, LockedError, quote_name
from holdfast_mysql.catalog.replacements import (
    BUILDING,
    DONE,
    FINISHING,
    SWAPPING,
    UNDOING,
    away_name,
    building_name,
    find_tokens,
    kept_name,
    lock_name,
    table_name,
)
from holdfast_mysql.definitions.script import ScriptWriter, Statement, read_script
from holdfast_mysql.errors import error_number
from holdfast_mysql.restore.foreign_keys import ForeignKey
from holdfast_mysql.session import Session, literal, quoted

__all__ = ["BUILDING", "DONE", "FINISHING", "SWAPPING", "UNDOING", "Journal", "Making", "Plan", "away_name",
           "building_name", "find_tokens", "kept_name", "lock_name", "table_name"]  # fmt: skip

_NO_TABLE = 1146


@dataclass(frozen=True, kw_only=True)
class Making:
    """How the restore makes what follows the tables, for whoever has to finish it; see `ObjectMaker`."""

    source: str
    definer: str
    partial: bool
    source_folds: bool
    going_on: bool
    read_only: bool


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a swap changes in the target.

    `going` are the tables that leave it, with the names that they have then, `new` those that come, with the names
    under which they are built, and in `traces` what shows whether one of these has been written to since; `coming` are
    kinds and names of what is made besides, `keys` the foreign keys of other tables that lead to tables which leave,
    `inner` those of new tables that lead to tables which stay, `old` the definitions of all that is dropped, `made`
    those of what is made, `rights` what accounts may do with routines that are dropped. `defaults` are the clauses of
    the database's own settings, `settings` those that it gets.
    """

    target: str
    going: Mapping[str, str]
    new: Mapping[str, str]
    coming: frozenset[tuple[str, str]]
    keys: tuple[ForeignKey, ...]
    old: tuple[Statement, ...]
    defaults: str = ""
    settings: str = ""
    inner: tuple[ForeignKey, ...] = ()
    traces: Mapping[str, str] = field(default_factory=dict)
    made: tuple[Statement, ...] = ()
    making: Making | None = None
    rights: tuple[tuple[str, str, str], ...] = ()


class Journal:
    """The journal of the replacement of `target` with that token; the account of `session` owns it."""

    def __init__(self, session: Session, target: str, token: str) -> None:
        self._session = session
        self.target = target
        self.token = token
        self.building = building_name(target, token)
        self.away = away_name(target, token)
        self.kept = kept_name(target, token)
        self.place = f"{quoted(self.building)}.{quoted(table_name(token))}"
        self.place_of_new = f"{quoted(self.building)}.{quoted(table_name(token) + '_new')}"

    def hold(self) -> None:
        """Hold, until the session ends, the lock that keeps other runs from this replacement and from its target."""
        # Names of locks have 64 characters at most.
        target = sha256(self.target.encode(errors="surrogateescape")).hexdigest()[:32]
        for name in (f"holdfast_replace_{target}", lock_name(self.token)):
            if self._session.value(f"SELECT GET_LOCK({literal(name)}, 0)") != "1":
                raise LockedError(f"another restore is replacing database {quote_name(self.target)}")

    def create(self) -> None:
        """Say whose the database is, as soon as it is there."""
        self._create(self.place)
        self._insert(self.place, {0: json.dumps({"state": BUILDING, "target": self.target}).encode()})

    def write(self, plan: Plan) -> None:
        """Write down what is about to be changed, for good."""
        self._create(self.place_of_new)
        self._insert(self.place_of_new, dict(enumerate(_script(f"what {self.target} gets", plan.made))))
        old = _script(f"what {self.target} had", plan.old)
        self._insert(self.place, {1: _encoded(plan), **dict(enumerate(old, 2))})
        self._set_state(SWAPPING)
        self.flush()

    def go_on(self, *, finishing: bool) -> None:
        """Say whether another run is about to finish the swap, so that a third one does not try the same for ever."""
        self._set_state(FINISHING if finishing else SWAPPING)

    def turn_back(self) -> None:
        """Say that the target is put back: from here on whoever puts it right goes on with that."""
        self._set_state(UNDOING)

    def finish(self) -> None:
        """The point of no return: from here on what is in the target stays."""
        self._set_state(DONE)

    def flush(self) -> None:
        """Let what was written survive a loss of power, whatever innodb_flush_log_at_trx_commit is.

        A definition of InnoDB takes the redo log with it to the disk.
        """
        place = f"{quoted(self.building)}.{quoted(table_name(self.token) + '_flush')}"
        self._session.execute(f"CREATE TABLE {place} (a INT PRIMARY KEY) ENGINE=InnoDB")
        self._session.execute(f"DROP TABLE {place}")

    def read(self) -> tuple[str, Plan | None]:
        """The state and the plan; the state is empty where there is no journal (any more, or yet)."""
        try:
            parts = self._parts(self.place)
        except pymysql.MySQLError as error:
            if error_number(error) != _NO_TABLE:
                raise
            return "", None
        if not parts:
            return BUILDING, None  # cut off before its first row
        try:
            state = str(json.loads(parts[0])["state"])
            if state == BUILDING or len(parts) == 1:
                return state, None
            return state, _decoded(parts[1:], self._parts(self.place_of_new) if b'"making": {' in parts[1] else [])
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(f"the journal in database {quote_name(self.building)} cannot be read") from error

    def _create(self, place: str) -> None:
        self._session.execute(
            f"CREATE TABLE {place} (number INT UNSIGNED NOT NULL PRIMARY KEY, script LONGBLOB NOT NULL)"
            " ENGINE=InnoDB COMMENT='of a restore by Holdfast that is under way or was cut off'"
        )

    def _insert(self, place: str, rows: Mapping[int, bytes]) -> None:
        for number, script in rows.items():
            self._session.execute(f"INSERT INTO {place} VALUES ({number}, X'{script.hex()}')")
        self._session.execute("COMMIT")

    def _parts(self, place: str) -> list[bytes]:
        rows = self._session.rows(f"SELECT script FROM {place} ORDER BY number")
        self._session.execute("COMMIT")  # who puts right over another connection would wait for this one
        return [bytes(row[0] or b"") for row in rows]

    def _set_state(self, state: str) -> None:
        head = json.dumps({"state": state, "target": self.target})
        self._session.execute(f"UPDATE {self.place} SET script={literal(head)} WHERE number=0")
        self._session.execute("COMMIT")


def _script(title: str, statements: Sequence[Statement]) -> list[bytes]:
    writer = ScriptWriter(title=title, avoid=[statement.body for statement in statements])
    return [writer.opening(), *map(writer.statement, statements), writer.closing()]


def _encoded(plan: Plan) -> bytes:
    data = asdict(replace(plan, old=(), made=()))
    return json.dumps({**data, "coming": sorted(plan.coming), "old": None, "made": None}).encode()


def _decoded(parts: list[bytes], made: list[bytes]) -> Plan:
    """The plan; one that an earlier version has written does not tell how to go on."""
    data: dict[str, Any] = json.loads(parts[0])
    making = data.get("making")
    return Plan(
        target=data["target"],
        going=data["going"],
        new=data["new"],
        coming=frozenset((kind, name) for kind, name in data["coming"]),
        keys=_keys(data["keys"]),
        old=tuple(read_script([*parts[1:]])),
        defaults=data["defaults"],
        settings=data.get("settings", ""),
        inner=_keys(data.get("inner", [])),
        traces=data.get("traces", {}),
        made=tuple(read_script([*made])) if making else (),
        making=Making(**making) if making else None,
        rights=tuple((kind, name, grant) for kind, name, grant in data.get("rights", [])),
    )


def _keys(listed: list[dict[str, Any]]) -> tuple[ForeignKey, ...]:
    keys = [{**key, **{name: tuple(key[name]) for name in ("columns", "parent_columns")}} for key in listed]
    return tuple(ForeignKey(**key) for key in keys)
