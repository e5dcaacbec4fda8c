"""What belongs to a database besides its content comes back with it, and roles that are there are left alone."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.servers.postgres import PostgresServer

import holdfast
from holdfast.api import IntegrityError
from holdfast_postgres.database_properties import parse_script
from holdfast_postgres.formats.globals_script import leaving_alone

_LOOK = """
SELECT datconnlimit, shobj_description(d.oid, 'pg_database'), datacl::text, pg_get_userbyid(datdba),
    datlocprovider::text,
    (SELECT array_agg(coalesce(nullif(setrole, 0)::regrole::text, '') || setconfig::text ORDER BY setrole)
        FROM pg_db_role_setting WHERE setdatabase = d.oid)
FROM pg_database d WHERE datname = '{}'
"""


@pytest.fixture
def owner(server: PostgresServer, database: str) -> Iterator[str]:
    """A database with everything of its own: an owner, rights, settings whose values need care."""
    role = f"Owner {database}"
    server.execute(
        "postgres",
        f'CREATE ROLE "{role}" LOGIN',
        f'ALTER DATABASE {database} OWNER TO "{role}"',
        f"ALTER DATABASE {database} CONNECTION LIMIT 9",
        f"COMMENT ON DATABASE {database} IS 'it''s\n\\the shop'",
        f"REVOKE ALL ON DATABASE {database} FROM PUBLIC",
        f'GRANT CONNECT ON DATABASE {database} TO "{role}" WITH GRANT OPTION',
        f'ALTER DATABASE {database} SET search_path TO "$user", app, "a, b"',
        f"ALTER DATABASE {database} SET app.tenant TO E'x\n''y'",
        f"ALTER DATABASE {database} SET default_transaction_read_only TO on",
        f"ALTER ROLE \"{role}\" IN DATABASE {database} SET timezone TO 'Asia/Tokyo'",
    )
    yield role
    server.execute("postgres", f"ALTER DATABASE {database} OWNER TO postgres", f'DROP OWNED BY "{role}"')
    server.execute("postgres", f'DROP ROLE "{role}"')


_READS_SETTING = (
    "SET default_transaction_read_only TO off",
    "CREATE FUNCTION public.tenant() RETURNS text LANGUAGE sql AS $$ SELECT current_setting('app.tenant') $$",
    "CREATE TABLE public.t (a int, CHECK (public.tenant() = E'x\n''y'))",
    "INSERT INTO public.t VALUES (1)",
)


def _fill(server: PostgresServer, database: str) -> None:
    with server.connect(database) as connection:
        for statement in _READS_SETTING:
            connection.execute(statement)


@pytest.mark.parametrize("kind", ["parallel", "plain"])
def test_a_database_that_is_made_is_as_the_source(
    server: PostgresServer, database: str, owner: str, store: str, kind: str
) -> None:
    """A CHECK that reads a setting holds while its rows come in, also in a drill; no manifest has the values."""
    _fill(server, database)
    record = holdfast.backup(server.url(database), store=store, proof=True, options={"format": kind})
    assert "app.tenant" not in Path(record.path, "backup_manifest.json").read_text()
    new = f"{database}_new"
    try:
        done = holdfast.restore(record.id, server.url(new), store=store, options={"create": "true"})
        assert done.warnings == ()
        assert server.rows("postgres", _LOOK.format(new)) == server.rows("postgres", _LOOK.format(database))
        assert server.value(new, "SELECT count(*) FROM public.t") == 1
    finally:
        server.execute("postgres", f"ALTER DATABASE {new} OWNER TO postgres", f"DROP DATABASE {new}")
    assert holdfast.drill(record.id, store=store, into=server.url("postgres")).state == "proven"


def test_a_missing_owner_is_a_warning_and_a_database_that_was_there_keeps_its_settings(
    server: PostgresServer, database: str, target: str, owner: str, store: str
) -> None:
    """Both name what is otherwise, and no value."""
    record = holdfast.backup(server.url(database), store=store)
    done = holdfast.restore(record.id, server.url(target), store=store)
    (warning,) = done.warnings
    assert "search_path" in warning
    assert "app.tenant" in warning
    assert "shop" not in warning
    server.execute(
        "postgres", f"ALTER DATABASE {database} OWNER TO postgres", f'ALTER ROLE "{owner}" RENAME TO passing'
    )
    new = f"{database}_new"
    try:
        done = holdfast.restore(record.id, server.url(new), store=store, options={"create": "true"})
        assert any(f"owner {owner} of the database" in warning for warning in done.warnings)
        without = {"create": "true", "no_owner": "true", "no_privileges": "true"}
        server.execute("postgres", f"DROP DATABASE {new}")
        done = holdfast.restore(record.id, server.url(new), store=store, options=without)
        assert [warning for warning in done.warnings if "TimeZone" not in warning and "timezone" not in warning] == []
    finally:
        server.execute("postgres", f"DROP DATABASE IF EXISTS {new}", f'ALTER ROLE passing RENAME TO "{owner}"')


def test_a_database_of_a_selection_has_nothing_of_the_source(
    server: PostgresServer, database: str, owner: str, store: str
) -> None:
    """A selection is about what it names."""
    _fill(server, database)
    record = holdfast.backup(server.url(database), store=store)
    new = f"{database}_new"
    server.execute("postgres", f"ALTER DATABASE {database} RESET app.tenant")
    try:
        options = {"create": "true"}
        done = holdfast.restore(
            record.id, server.url(new), store=store, select=["public"], exclude=["t"], options=options
        )
        assert done.warnings == ()
        assert server.rows("postgres", _LOOK.format(new))[0][:4] == (-1, None, None, "postgres")
    finally:
        server.execute("postgres", f"DROP DATABASE {new}")


def test_statements_that_are_none_of_a_database_are_refused() -> None:
    """A backup can be forged, and these run as whoever restores."""
    for line in (
        "DROP TABLE t;",
        'ALTER DATABASE :"DBNAME" OWNER TO "a"; DROP TABLE t;',
        'ALTER DATABASE :"DBNAME" SET "a"."b;" TO \'x\'; DROP TABLE t; --',
        "COMMENT ON DATABASE :\"DBNAME\" IS 'a'; DROP TABLE t;",
    ):
        with pytest.raises(IntegrityError):
            parse_script(line + "\n")


def test_the_commands_by_hand_make_the_same_database(
    server: PostgresServer, database: str, owner: str, store: str, tmp_path: Path
) -> None:
    """Locale, rules, and all that belongs to it."""
    source, hand = f"{database}_icu", f"{database}_hand"
    icu = server.value("postgres", "SELECT EXISTS (SELECT FROM pg_collation WHERE collname = 'sv-SE-x-icu')")
    locale = {"LOCALE_PROVIDER": "icu", "ICU_LOCALE": "sv-SE"} if icu else {"LOCALE": "C"}  # a build may be without
    server.create(source, **locale)
    server.execute("postgres", f"ALTER DATABASE {source} SET app.tenant TO 'x'", f"COMMENT ON DATABASE {source} IS 'c'")
    try:
        record = holdfast.backup(server.url(source), store=store, codec="none")
        text = Path(record.path, "RESTORE.md").read_text().replace("TARGET_DB", hand)
        script = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
        folder = os.environ.get("HOLDFAST_PG_BINDIR") or server.run.folder  # another version is in the matrix
        environment = {"PATH": f"{folder}:/usr/bin:/bin", "PGHOST": "127.0.0.1", "PGUSER": "postgres"}
        environment["PGPORT"] = str(server.port)
        # The one error that the instructions name, from a pg_restore newer than the server, must not end it.
        told = "does not know transaction_timeout" in text
        done = subprocess.run(
            ["sh", "-c" if told else "-ec", script],
            check=False,
            cwd=record.path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0 or told, done.stderr
        assert server.rows("postgres", _LOOK.format(hand)) == server.rows("postgres", _LOOK.format(source))
    finally:
        server.drop(source)
        server.drop(hand)


@pytest.fixture
def names(server: PostgresServer, database: str) -> Iterator[dict[str, str]]:
    """Roles that are backed up: one that stays, one that goes, a group."""
    names = {word: f"{word} {database}; '\"" for word in ("stays", "gone", "group")}
    quoted = {word: '"' + name.replace('"', '""') + '"' for word, name in names.items()}
    server.execute(
        "postgres",
        *(f"CREATE ROLE {name} LOGIN PASSWORD 'old'" for name in quoted.values()),
        f"GRANT {quoted['group']} TO {quoted['stays']}, {quoted['gone']}",
        f"COMMENT ON ROLE {quoted['stays']} IS 'old; it''s\n\\ two lines'",
        f"ALTER ROLE {quoted['stays']} SET work_mem TO '7MB'",
        f"ALTER ROLE {quoted['gone']} SET app.x TO E';\n'''",
        f"COMMENT ON ROLE {quoted['gone']} IS 'a\\b; $holdfast$'",
    )
    yield quoted
    for name in quoted.values():
        server.execute("postgres", f"DROP ROLE IF EXISTS {name}")


def _raw_globals(server: PostgresServer) -> bytes:
    arguments = ("-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "--globals-only")
    return server.run.output("pg_dumpall", *arguments).encode()


@pytest.mark.parametrize("old", [False, True])
def test_roles_that_are_there_are_touched_by_no_statement(
    server: PostgresServer, database: str, target: str, names: dict[str, str], store: str, *, old: bool
) -> None:
    """Not even as members, which a warning says; those that are missing are made as they were, also by hand."""
    query = """
        SELECT rolname, rolpassword IS NOT NULL, rolcanlogin, rolconnlimit, shobj_description(a.oid, 'pg_authid'),
            (SELECT setconfig FROM pg_db_role_setting WHERE setrole = a.oid),
            ARRAY(SELECT roleid::regrole::text FROM pg_auth_members WHERE member = a.oid)
        FROM pg_authid a WHERE rolname LIKE '{}%'
    """
    record = holdfast.backup(server.url(database), store=store, options={"globals": "true"}, codec="none")
    gone = server.rows("postgres", query.format("gone"))
    server.execute(
        "postgres",
        f"DROP ROLE {names['gone']}",
        f"ALTER ROLE {names['stays']} PASSWORD NULL NOLOGIN CONNECTION LIMIT 3",
        f"ALTER ROLE {names['stays']} RESET work_mem",
        f"REVOKE {names['group']} FROM {names['stays']}",
        f"COMMENT ON ROLE {names['stays']} IS 'new'",
    )
    stays = server.rows("postgres", query.format("stays"))
    if old:
        (path,) = Path(store).rglob("globals.sql")
        server.run.output(
            "psql",
            "-h",
            "127.0.0.1",
            "-p",
            str(server.port),
            "-U",
            "postgres",
            "-d",
            "postgres",
            "-f",
            _readable(server, path),
        )
    else:
        done = holdfast.restore(record.id, server.url(target), store=store, options={"globals": "true"})
        (warning,) = done.warnings
        assert "was there and is left alone: it is no member of" in warning
    assert server.rows("postgres", query.format("stays")) == stays
    assert server.rows("postgres", query.format("gone")) == gone


def _readable(server: PostgresServer, path: Path) -> str:
    """A copy that the server's user may read."""
    copy = server.folder / "globals.sql"
    copy.write_bytes(path.read_bytes())
    copy.chmod(0o644)
    return str(copy)


def test_a_script_of_roles_is_rewritten_once(server: PostgresServer, names: dict[str, str]) -> None:
    """Backups of older versions hold it as pg_dumpall writes it, newer ones rewritten."""
    raw = _raw_globals(server)
    once = b"".join(leaving_alone([raw]))
    assert b"".join(leaving_alone([once])) == once
    assert b"\nALTER ROLE" not in once
    assert b"\nGRANT" not in once
    with pytest.raises(IntegrityError, match="middle of a statement"):
        list(leaving_alone([raw[: raw.rindex(b";")]]))
