"""What shows whether programs have written into tables since they were built, which were nobody's but ours until then.

The time of the last write is kept by both products over a RENAME, and has whole seconds; it is forgotten when a server
ends. So what was written to within this very second has a checksum besides, and so have small tables: after a loss of
power they would pass for written to.
"""

import time
from collections.abc import Collection, Mapping

from holdfast_mysql.session import Session, quoted

_SMALL = 64 << 20  # bytes of tables whose checksum takes less time than the end of a second
_CHEAP = 16 << 20  # bytes of tables whose checksum costs nothing that anybody notices
# Engines that have rows of their own: whoever writes into another one writes somewhere else.
_KEEPING = "('InnoDB', 'MyISAM', 'Aria', 'MEMORY', 'CSV', 'ARCHIVE', 'ROCKSDB')"


def traces(session: Session, database: str, names: Collection[str]) -> dict[str, str]:
    """What there is to compare later, by the names of tables that nobody writes to at this moment."""
    names = frozenset(names)
    recent, size = _recent(session, database, names)
    if size > _SMALL:
        time.sleep(1.0)  # a second later, writes are told apart from ours
        recent, size = _recent(session, database, names)
    times = _times(session, database)
    sums = _sums(
        session, database, [*recent, *_small({name: times[name][1] for name in times.keys() & names - {*recent}})]
    )
    return {name: f"{written} {sums.get(name, '')}" for name, (written, _) in times.items() if name in names}


def written(session: Session, database: str, recorded: Mapping[str, str]) -> list[str]:
    """Those of the tables that may have been written to since; where nothing tells, those that have rows."""
    current = _times(session, database)
    known = {name: trace.split(" ") for name, trace in recorded.items() if name in current}
    sums = _sums(session, database, [name for name, (_, checksum) in known.items() if checksum])

    def is_changed(name: str) -> bool:
        then, checksum = known[name]
        if checksum:
            return sums.get(name) != checksum
        now = current[name][0]
        return now != then if now else _has_rows(session, database, name)

    return [name for name in known if is_changed(name)]


def _times(session: Session, database: str) -> dict[str, tuple[str, int]]:
    """By each table the time of its last write, empty where it is not known, and its size in bytes."""
    if session.server.mysql_since(8, 0):
        session.execute("SET information_schema_stats_expiry=0")
    rows = session.texts(
        "SELECT table_name, REPLACE(update_time, ' ', 'T'), COALESCE(data_length, 0) FROM information_schema.tables"
        f" WHERE {session.is_named('table_schema', database)} AND table_type NOT IN ('VIEW', 'SEQUENCE')"
        f" AND engine IN {_KEEPING}"
    )
    session.execute("COMMIT")
    return {name: (moment or "", int(size)) for name, moment, size in rows}


def _recent(session: Session, database: str, names: Collection[str]) -> tuple[list[str], int]:
    """The tables of which a later write might bear the same time as the last one, or none; and their size."""
    now = session.value("SELECT REPLACE(NOW(), ' ', 'T')")
    times = {name: each for name, each in _times(session, database).items() if name in names}
    recent = [name for name, (moment, _) in times.items() if not moment or moment >= now]
    return recent, sum(times[name][1] for name in recent)


def _small(sizes: Mapping[str, int]) -> list[str]:
    """The smallest tables, as many as are small together."""
    chosen, left = [], _CHEAP
    for name in sorted(sizes, key=sizes.__getitem__):
        left -= sizes[name]
        if left < 0:
            break
        chosen.append(name)
    return chosen


def _sums(session: Session, database: str, names: Collection[str]) -> dict[str, str]:
    if not names:
        return {}
    prefix = len(database) + 1
    tables = ", ".join(f"{quoted(database)}.{quoted(name)}" for name in names)
    sums = {table[prefix:]: value or "none" for table, value in session.texts(f"CHECKSUM TABLE {tables}")}
    session.execute("COMMIT")
    return sums


def _has_rows(session: Session, database: str, name: str) -> bool:
    has = bool(session.rows(f"SELECT 1 FROM {quoted(database)}.{quoted(name)} LIMIT 1"))
    session.execute("COMMIT")
    return has
