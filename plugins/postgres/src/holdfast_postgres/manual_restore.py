"""The commands that restore a dump with PostgreSQL's own client programs, for RESTORE.md."""

import re
import shlex
from collections.abc import Iterator, Sequence

from holdfast_postgres import special_extensions
from holdfast_postgres.encodings import encode
from holdfast_postgres.hints import DatabaseHint, ExtensionHint, Hints
from holdfast_postgres.kinds import PG_DUMP_OPTIONS
from holdfast_postgres.special_extensions import leave_statement

_OPEN = "psql --no-psqlrc --set=ON_ERROR_STOP=1 --dbname=TARGET_DB"
# What a database may have for its sessions and would end a restore.
_LIFTED = "-c default_transaction_read_only=off -c statement_timeout=0 -c lock_timeout=0 -c role=none"
_EMPTY_PATH = "'search_path', '', false"
_PLAIN_PATH = re.compile(r'[\w", $-]+', re.ASCII)  # neither quotes nor what sed would take for its own
_TIMEOUT = "/^SET transaction_timeout = 0;$/"
# From the first line to the first such line, which pg_dump writes: rows further on may look alike.
_WITHOUT_TIMEOUT = f"LC_ALL=C sed '1,{_TIMEOUT}{{{_TIMEOUT}d;}}'"


def steps(hints: Hints) -> tuple[str, ...]:
    """Lines of shell; statements with names of the database in them lie in files of our own naming."""
    lines = [
        "# host, port and user: PGHOST, PGPORT, PGUSER; the password: ~/.pgpass or PGPASSWORD",
    ]
    if hints.globals:
        hashes = "with" if hints.passwords else "without"
        lines += [
            f"# roles and tablespaces of the server, {hashes} password hashes; those that exist are left alone",
            f"{{decode:{hints.globals}}} | psql --no-psqlrc --dbname=postgres",
        ]
    if hints.data_only:
        lines += [
            "# as a superuser; others leave this out: then triggers fire and foreign keys are checked as rows come in",
            "export PGOPTIONS='-c session_replication_role=replica'",
        ]
    else:
        lines += _create(hints.database)
    if hints.properties:
        lines += [
            "# owner, rights, comment, limits and settings of the database itself; these let the restore go on",
            f"export PGOPTIONS={shlex.quote(_LIFTED)}",
            f"{{decode:{hints.properties}}} | psql --no-psqlrc --quiet --dbname=TARGET_DB",
        ]
    if hints.money:
        lines += [
            f"# amounts of the type money are written as in the locale {hints.money}",
            f'export PGOPTIONS="${{PGOPTIONS-}} -c lc_monetary={hints.money}"',
        ]
    for name, setting in special_extensions.PLACES.items():
        if name in hints.extensions:
            lines.append(f"# {name} can be made only in the database that {setting} names; else pg_restore reports it")
    if modes := special_extensions.with_modes(hints.installed):
        lines += _modes(modes, make=not hints.data_only)
        return (
            *lines,
            *_contents(hints),
            *(f"{_OPEN} --command={shlex.quote(leave_statement(mode))}" for mode in modes),
        )
    return (*lines, *_contents(hints))


def _modes(extensions: Sequence[ExtensionHint], *, make: bool) -> Iterator[str]:
    """The commands that put the database into the mode which some extensions have for a restore."""
    for extension in extensions:
        yield f"# {extension.name} in the version of the backup, which its rows need"
        for statement in special_extensions.enter_statements(extension, make=make):
            yield f"{_OPEN} --command={shlex.quote(statement)}"


def _contents(hints: Hints) -> tuple[str, ...]:
    """The commands that restore definitions and rows."""
    lines: list[str] = []
    archive = f"{{decode:{hints.archive}}}"
    lines += _also_held(hints)
    newer = hints.client >= 17 > hints.major  # 17 brought a setting that older servers refuse
    if hints.format == "plain":
        script = f"{archive} | {_WITHOUT_TIMEOUT}" if newer else archive
        return (*lines, *_with_path(hints), f"{script} | {_OPEN} --quiet")
    if newer:
        lines += [
            "# a server older than 17 does not know transaction_timeout: pg_restore reports that and ends with",
            "# exit code 1, with nothing missing",
        ]
    if hints.format == "directory":
        return (*lines, "mkdir directory", f"{archive} | tar --extract --directory=directory",
                "pg_restore --dbname=TARGET_DB --jobs=4 directory")  # fmt: skip
    if hints.format != "parallel" or not (hints.large_tables or hints.sequences):
        return (*lines, f"{archive} | pg_restore --dbname=TARGET_DB")
    for section in ("pre-data", "data"):
        lines.append(f"{archive} | pg_restore --dbname=TARGET_DB --section={section}")
    for number, table in enumerate(hints.large_tables, start=1):
        lines += [f'{{decode:{stream}}} | {_OPEN} --command="$(cat {_file(number)})"' for stream in table.streams]
    if hints.sequences:
        lines.append(f"{{decode:{hints.sequences}}} | {_OPEN} --quiet --output=/dev/null")
    lines.append(f"{archive} | pg_restore --dbname=TARGET_DB --section=post-data")
    lines.append(f"{_OPEN} --command='ANALYZE'")
    return tuple(lines)


def _with_path(hints: Hints) -> Iterator[str]:
    """What to do about the empty search_path of a script."""
    path = hints.search_path if _PLAIN_PATH.fullmatch(hints.search_path) else "SCHEMA, OTHER_SCHEMA"
    program = rf"1,/{_EMPTY_PATH}/s/{_EMPTY_PATH}/'search_path', '{path}', false/"
    yield "# where psql does not find a function, table or type that one of the script names without its schema,"
    yield f"# put this before it: | LC_ALL=C sed {shlex.quote(program)}"


def _also_held(hints: Hints) -> Iterator[str]:
    """What an archive holds although it was to be left out, since pg_dump has no option for it."""
    kinds = sorted(set(hints.exclude_kinds) - set(PG_DUMP_OPTIONS))
    if kinds and hints.format != "plain":
        yield f"# the archive also holds what was to be left out ({', '.join(kinds)}): make a list of it by"
        yield "# pg_restore --list, take these lines out, and give it to pg_restore by --use-list"


def files(hints: Hints) -> dict[str, bytes]:
    """The COPY statement of each large table, in a file of its own."""
    return {
        _file(number): f"SET client_encoding TO '{hints.database.encoding}';\n".encode()
        + encode(table.copy_in(table.root), hints.database.encoding)
        + b"\n"
        for number, table in enumerate(hints.large_tables, start=1)
    }


def _file(number: int) -> str:
    return f"copy/{number:04d}.sql"


def _create(database: DatabaseHint) -> Iterator[str]:
    """The command that makes the database, with all that decides how its text sorts."""
    words = ["createdb", "--template=template0", f"--encoding={database.encoding}"]
    words += [
        f"--{option}={shlex.quote(value)}"
        for option, value in (("lc-collate", database.collate), ("lc-ctype", database.ctype), *_provider(database))
        if value and value.isprintable()
    ]
    if database.rules and not database.rules.isprintable():
        yield "# not here, since they have line breaks: the ICU rules of the source, so that text may sort otherwise"
    if database.tablespace.isprintable() and database.tablespace:
        yield f"# where the server has that tablespace, with --tablespace={shlex.quote(database.tablespace)}"
    yield " ".join([*words, "TARGET_DB"])


def _provider(database: DatabaseHint) -> Iterator[tuple[str, str | None]]:
    """The options of createdb 15 and newer for locales that are not the system's, those for rules of 16."""
    if database.provider == "i":
        yield from (("locale-provider", "icu"), ("icu-locale", database.locale), ("icu-rules", database.rules))
    elif database.provider == "b":
        yield from (("locale-provider", "builtin"), ("builtin-locale", database.locale))
