"""The journal of a replacement: a table in the database that is built beside the target.

It is there before anything else is, and gone last. From it a later run, or a person, can tell what a run that was cut
off has left, and put the target right: until the journal says that the swap is done, it holds every definition that
the target had, as a script for the client.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any

import pymysql

from holdfast.api import IntegrityError, LockedError, quote_name
from holdfast_mysql.catalog.replacements import (
    BUILDING,
    DONE,
    SWAPPING,
    away_name,
    building_name,
    find_tokens,
    lock_name,
    table_name,
)
from holdfast_mysql.definitions.script import ScriptWriter, Statement, read_script
from holdfast_mysql.errors import error_number
from holdfast_mysql.restore.foreign_keys import ForeignKey
from holdfast_mysql.session import Session, literal, quoted

__all__ = ["BUILDING", "DONE", "SWAPPING", "Journal", "Plan", "away_name", "building_name", "find_tokens", "lock_name",
           "table_name"]  # fmt: skip

_NO_TABLE = 1146


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a swap changes in the target.

    `going` are the tables that leave it, with the names that they have then, `new` those that come, with the names
    under which they are built; `coming` are kinds and names of what is made besides, `keys` the foreign keys of other
    tables that lead to tables which leave, `old` the definitions of all that is dropped, `defaults` the clauses of the
    database's own settings, empty where they stay.
    """

    target: str
    going: Mapping[str, str]
    new: Mapping[str, str]
    coming: frozenset[tuple[str, str]]
    keys: tuple[ForeignKey, ...]
    old: tuple[Statement, ...]
    defaults: str = ""


class Journal:
    """The journal of the replacement of `target` with that token; the account of `session` owns it."""

    def __init__(self, session: Session, target: str, token: str) -> None:
        self._session = session
        self.target = target
        self.token = token
        self.building = building_name(target, token)
        self.away = away_name(target, token)
        self.place = f"{quoted(self.building)}.{quoted(table_name(token))}"

    def hold(self) -> None:
        """Hold, until the session ends, the lock that keeps other runs from this replacement and from its target."""
        # Names of locks have 64 characters at most.
        target = sha256(self.target.encode(errors="surrogateescape")).hexdigest()[:32]
        for name in (f"holdfast_replace_{target}", lock_name(self.token)):
            if self._session.value(f"SELECT GET_LOCK({literal(name)}, 0)") != "1":
                raise LockedError(f"another restore is replacing database {quote_name(self.target)}")

    def create(self) -> None:
        """Say whose the database is, as soon as it is there."""
        self._session.execute(
            f"CREATE TABLE {self.place} (number INT UNSIGNED NOT NULL PRIMARY KEY, script LONGBLOB NOT NULL)"
            " ENGINE=InnoDB COMMENT='of a restore by Holdfast that is under way or was cut off'"
        )
        self._insert({0: json.dumps({"state": BUILDING, "target": self.target}).encode()})

    def write(self, plan: Plan) -> None:
        """Write down what is about to be changed, for good."""
        writer = ScriptWriter(title=f"what {self.target} had", avoid=[statement.body for statement in plan.old])
        parts = [writer.opening(), *map(writer.statement, plan.old), writer.closing()]
        self._insert({1: _encoded(plan), **dict(enumerate(parts, 2))})
        self._set_state(SWAPPING)
        self.flush()

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
            rows = self._session.rows(f"SELECT script FROM {self.place} ORDER BY number")
            self._session.execute("COMMIT")  # who puts right over another connection would wait for this one
        except pymysql.MySQLError as error:
            if error_number(error) != _NO_TABLE:
                raise
            return "", None
        if not rows:
            return BUILDING, None  # cut off before its first row
        head, *parts = [bytes(row[0] or b"") for row in rows]
        try:
            state = str(json.loads(head)["state"])
            return state, _decoded(parts) if parts else None
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(f"the journal in database {quote_name(self.building)} cannot be read") from error

    def _insert(self, rows: Mapping[int, bytes]) -> None:
        for number, script in rows.items():
            self._session.execute(f"INSERT INTO {self.place} VALUES ({number}, X'{script.hex()}')")
        self._session.execute("COMMIT")

    def _set_state(self, state: str) -> None:
        head = json.dumps({"state": state, "target": self.target})
        self._session.execute(f"UPDATE {self.place} SET script={literal(head)} WHERE number=0")
        self._session.execute("COMMIT")


def _encoded(plan: Plan) -> bytes:
    data = asdict(replace(plan, old=()))
    return json.dumps({**data, "coming": sorted(plan.coming), "old": None}).encode()


def _decoded(parts: list[bytes]) -> Plan:
    data: dict[str, Any] = json.loads(parts[0])
    keys = [{**key, **{name: tuple(key[name]) for name in ("columns", "parent_columns")}} for key in data["keys"]]
    return Plan(
        target=data["target"],
        going=data["going"],
        new=data["new"],
        coming=frozenset((kind, name) for kind, name in data["coming"]),
        keys=tuple(ForeignKey(**key) for key in keys),
        old=tuple(read_script([*parts[1:]])),
        defaults=data["defaults"],
    )
