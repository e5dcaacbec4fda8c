"""In which order streams are loaded, and which at once."""

from collections import Counter
from collections.abc import Collection, Iterator

from holdfast.api import RestoreRequest, Step
from holdfast_mysql.catalog.selection import Selection
from holdfast_mysql.names import ACCOUNTS, BROKEN, OBJECTS, SCHEMA, SCRIPT
from holdfast_mysql.restore.target import redo_size
from holdfast_mysql.session import Session

_SHARE_OF_REDO = 0.1  # of which MySQL's manual says that no row should be longer


def load_order(session: Session, request: RestoreRequest, selection: Selection) -> Iterator[Step]:
    """The steps of a restore."""
    names = {stream.name for stream in request.streams}
    if SCRIPT in names:
        yield Step(stream=SCRIPT)
    else:
        yield Step(stream=SCHEMA)
        alone = _alone(session, request.facts.get("largest", {}))
        for name in _row_streams(request, selection):
            yield Step(stream=name, phase=2 if name in alone else 1, parallel=name not in alone)
        yield Step(stream=OBJECTS, phase=3)
    if BROKEN in names:
        yield Step(stream=BROKEN, phase=3)
    if ACCOUNTS in names and request.options.users and not request.drill:
        yield Step(stream=ACCOUNTS, phase=4)


def _row_streams(request: RestoreRequest, selection: Selection) -> list[str]:
    """The first stream of each table before the second of any.

    MariaDB locks an empty table for the transaction that fills it in bulk, and whoever has the next part would wait.
    """
    numbers: Counter[str] = Counter()
    streams = []
    for name, (table, _) in request.facts["rows"].items():
        if table in selection:
            streams.append((numbers[table], name))
            numbers[table] += 1
    return [name for _, name in sorted(streams, key=lambda stream: stream[0])]


def _alone(session: Session, largest: dict[str, int]) -> Collection[str]:
    """Streams with rows that are long for the server's redo log: nothing else may be written meanwhile.

    InnoDB frees no redo log while it writes a row. MariaDB 10.11 with 64 MiB of it, rows of 40 MiB and another
    session that built an index stood still for ever, and had to be killed; one after the other they take a second.
    """
    redo = redo_size(session) if largest else 0
    return {name for name, size in largest.items() if size > redo * _SHARE_OF_REDO}
