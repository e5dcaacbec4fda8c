"""Foreign keys across the line of a replacement: they are led to the tables that are there now.

A renamed table takes the keys that lead to it along, into the database that its name is moved to, and a table that was
built beside the target refers to tables beside it.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import pymysql

from holdfast.api import UnsafeError, quote_name
from holdfast_mysql.catalog.tables import without_elsewhere
from holdfast_mysql.errors import translate_errors
from holdfast_mysql.session import Session, literal, quoted

_HINT = "drop the foreign key first, or restore under another name"


@dataclass(frozen=True, kw_only=True)
class ForeignKey:
    """A foreign key: columns of a table, and those that they refer to."""

    database: str
    table: str
    name: str
    columns: tuple[str, ...]
    parent_database: str
    parent: str
    parent_columns: tuple[str, ...]
    rules: str

    @property
    def place(self) -> str:
        """Its table, qualified."""
        return f"{quoted(self.database)}.{quoted(self.table)}"

    def add(self, place: str, parent_database: str, *, name: str = "") -> str:
        """The statement that adds it to a table, to lead into a database."""
        columns, parents = (", ".join(map(quoted, names)) for names in (self.columns, self.parent_columns))
        constraint = f"CONSTRAINT {quoted(name)} " if name else ""
        return (
            f"ALTER TABLE {place} ADD {constraint}FOREIGN KEY ({columns})"
            f" REFERENCES {quoted(parent_database)}.{quoted(self.parent)} ({parents}) {self.rules}"
        )

    def __str__(self) -> str:
        """Where it is, for messages."""
        return f"foreign key {quote_name(self.name)} of table {quote_name(f'{self.database}.{self.table}')}"


def outside_keys(session: Session, target: str, going: Collection[str]) -> list[ForeignKey]:
    """The foreign keys of tables that stay, in whatever database, which lead to tables of the target that leave it."""
    leaving = {(target, name) for name in going}
    where = f"k.referenced_table_schema = {literal(target)}"
    return [
        key
        for key in _keys(session, where, owners=[target], elsewhere=True)
        if (key.parent_database, key.parent) in leaving and (key.database, key.table) not in leaving
    ]


def inner_keys(session: Session, target: str, building: str, new: Mapping[str, str]) -> list[ForeignKey]:
    """The foreign keys of tables that were built which lead to none of these, as they are to be in the target.

    `new` has the names under which tables were built, by those that they get.
    """
    names = {built: name for name, built in new.items()}
    where = f"k.table_schema = {literal(building)} AND k.referenced_table_schema = {literal(building)}"
    return [
        replace(key, database=target, table=names[key.table], parent_database=target)
        for key in _keys(session, where, owners=[building])
        if key.table in names and key.parent not in names
    ]


def refuse_lost_parents(keys: Sequence[ForeignKey], new: Collection[str]) -> None:
    """Refuse to take tables away that others refer to, where none of that name comes."""
    lost = [key for key in keys if key.parent not in new]
    if lost:
        raise UnsafeError(
            f"{lost[0]} refers to table {quote_name(lost[0].parent)}, which the backup does not hold"
            + (f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""),
            hint=_HINT,
        )


def refuse_unlike_keys(names: Sequence[str]) -> None:
    """Refuse foreign keys whose columns are of other character sets: MySQL renames no table that has one."""
    names = list(dict.fromkeys(names))
    if names:
        listed = ", ".join(map(quote_name, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        raise UnsafeError(
            f"MySQL does not move tables between databases that have foreign keys between columns of other character "
            f"sets or collations: {listed}",
            hint="restore under another name, or ALTER TABLE one of the columns to the character set and collation of "
            "the other one",
        )


def refuse_unfit_parents(session: Session, keys: Sequence[ForeignKey], *, building: str, probe: str) -> None:
    """Refuse parents that were built otherwise than keys need them: the server judges, on an empty table."""
    place = f"{quoted(building)}.{quoted(probe)}"
    for key in keys:
        session.execute(f"CREATE TABLE {place} LIKE {key.place}")
        try:
            session.execute("SET foreign_key_checks=1")
            session.execute(key.add(place, building))
        except pymysql.MySQLError as error:
            raise UnsafeError(
                f"{key} cannot lead to table {quote_name(key.parent)} as the backup has it: {error.args[1]}", hint=_HINT
            ) from error
        finally:
            session.execute("SET foreign_key_checks=0")
            session.execute(f"DROP TABLE {place}")


def relink(session: Session, target: str, gone: Collection[str], run: Callable[[str], object] | None = None) -> None:
    """Let every foreign key that leads into databases which are about to go lead to the target's table instead."""
    run = run or session.execute
    names = ", ".join(map(literal, gone))
    where = f"k.referenced_table_schema IN ({names}) AND k.table_schema NOT IN ({names})"
    for key in list(_keys(session, where, owners=[target], elsewhere=True)):
        with _telling(key):
            # Two statements: of one name, the new key would be refused while the old one is there.
            run(f"ALTER TABLE {key.place} DROP FOREIGN KEY {quoted(key.name)}")
            run(key.add(key.place, target, name=key.name))


def restore_keys(session: Session, keys: Sequence[ForeignKey], run: Callable[[str], object]) -> None:
    """Let recorded foreign keys be there and lead to where they led."""
    owners = sorted({key.database for key in keys})
    there = {(key.database, key.table, key.name): key for key in _keys(session, "TRUE", owners=owners)}
    for key in keys:
        current = there.get((key.database, key.table, key.name))
        if current != key:
            with _telling(key):
                if current:
                    run(f"ALTER TABLE {key.place} DROP FOREIGN KEY {quoted(key.name)}")
                run(key.add(key.place, key.parent_database, name=key.name))


def _telling(key: ForeignKey) -> AbstractContextManager[None]:
    return translate_errors(f"{key} cannot lead to the table {quote_name(key.parent)}")


def lost_references(session: Session, target: str, new: Collection[str]) -> Iterator[str]:
    """Say of foreign keys between new tables and those that stay how many rows lead to no row."""
    schema = literal(target)
    where = f"(k.referenced_table_schema = {schema} OR k.table_schema = {schema})"
    for key in list(_keys(session, where, owners=[target], elsewhere=True)):
        ends = [(key.database, key.table), (key.parent_database, key.parent)]
        if len({database == target and name in new for database, name in ends}) == 1:
            continue  # both new, or neither
        pairs = list(zip(key.columns, key.parent_columns, strict=True))
        joined = " AND ".join(f"c.{quoted(column)} = p.{quoted(parent)}" for column, parent in pairs)
        filled = " AND ".join(f"c.{quoted(column)} IS NOT NULL" for column in key.columns)
        count = session.value(
            f"SELECT COUNT(*) FROM {key.place} c LEFT JOIN {quoted(key.parent_database)}.{quoted(key.parent)} p"
            f" ON {joined} WHERE {filled} AND p.{quoted(key.parent_columns[0])} IS NULL"
        )
        if int(count):
            rows = "1 row" if int(count) == 1 else f"{count} rows"
            yield (
                f"table {quote_name(key.table)} has {rows} whose foreign key leads to no row of table "
                f"{quote_name(key.parent)}"
            )


def absent_parents(session: Session, target: str) -> Iterator[str]:
    """Say which foreign keys lead to tables of other databases that are not there: their tables take no rows then."""
    for key in list(_keys(session, f"k.referenced_table_schema <> {literal(target)}", owners=[target])):
        where = (
            f"{session.is_named('table_schema', key.parent_database)} AND {session.is_named('table_name', key.parent)}"
        )
        if not session.rows(f"SELECT 1 FROM information_schema.tables WHERE {where}"):
            place = quote_name(f"{key.parent_database}.{key.parent}")
            yield (
                f"{key} leads to table {place}, which is not on this server as far as the account sees: "
                "no new row is taken without it"
            )


def _keys(session: Session, where: str, *, owners: Sequence[str], elsewhere: bool = False) -> Iterator[ForeignKey]:
    """The foreign keys that fit of the tables of some databases, with their columns in order; or of all databases."""
    if elsewhere and not (session.server.mariadb and _leads_nowhere_else(session)):
        rows = _readable_rows(session, where)
    else:
        rows = []
        for owner in owners:  # one at a time: MariaDB opens no other tables then
            rows += _readable_rows(session, f"k.table_schema = {literal(owner)} AND {where}")
    unsaid = "RESTRICT" if session.server.mariadb else "NO ACTION"
    columns: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for *key, column, parent_column in rows:
        columns.setdefault(tuple(key), []).append((column, parent_column))
    for (database, table, name, parent_database, parent, on_delete, on_update), pairs in columns.items():
        yield ForeignKey(
            database=database,
            table=table,
            name=name,
            columns=tuple(column for column, _ in pairs),
            parent_database=parent_database,
            parent=parent,
            parent_columns=tuple(column for _, column in pairs),
            rules=" ".join(
                f"ON {event} {rule}"
                for event, rule in (("DELETE", on_delete), ("UPDATE", on_update))
                if rule != unsaid  # else the definition would read differently from before
            ),
        )


def _leads_nowhere_else(session: Session) -> bool:
    """Whether no foreign key of the server leads into another database: MariaDB opens each table to tell them all."""
    database = "SUBSTRING_INDEX({0}_name, '/', 1)"
    try:
        return not session.rows(
            "SELECT 1 FROM information_schema.innodb_sys_foreign"
            f" WHERE {database.format('for')} <> {database.format('ref')} LIMIT 1"
        )
    except pymysql.MySQLError:  # it takes PROCESS
        return False


def _readable_rows(session: Session, where: str) -> list[tuple[str, ...]]:
    if not session.server.mariadb:
        return _key_rows(session, where)
    try:
        return _key_rows_apart(session, where)
    except pymysql.OperationalError:  # also the answer to us of another server, whose tables MariaDB looks into
        return _key_rows_apart(session, f"{where} AND {without_elsewhere(session, None, alias='k.')}")


def _key_rows(session: Session, where: str) -> list[tuple[str, ...]]:
    return session.texts(
        "SELECT k.table_schema, k.table_name, k.constraint_name, k.referenced_table_schema, k.referenced_table_name,"
        " r.delete_rule, r.update_rule, k.column_name, k.referenced_column_name"
        " FROM information_schema.key_column_usage k JOIN information_schema.referential_constraints r"
        " ON r.constraint_schema = k.constraint_schema AND r.constraint_name = k.constraint_name"
        f" AND r.table_name = k.table_name WHERE k.referenced_table_name IS NOT NULL AND {where}"
        " ORDER BY k.table_schema, k.table_name, k.constraint_name, k.ordinal_position"
    )


def _key_rows_apart(session: Session, where: str) -> list[tuple[str, ...]]:
    """The same by statements of one table of the catalog each: in a join MariaDB opens tables that no row is of."""
    keys = session.texts(
        "SELECT table_schema, table_name, constraint_name, referenced_table_schema, referenced_table_name, column_name,"
        " referenced_column_name FROM information_schema.key_column_usage k"
        f" WHERE k.referenced_table_name IS NOT NULL AND {where}"
        " ORDER BY table_schema, table_name, constraint_name, ordinal_position"
    )
    rules = {
        (database, table, name): (on_delete, on_update)
        for database, table in {(database, table) for database, table, *_ in keys}
        for name, on_delete, on_update in session.texts(
            "SELECT constraint_name, delete_rule, update_rule FROM information_schema.referential_constraints"
            f" WHERE constraint_schema={literal(database)} AND table_name={literal(table)}"
        )
    }
    return [(*key[:5], *rules[key[0], key[1], key[2]], *key[5:]) for key in keys]
