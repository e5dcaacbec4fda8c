"""Settings of a session that decide what the expressions of a table come to: its generated columns and CHECKs.

A table does not keep those of whoever wrote its rows. A restore computes under `plain`, whatever the target has for its
sessions, and where the source's values are others it computes them again under what makes them so. Sources: MySQL 8.4
manual §7.1.8 and §7.1.11, MariaDB "Server System Variables" and "SQL_MODE".
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from holdfast_mysql.definitions.parameters import BUILT_IN
from holdfast_mysql.definitions.script import SQL_MODE
from holdfast_mysql.session import Server, Session, literal, plain_literal, quoted

SUBTRACTION = "NO_UNSIGNED_SUBTRACTION"
NUMBERED = "NO_AUTO_VALUE_ON_ZERO"  # without which 0 becomes another number
#: Modes under which an expression of a table can come to something else, and rows can still be written.
MODES = (
    "PAD_CHAR_TO_FULL_LENGTH",
    SUBTRACTION,
    "NO_ZERO_IN_DATE",
    "NO_ZERO_DATE",
    "ALLOW_INVALID_DATES",
    "TIME_TRUNCATE_FRACTIONAL",
    "TIME_ROUND_FRACTIONAL",
)
PLAIN: Mapping[str, str] = {
    "block_encryption_mode": "aes-128-ecb",
    "character_set_collations": "",
    "default_collation_for_utf8mb4": BUILT_IN,
    "default_regex_flags": "",
    "default_week_format": "0",
    "div_precision_increment": "4",
    "lc_time_names": "en_US",
    "old_mode": "UTF8_IS_UTF8MB3",
    "sql_mode": SQL_MODE,
    "time_zone": "+00:00",
}


def current(session: Session) -> dict[str, str]:
    """What the session has of them."""
    names = ", ".join(literal(name) for name in PLAIN if name != "old_mode" or session.server.mariadb_since(10, 6))
    return {name.lower(): value for name, value in session.texts(f"SHOW VARIABLES WHERE variable_name IN ({names})")}


def assignments(settings: Mapping[str, str]) -> str:
    """Some of them as SET takes them."""
    return ", ".join(
        f"{name}={value if value.isdecimal() else plain_literal(value)}" for name, value in settings.items()
    )


def set_all(session: Session, settings: Mapping[str, str]) -> None:
    """Set some of them; one that the server does not know, or the account may not set, is the server's error."""
    if settings:
        session.execute(f"SET {assignments(settings)}")


def compute_plainly(session: Session) -> None:
    """Let expressions come to what they do under the settings that servers come with, times in UTC."""
    now = current(session)
    set_all(session, {name: PLAIN[name] for name in now if now[name] != PLAIN[name]})


@contextmanager
def computing(session: Session, settings: Mapping[str, str]) -> Iterator[None]:
    """Under settings that are those of `compute_plainly` besides; afterwards all is as it was."""
    before = current(session)
    try:
        set_all(session, {name: settings.get(name, PLAIN[name]) for name in before})
        yield
    finally:
        set_all(session, before)


def computing_again(server: Server, table: str, written: Iterable[str], settings: Mapping[str, str]) -> str:
    """The statement that computes the stored columns of a table anew, under the settings of its session.

    MySQL takes times that it copies through the session's time zone, and loses an hour in autumn (bug 96609); a column
    that is set to itself stays what it is, and `written` are those that can be set.
    """
    columns = [quoted(name) for name in written]
    if columns and "time_zone" in settings and not server.mariadb:
        return f"UPDATE {quoted(table)} SET {', '.join(f'{name}={name}' for name in columns)}"
    return f"ALTER TABLE {quoted(table)} FORCE, ALGORITHM=COPY"


def with_modes(settings: Mapping[str, str], modes: Iterable[str]) -> dict[str, str]:
    """Settings with further modes."""
    return {**settings, "sql_mode": ",".join([settings.get("sql_mode", SQL_MODE), *modes])}
