"""What a dump holds: tables with the streams of their rows, and every definition, read in the snapshot."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pymysql

from holdfast.api import CredentialsError, ObjectKind, quote_name
from holdfast_mysql.catalog.accounts import read_accounts
from holdfast_mysql.catalog.definitions import BROKEN_VIEW, DefinitionReader
from holdfast_mysql.catalog.leniency import needed_settings
from holdfast_mysql.catalog.needs import missing_needs, with_sequences
from holdfast_mysql.catalog.requirements import recomputed_warning
from holdfast_mysql.catalog.selection import Selection
from holdfast_mysql.catalog.storage_needs import storage_needs
from holdfast_mysql.catalog.surroundings import LISTS, SEQUENCE, outside_needs
from holdfast_mysql.catalog.tables import Table, list_names, lost_its_server, read_tables, unopened_error
from holdfast_mysql.catalog.unlike_keys import unlike_keys
from holdfast_mysql.definitions.create_table import without_references
from holdfast_mysql.definitions.rewrite import with_definer
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.dump.recomputed import Recomputed, recomputed, reprinted_values
from holdfast_mysql.errors import is_of_system
from holdfast_mysql.options import MysqlOptions
from holdfast_mysql.rows.key_ranges import RowStream, divide
from holdfast_mysql.session import Session

# History that a number of rows divides, and not their time.
_LIMITED = re.compile(rb"\n PARTITION BY SYSTEM_TIME +LIMIT ")


@dataclass(frozen=True, kw_only=True)
class Contents:
    """All that a dump holds; `before` is what rows need, `after` what acts on them, `needs` what making it takes.

    `histograms` come last, and are no part of the proof: a server may compute them anew at any time.
    `serverless` are tables left out, with the reason: their foreign servers are gone, and their definitions with them.
    `unread` are columns of whose members or defaults the server tells not all characters.
    `recomputed` tells of generated columns that a restore computes otherwise, `reprinted` JSON values that it
    prints otherwise. `unlike` are foreign keys with their tables, between columns of other character sets.
    """

    database: Statement
    before: tuple[Statement, ...]
    after: tuple[Statement, ...]
    tables: tuple[Table, ...]
    histograms: tuple[Statement, ...]
    broken: tuple[Statement, ...]
    accounts: tuple[Statement, ...]
    rows: dict[str, RowStream]
    recomputed: Recomputed
    unlike: dict[str, tuple[str, str]]
    reprinted: dict[str, int]
    serverless: dict[str, str]
    needs: tuple[tuple[str, str], ...]
    brought: tuple[str, ...] = ()
    denied: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    def streams_of(self, table: Table) -> dict[str, RowStream]:
        """The streams of the rows of a table by their names."""
        return self._streams.get(table.name, {})

    @cached_property
    def _streams(self) -> dict[str, dict[str, RowStream]]:
        streams: dict[str, dict[str, RowStream]] = {}
        for name, rows in self.rows.items():
            streams.setdefault(rows.table.name, {})[name] = rows
        return streams

    @property
    def lacking(self) -> list[str]:
        """What is left out although it was chosen."""
        return [f"{kind} {name}" for kind, name in (*self.denied, *(("table", name) for name in self.serverless))]

    @property
    def computed_under(self) -> list[tuple[Table, dict[str, str]]]:
        """The tables with stored columns that are others without some settings, and these."""
        settings = self.recomputed.settings
        return [(table, settings[table.name]) for table in self.tables if table.name in settings]

    @property
    def hints(self) -> dict[str, Any]:
        """What the manifest tells a restore of the contents alone."""
        recomputed = self.recomputed
        return {
            "names": self.names,
            "brought": list(self.brought),
            "recomputed": recomputed.counts,
            "computed_under": recomputed.settings,
            "unlike_keys": {name: list(ends) for name, ends in self.unlike.items()},
        }

    @property
    def names(self) -> dict[str, list[str]]:
        """What a selection can choose, by its kind."""
        statements = (*self.before, *self.after, *self.broken)
        return {
            kind: sorted(statement.name for statement in statements if statement.kind == kind)
            for kind in ("table", "sequence", "view")
        }


def read_contents(
    session: Session, reader: Session, database: str, selection: Selection, options: MysqlOptions
) -> Contents:
    """Read it; `reader` is a connection of the snapshot, by which tables are divided.

    What the account may not read is left out with `incomplete`, and a `CredentialsError` without.
    """
    denied: list[tuple[str, str]] = []
    definitions = DefinitionReader(session, database, denied=denied)
    serverless: dict[str, str] = {}
    tables = read_tables(session, database, selection, unopened=serverless)
    for name, why in serverless.items():
        if not lost_its_server(why):
            raise unopened_error(name, why)
    selection = selection.leaving(list(serverless))
    table_statements = [_table(definitions, table.name, selection) for table in tables]
    selection, brought = with_sequences(table_statements, selection, definitions.sequence_names, database)
    after = [
        replace(statement, body=with_definer(statement, options.definer))
        for statement in acting_on_rows(definitions, selection)
    ]
    if denied and not options.incomplete:
        listed = ", ".join(f"{kind} {quote_name(name)}" for kind, name in denied[:10])
        raise CredentialsError(
            f"the account may not read the definition of {listed}"
            + (f" and {len(denied) - 10} more" if len(denied) > 10 else ""),
            hint="grant SHOW VIEW, TRIGGER, EVENT, and SHOW_ROUTINE (MySQL), SHOW CREATE ROUTINE or SELECT on "
            "mysql.proc (MariaDB), or back up without it by -o incomplete=true or --exclude-kind",
        )
    before = (*definitions.sequences(selection), *table_statements)
    return Contents(
        database=definitions.database(),
        before=before,
        after=tuple(statement for statement in after if statement.extra != BROKEN_VIEW),
        histograms=tuple(definitions.histograms(selection)),
        tables=tuple(tables),
        broken=tuple(statement for statement in after if statement.extra == BROKEN_VIEW),
        accounts=tuple(read_accounts(session)) if options.users else (),
        rows=_row_streams(reader, tables),
        brought=brought,
        denied=tuple(denied),
        unread=tuple(f"{table}.{name}" for table, names in definitions.unread.items() for name in names),
        serverless=serverless,
        missing=tuple(missing_needs([*before, *after], database, _known(session, definitions, database))),
        recomputed=recomputed(reader, tables, before),
        reprinted=reprinted_values(reader, tables),
        unlike=unlike_keys(session, database) if selection.has(ObjectKind.FOREIGN_KEY) else {},
        needs=(
            *needed_settings(session, database, selection, tables),
            *storage_needs(session, (*before, *after)),
            *outside_needs(session, database, tables, (*before, *after)),
        ),
    )


def _table(definitions: DefinitionReader, name: str, selection: Selection) -> Statement:
    statement = definitions.table(name)
    if selection.has(ObjectKind.FOREIGN_KEY):
        return statement
    return replace(statement, body=without_references(statement.body))


def _known(session: Session, definitions: DefinitionReader, database: str) -> frozenset[str]:
    """All that a definition can need of its database, routines with `()` behind their names."""
    listed = [name for name, _ in list_names(session, database)]
    try:
        routines = definitions.routine_names()
    except pymysql.MySQLError as error:
        if not is_of_system(error):
            raise
        routines = []  # nobody chose one: else reading their definitions would have failed
    return frozenset([*listed, *(f"{name}()" for _, name in routines)])


def acting_on_rows(definitions: DefinitionReader, selection: Selection) -> Iterator[Statement]:
    """Routines, views, triggers and events, as far as a selection has them."""
    if selection.routines:
        yield from definitions.routines()
    yield from definitions.views(selection)
    yield from definitions.triggers(selection)
    if selection.events:
        yield from definitions.events()


def _row_streams(reader: Session, tables: Sequence[Table]) -> dict[str, RowStream]:
    """The streams of rows by their names, the largest tables first."""
    streams: dict[str, RowStream] = {}
    for table in sorted(tables, key=lambda table: -table.size):
        if table.stored:
            key_ranges = divide(reader, table)
            for number, key_range in enumerate(key_ranges, 1):
                name = _stream_name(table.name, number, len(key_ranges), streams)
                streams[name] = RowStream(table=table, key_range=key_range)
    return streams


def _stream_name(table: str, number: int, count: int, taken: Collection[str]) -> str:
    """A name without what the placeholders of RESTORE.md or a terminal would stumble over."""
    safe = "".join("_" if char in "{}" or not char.isprintable() else char for char in table)
    name = f"data/{safe}" if count == 1 else f"data/{safe}/{number:04d}"
    while name in taken:
        name += "_"
    return name


def warnings_of(contents: Contents, options: MysqlOptions) -> Iterator[str]:
    """What the backup is without, or holds, that somebody should know of."""
    tables = contents.tables
    loose = [table.name for table in tables if not table.transactional and table.stored]
    if loose and not options.lock_nontransactional:
        yield (
            f"{_listed(loose)} not in the snapshot, because the storage engine has no transactions: "
            "what was written to them during the backup may be in it or not "
            "(-o lock_nontransactional=true blocks such writes)"
        )
    if elsewhere := [table.name for table in tables if not table.stored]:
        yield f"{_listed(elsewhere)} saved without rows, because these belong to other tables or servers"
    if current := [table.name for table in tables if table.versioned and not table.history]:
        yield (
            f"{_listed(current)} saved without history, which counts transactions of this server and cannot be put "
            "back: the backup has the current rows"
        )
    for name, count in contents.recomputed.counts.items():
        yield recomputed_warning(name, count)
    for name, count in contents.reprinted.items():
        values = "1 JSON value" if count == 1 else f"{count} JSON values"
        yield (
            f"column {quote_name(name)} has {values} with decimal numbers, which come back as the numbers that they "
            "print as: 1.50 as 1.5"
        )
    if contents.accounts:
        yield "the backup holds the accounts of the server with their password hashes: keep it from others"
    if contents.brought:
        yield f"{_listed(contents.brought, 'sequence')} backed up too, because chosen tables take numbers from there"
    if contents.denied:
        yield "the backup is without what the account may not read: " + _some(
            [f"{kind} {quote_name(name)}" for kind, name in contents.denied]
        )
    for name, why in contents.serverless.items():
        yield f"the backup is without table {quote_name(name)} of another server: this one cannot open it ({why})"
    if contents.missing:
        yield f"the backup is without what it needs where it is restored: {_some(contents.missing, '; ')}"
    yield from _outside_warnings(contents)
    for view in contents.broken:
        yield f"view {quote_name(view.name)} is broken: its definition is kept, but refers to what is not there"


def _outside_warnings(contents: Contents) -> Iterator[str]:
    if contents.unread:
        yield (
            f"the backup has `?` for some characters in members or defaults of {_some(contents.unread)}, which the "
            "server tells only to accounts that may make temporary tables: grant CREATE TEMPORARY TABLES"
        )
    if limited := [each.name for each in contents.before if each.kind == "table" and _LIMITED.search(each.body)]:
        yield (
            f"{_listed(limited)} saved with all history, but not in which partition each row of it is: a restore fills "
            "them as the server does, from the first one on"
        )
    for kind in LISTS:
        used = sorted({need.removeprefix(f"{kind} ") for need, _ in contents.needs if need.startswith(kind)})
        if used:
            more = "s" if len(used) > 1 else ""
            names = _some([quote_name(name) for name in used])
            where = "another database" if kind == SEQUENCE else "the server"
            yield f"not in the backup, because it belongs to {where}, and needed by it: {kind}{more} {names}"


def _listed(names: Sequence[str], kind: str = "table") -> str:
    """Some names, and the right verb."""
    listed = _some([quote_name(name) for name in names])
    return f"{kind}s {listed} are" if len(names) > 1 else f"{kind} {listed} is"


def _some(texts: Sequence[str], mark: str = ", ") -> str:
    """At most ten of them."""
    return mark.join(texts[:10]) + (f" and {len(texts) - 10} more" if len(texts) > 10 else "")
