"""What a dump holds: tables with the streams of their rows, and every definition, read in the snapshot."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from holdfast.api import quote_name
from holdfast_mysql.catalog.accounts import read_accounts
from holdfast_mysql.catalog.definitions import BROKEN_VIEW, DefinitionReader
from holdfast_mysql.catalog.selection import Selection
from holdfast_mysql.catalog.tables import Table, read_tables
from holdfast_mysql.definitions.rewrite import with_definer
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.options import MysqlOptions
from holdfast_mysql.rows.key_ranges import RowStream, divide
from holdfast_mysql.session import Session


@dataclass(frozen=True, kw_only=True)
class Contents:
    """All that a dump holds; `before` is what rows need, `after` what acts on them."""

    database: Statement
    before: tuple[Statement, ...]
    after: tuple[Statement, ...]
    tables: tuple[Table, ...]
    broken: tuple[Statement, ...]
    accounts: tuple[Statement, ...]
    rows: dict[str, RowStream]

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
    """Read it; `reader` is a connection of the snapshot, by which tables are divided."""
    definitions = DefinitionReader(session, database)
    tables = read_tables(session, database, selection)
    after = [
        replace(statement, body=with_definer(statement, options.definer))
        for statement in _acting_on_rows(definitions, selection)
    ]
    return Contents(
        database=definitions.database(),
        before=(*definitions.sequences(selection), *(definitions.table(table.name) for table in tables)),
        after=tuple(statement for statement in after if statement.extra != BROKEN_VIEW),
        tables=tuple(tables),
        broken=tuple(statement for statement in after if statement.extra == BROKEN_VIEW),
        accounts=tuple(read_accounts(session)) if options.users else (),
        rows=_row_streams(reader, tables),
    )


def _acting_on_rows(definitions: DefinitionReader, selection: Selection) -> Iterator[Statement]:
    if selection.everything:
        yield from definitions.routines()
    yield from definitions.views(selection)
    yield from definitions.triggers(selection)
    if selection.everything:
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
    if contents.accounts:
        yield "the backup holds the accounts of the server with their password hashes: keep it from others"
    for view in contents.broken:
        yield f"view {quote_name(view.name)} is broken: its definition is kept, but refers to what is not there"


def _listed(names: Sequence[str]) -> str:
    """Some names, at most ten of them, and the right verb."""
    listed = ", ".join(quote_name(name) for name in names[:10])
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"tables {listed}{more} are" if len(names) > 1 else f"table {listed} is"
