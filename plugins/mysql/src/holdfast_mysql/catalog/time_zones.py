"""Time zones in which rows may have been written."""

from collections.abc import Iterator

import pymysql

from holdfast_mysql.session import Session

# Where people live, besides the whole hours: offsets from UTC in use today.
_PARTS = "-09:30 -03:30 +03:30 +04:30 +05:30 +06:30 +09:30 +10:30 +05:45 +08:45 +12:45".split()  # noqa: SIM905


def offsets() -> Iterator[str]:
    """Those that are an offset from UTC."""
    yield from (f"{hours:+03d}:00" for hours in range(-12, 15) if hours)
    yield from _PARTS


def candidates(session: Session, common: str) -> Iterator[str]:
    """The server's own, offsets, and all that it knows by name: only such a zone has summer and winter."""
    if common != "SYSTEM":  # which says nothing to another server
        yield common
    yield from offsets()
    try:
        names = session.texts("SELECT name FROM mysql.time_zone_name WHERE name LIKE '%/%' AND name NOT LIKE 'posix/%'"
                              " AND name NOT LIKE 'right/%' AND name NOT LIKE 'Etc/%' ORDER BY name")  # fmt: skip
    except pymysql.MySQLError:
        return  # the account may not read it
    yield from (name for (name,) in names)
