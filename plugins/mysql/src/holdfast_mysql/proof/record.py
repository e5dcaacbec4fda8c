"""What a database holds, as digests that a restored copy can be compared by.

Rows of InnoDB tables with a primary key are read in its order, so that the bytes of the dump itself are the same
after a restore: their digest costs nothing. Other tables are summed up by the server, row by row, in two
numbers of 64 bits of a SHA-256 over values that carry their length, NULL with a mark of its own; sums do not depend
on an order. MySQL 9.6 has no MD5 any more, and SHA-256 was not slower (5 s against 9 s for a million narrow rows).
Rows of tables without transactions are summed up here, from the bytes of the dump: see `rowsum`.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from holdfast.api import HoldfastError, IntegrityError, ObjectProof, Proof, quote_name
from holdfast_mysql.catalog.tables import Table
from holdfast_mysql.definitions.rewrite import (
    disabled,
    follow,
    trigger_moment,
    with_definer,
    with_quoted_definer,
    without_counter,
)
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.rows.key_ranges import Range, RowUnit, ordered
from holdfast_mysql.rows.row_sum import RowSum
from holdfast_mysql.rows.wire import Digest, RowCopy
from holdfast_mysql.session.connection import Session, quoted, saying

METHOD = "mysql-rows-1"
_FREE = 16 << 20  # bytes of tables without a key that are summed up whatever the rest has
_SHARE = 6  # beyond that they may be one in so many bytes: summing costs twice what dumping does
_LONG = frozenset({"tinytext", "text", "mediumtext", "longtext", "tinyblob", "blob", "mediumblob", "longblob", "json"})
# What a recorded bound may be: it comes from a manifest and goes into SQL.
_LITERAL = re.compile(r"-?\d+|'[0-9A-Za-z:. +-]*'|(?:_\w+ )?(?:0x[0-9a-f]+|'')(?: COLLATE \w+)?")


@dataclass(frozen=True, kw_only=True)
class UnitDigest:
    """What was read of one unit."""

    rows: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class Summed:
    """Names of the tables whose rows are summed up: by the server, or here, as their bytes pass."""

    by_server: frozenset[str] = frozenset()
    in_passing: frozenset[str] = frozenset()

    @classmethod
    def of(cls, tables: Sequence[Table], *, wanted: bool | None) -> "Summed":
        """Those without a key to order them by, while that is cheap or if it is asked for."""
        if wanted is False:
            return cls()
        chosen = [table for table in tables if table.stored and not ordered(table) and table.unit().columns]
        size = sum(table.size for table in chosen)
        if not wanted and size > max(_FREE, sum(table.size for table in tables) // _SHARE):
            return cls()
        return cls(
            by_server=frozenset(table.name for table in chosen if table.transactional),
            in_passing=frozenset(table.name for table in chosen if not table.transactional),
        )

    @classmethod
    def recorded(cls, settings: Mapping[str, Any]) -> "Summed":
        """Those of a proof that is repeated."""
        return cls(
            by_server=frozenset(settings.get("sums", ())), in_passing=frozenset(settings.get("sums_in_passing", ()))
        )

    def digest(self, table: Table) -> Digest | None:
        """What the rows of a table are digested by as they pass; None where nothing would look at it."""
        if table.name in self.in_passing:
            return RowSum()
        return sha256() if ordered(table) else None


def table_proof(table: Table, units: Sequence[UnitDigest], summed: Summed, total: str) -> ObjectProof:
    """The proof of a table: of its units in their order, or a sum, that of the server being `total`."""
    rows = sum(unit.rows for unit in units)
    digest = total
    if ordered(table):
        digest = sha256("".join(unit.digest for unit in units).encode()).hexdigest()
    elif table.name in summed.in_passing:
        digest = "".join(unit.digest for unit in units)
    return ObjectProof(kind="rows", name=table.name, rows=rows, digest=digest)


def sum_of(session: Session, table: Table) -> tuple[int, str]:
    """The number of rows and the sum over them, by the server; a row without a digest is an error."""
    values = []
    columns = {column.name: column for column in table.columns}
    for column in table.unit().columns:
        name = quoted(column.name)
        found = columns.get(column.name)
        if column.kind == "index" or (found is not None and found.type == "bit"):
            value = f"{name}+0"
        elif found is not None and found.type == "float":
            value = f"{name}-0e0"
        elif found is not None and found.type in _LONG:
            value = f"SHA2({name}, 256)"  # the row as a whole could be longer than max_allowed_packet
        elif found is not None and found.type == "vector":
            value = f"HEX({name})"
        else:
            value = name
        value = f"CAST({value} AS BINARY)"
        values.append(f"IF({name} IS NULL, 'N', CONCAT(OCTET_LENGTH({value}), ':', {value}))")
    history = " FOR SYSTEM_TIME ALL" if table.history else ""
    half = "CAST(CONV(SUBSTRING(h, {}, 16), 16, 10) AS UNSIGNED)"
    sql = (
        f"SELECT COUNT(*), COUNT(h), SUM({half.format(1)}), SUM({half.format(17)})"
        f" FROM (SELECT SHA2(CONCAT({', '.join(values)}), 256) AS h FROM {quoted(table.name)}{history}) AS d"
    )
    with saying(f"cannot digest table {quote_name(table.name)}"):
        rows, digests, one, other = session.texts(sql)[0]
    if rows != digests:
        raise HoldfastError(f"cannot digest table {quote_name(table.name)}: a row is longer than the server can hold")
    return int(rows), f"{int(one or 0) & (1 << 64) - 1:016x}{int(other or 0) & (1 << 64) - 1:016x}"


def largest_numbers(session: Session, tables: Iterable[Table], *, without: Collection[str]) -> dict[str, int]:
    """The largest number in each AUTO_INCREMENT column, 0 for none."""
    found = {}
    for table in tables:
        column = next((column for column in table.columns if column.auto_increment), None)
        if column is not None and table.stored and table.name not in without:
            history = " FOR SYSTEM_TIME ALL" if table.history else ""
            with saying(f"cannot read table {quote_name(table.name)}"):
                largest = session.value(f"SELECT MAX({quoted(column.name)}) FROM {quoted(table.name)}{history}") or "0"
            # Not every integer of 64 bits goes through a float.
            found[table.name] = int(float(largest)) if column.type in ("float", "double") else int(largest)
    return found


def definition_proofs(
    statements: Iterable[Statement], database: str, numbers: Mapping[str, int], *, definers: bool
) -> list[ObjectProof]:
    """A digest of every definition, with the settings it was made under, and without the name of its database.

    That of a trigger holds the name of the one before it, for those of one moment fire in an order; `statements` has
    them in that order. That of a table holds the next number of its AUTO_INCREMENT column, but only if the largest
    one is in `numbers`: an UPDATE may have gone beyond the server's counter, which goes along when rows are restored.
    Without `definers` they do not count: whoever restores takes their place.
    """
    found = list(statements)
    names = [statement.name for statement in found]
    last: dict[tuple[str, str], str] = {}
    proofs = []
    for statement in found:
        body = follow(statement, old=database, new="", objects=[*names, statement.table])
        if statement.kind == "event":
            body = disabled(Statement(kind="event", name="", body=body, sql_mode=statement.sql_mode))
        elif statement.kind == "table":
            body, counter = without_counter(body)
            if statement.name in numbers:
                body += f"\0next {max(counter, numbers[statement.name] + 1)}".encode()
        elif statement.kind == "trigger":
            body = with_quoted_definer(body, statement)
        if not definers:
            # As much space as there was around the clause is left by it.
            body = b" ".join(with_definer(replace(statement, body=body), "strip").split(None, 1))
        settings = "\0".join([*statement.settings(), statement.collation if statement.kind != "view" else ""])
        if statement.kind == "trigger":
            moment = (statement.table, trigger_moment(statement))
            settings += f"\0after {last[moment]}" if moment in last else ""
            last[moment] = statement.name
        digest = sha256(settings.encode() + b"\0" + body).hexdigest()
        proofs.append(ObjectProof(kind=statement.kind, name=statement.name, digest=digest))
    return proofs


def database_proof(statement: Statement) -> ObjectProof:
    """A digest of what a database says of itself: character set and collation of new tables, and its comment."""
    settings = f"ALTER DATABASE CHARACTER SET {statement.extra['charset']} COLLATE {statement.collation}"
    text = f"{settings}\0{statement.extra['comment']}".encode(errors="surrogateescape")
    return ObjectProof(kind="database", name="defaults", digest=sha256(text).hexdigest())


def settings_of(
    ranges: Mapping[str, Sequence[Range]], summed: Summed, *, uncounted: Collection[str], definers: bool
) -> dict[str, Any]:
    """What repeating a proof takes.

    That is how tables were divided, which were summed up, whose next number does not count, and whether definers do.
    """
    divided = {table: [[part.low, part.high] for part in parts] for table, parts in ranges.items() if len(parts) > 1}
    return {
        "ranges": divided,
        "sums": sorted(summed.by_server),
        "sums_in_passing": sorted(summed.in_passing),
        "uncounted": sorted(uncounted),
        **({} if definers else {"definers": False}),
    }


def ranges_of(settings: Mapping[str, Any], table: str) -> list[Range]:
    """The ranges that were recorded for a table; what cannot be one is an `IntegrityError`."""
    bounds = settings.get("ranges", {}).get(table)
    if bounds is None:
        return [Range()]
    for bound in (bound for pair in bounds for bound in pair):
        if bound is not None and not _LITERAL.fullmatch(str(bound)):
            raise IntegrityError(f"the proof names a bound of table {quote_name(table)} that is no value")
    return [Range(low=low, high=high) for low, high in bounds]


def read_unit(session: Session, unit: RowUnit, digest: Digest | None) -> UnitDigest:
    """Read the rows of a unit for their number and digest alone."""
    copy = RowCopy(session, unit.sql(), digest=digest)
    with saying(f"cannot read table {quote_name(unit.table.name)}"):
        for _ in copy.chunks():
            pass
    return UnitDigest(rows=copy.rows, digest=copy.digest)


def proof_of(objects: Iterable[ObjectProof], settings: Mapping[str, Any]) -> Proof:
    """All of it together."""
    return Proof(method=METHOD, objects=tuple(sorted(objects, key=lambda one: (one.kind, one.name))), settings=settings)
