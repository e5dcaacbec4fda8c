"""What the clauses of tables, and time zones with a name, ask of a server: by need, with a look whether it is there."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath

import pymysql

from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.definitions.storage_clauses import KIND_OF, StorageClause, storage_clauses
from holdfast_mysql.definitions.tokens import code, is_text, is_word
from holdfast_mysql.errors import DENIED, error_number
from holdfast_mysql.session import Session, literal

ENCRYPTION, COMPRESSED, TABLESPACE = "encryption", "row format COMPRESSED", "tablespace "
PARSER, ZONE = "full-text parser ", "time zone "
# Folders that tables name: those of InnoDB by their paths, and that those of the engines with files can be used at all.
DIRECTORY, LINKS = "data directory ", "symbolic links for DATA DIRECTORY"
# Options of tables that one of the products alone knows, or only some storage engines, and what InnoDB does for them.
OPTION, PAGES = "table option ", "compressed pages"
_OF_MARIADB = frozenset(
    {"page_compressed", "page_compression_level", "encrypted", "encryption_key_id", "page_checksum", "transactional"}
)
_OF_MYSQL = frozenset({"compression", "secondary_engine"})
_OF_ENGINES = frozenset({"autoextend_size", "engine_attribute"})  # in comments, which MariaDB passes over
# What `-o strip` takes to do without.
STRIPPED_BY = {
    ENCRYPTION: "encryption", COMPRESSED: "row_format", TABLESPACE: "tablespace", DIRECTORY: "data_directory",
    LINKS: "data_directory", PAGES: "compression",
    **{OPTION + name: KIND_OF[name] for name in (*_OF_MARIADB, *_OF_MYSQL, *_OF_ENGINES)},
}  # fmt: skip
_OWN_TABLESPACES = ("innodb_file_per_table", "innodb_system", "innodb_temporary")
_PARSER = re.compile(rb"WITH PARSER `([^`]+)`")
_OFFSET = re.compile(r"[+-]\d+:\d+|SYSTEM|", re.IGNORECASE)
_PAGE = 16384
# A table in which none of these stands has no clause that asks for anything, which is seen without taking it apart.
_TELLING = re.compile(
    "|".join(["encrypt", "row_format", "tablespace", "directory", *_OF_MARIADB, *_OF_MYSQL, *_OF_ENGINES]).encode(),
    re.IGNORECASE,
)


def storage_needs(session: Session, statements: Sequence[Statement]) -> Iterator[tuple[str, str]]:
    """Each need that this server meets with the table or event that has it: it may have made what it no longer can."""
    met: dict[str, bool | None] = {}
    for statement in statements:
        for need in _needs_of(statement):
            if need not in met:
                met[need] = is_met(session, need)
            if met[need] is not False:
                yield need, statement.name


def _needs_of(statement: Statement) -> Iterator[str]:
    body = statement.body
    if statement.kind == "event" and not _OFFSET.fullmatch(statement.time_zone):
        yield ZONE + statement.time_zone
    if statement.kind != "table":
        return
    clauses = list(storage_clauses(body)) if _TELLING.search(body) else []
    engine = next((clause.value.lower() for clause in clauses if clause.name == "engine"), "")
    for clause in clauses:
        yield from _need_of(clause, engine)
    for match in _PARSER.finditer(body):
        yield PARSER + match[1].decode(errors="replace")
    if b"convert_tz" in body.lower():
        yield from (ZONE + zone for zone in _zones(body))


def _need_of(clause: StorageClause, engine: str) -> Iterator[str]:
    value = clause.value.lower()
    if clause.name in ("encryption", "encrypted") and value in ("y", "yes"):
        yield ENCRYPTION
    if clause.name == "row_format" and value == "compressed":
        yield COMPRESSED
    if clause.name == "tablespace" and value not in _OWN_TABLESPACES:
        yield TABLESPACE + clause.value
    if clause.name in _OF_MARIADB | _OF_MYSQL | _OF_ENGINES:
        yield OPTION + clause.name
    if clause.name in ("compression", "page_compressed") and value not in ("", "none", "0", "no", "off"):
        yield PAGES
    if clause.kind == "data_directory":
        yield DIRECTORY + clause.value if engine == "innodb" else LINKS


def _zones(body: bytes) -> Iterator[str]:
    """The names of time zones that CONVERT_TZ is given as texts: without its tables a server makes NULL of them."""
    tokens = code(body)
    for index in range(len(tokens)):
        if is_word(tokens, index, "CONVERT_TZ") and is_text(tokens, index + 1, b"("):
            for token in tokens[index + 2 : index + 12]:
                if token.text == b")":
                    break
                zone = token.text[1:-1].decode(errors="replace")
                if token.kind == "string" and re.fullmatch(r"[A-Za-z_]+(/[A-Za-z0-9_+-]+)*", zone):
                    yield from () if _OFFSET.fullmatch(zone) else (zone,)


def is_met(session: Session, need: str) -> bool | None:
    """Whether the server has what a need asks for; None for a need of another kind, and where it cannot be told."""
    for beginning, look in _LOOKS.items():
        if need.startswith(beginning):
            try:
                return look(session, need.removeprefix(beginning))
            except pymysql.MySQLError as error:
                if error_number(error) not in DENIED:
                    raise
    return None


def _encrypts(session: Session, _: str) -> bool | None:
    active = "SELECT COUNT(*) FROM information_schema.plugins WHERE plugin_status='ACTIVE' AND plugin_type="
    if session.server.mariadb:
        return session.value(f"{active}'ENCRYPTION'") != "0"
    keyring = session.value(
        "SELECT COUNT(*) FROM performance_schema.keyring_component_status"
        " WHERE status_key='Component_status' AND status_value='Active'"
    )
    return keyring != "0" or session.value(f"{active}'KEYRING' AND plugin_name <> 'daemon_keyring_proxy_plugin'") != "0"


def _compresses(session: Session, _: str) -> bool:
    """Whether InnoDB makes tables of this format, and writes to them."""
    names = "'innodb_read_only_compressed', 'innodb_page_size'"
    rows = session.texts(f"SHOW GLOBAL VARIABLES WHERE variable_name IN ({names})")
    values = {row[0]: row[1] for row in rows}
    return (
        values.get("innodb_read_only_compressed", "OFF") == "OFF"
        and int(values.get("innodb_page_size", _PAGE)) <= _PAGE
        # MariaDB keeps the clause, and makes a table of another format; MySQL leaves the clause out too.
        and (session.server.mariadb or _has_own_files(session, ""))
    )


def _has_own_files(session: Session, _: str) -> bool:
    """Whether tables of InnoDB are files of their own."""
    rows = session.texts("SHOW GLOBAL VARIABLES LIKE 'innodb_file_per_table'")
    return not rows or rows[0][1] == "ON"


def _takes_option(session: Session, name: str) -> bool | None:
    """Whether tables can have an option; None for what only a storage engine knows."""
    if name in _OF_MARIADB | _OF_MYSQL:
        return (name in _OF_MARIADB) == session.server.mariadb
    if session.server.mariadb:
        return True
    return _has_own_files(session, "") if name == "autoextend_size" else None


def _has_tablespace(session: Session, name: str) -> bool | None:
    if session.server.mariadb:
        return None  # it has none, and passes over the clause
    names = session.texts("SELECT tablespace_name FROM information_schema.files WHERE file_type='TABLESPACE'")
    return name in {row[0] for row in names}


def _has_parser(session: Session, name: str) -> bool:
    return bool(
        session.rows(
            "SELECT 1 FROM information_schema.plugins WHERE plugin_type='FTPARSER' AND plugin_status='ACTIVE'"
            f" AND plugin_name={literal(name)}"
        )
    )


def _has_directory(session: Session, path: str) -> bool | None:
    """Whether InnoDB makes files in a folder: MySQL only in those that it was told of, MariaDB wherever it can."""
    if session.server.mariadb:
        return None if _has_links(session, path) else False
    rows = session.texts(
        "SHOW GLOBAL VARIABLES WHERE variable_name IN"
        " ('innodb_directories', 'datadir', 'innodb_data_home_dir', 'innodb_undo_directory')"
    )
    known = [PurePosixPath(folder) for row in rows for folder in row[1].split(";") if folder.startswith("/")]
    return any(PurePosixPath(path).is_relative_to(folder) for folder in known)


def _has_links(session: Session, _: str) -> bool:
    return session.texts("SHOW GLOBAL VARIABLES LIKE 'have_symlink'")[0][1] == "YES"


def _has_zone(session: Session, name: str) -> bool:
    return session.value(f"SELECT CONVERT_TZ('2020-01-01 00:00:00', '+00:00', {literal(name)})") != ""


_LOOKS: dict[str, Callable[[Session, str], bool | None]] = {
    ENCRYPTION: _encrypts,
    COMPRESSED: _compresses,
    TABLESPACE: _has_tablespace,
    PARSER: _has_parser,
    ZONE: _has_zone,
    DIRECTORY: _has_directory,
    LINKS: _has_links,
    OPTION: _takes_option,
    PAGES: _has_own_files,
}
HINTS = {
    **{option: f"use -o strip={kind}" for option, kind in STRIPPED_BY.items() if option.startswith(OPTION)},
    OPTION + "autoextend_size": (
        "run on the server: SET GLOBAL innodb_file_per_table=ON, or use -o strip=engine_attribute"
    ),
    PAGES: "run on the server: SET GLOBAL innodb_file_per_table=ON, or use -o strip=compression",
    DIRECTORY: (
        "start the server with the folder in innodb_directories (MySQL) or with symbolic-links=ON (MariaDB), "
        "or use -o strip=data_directory"
    ),
    LINKS: "start the server with symbolic-links=ON, or use -o strip=data_directory",
    ENCRYPTION: "install a keyring or a plugin for encryption on the server, or use -o strip=encryption",
    COMPRESSED: (
        "the server needs innodb_file_per_table=ON, innodb_read_only_compressed=OFF and pages of 16 KiB at most; "
        "or use -o strip=row_format"
    ),
    TABLESPACE: "run CREATE TABLESPACE on the server first, or use -o strip=tablespace",
    PARSER: "install the plugin on the server, or use --exclude",
    ZONE: "load the time zones on the server: mariadb-tzinfo-to-sql or mysql_tzinfo_to_sql /usr/share/zoneinfo",
}
