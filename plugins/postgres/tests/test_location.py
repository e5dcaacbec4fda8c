"""URLs, and what of them reaches client programs."""

from pathlib import Path

import pytest
from support.servers.postgres import PostgresServer

import holdfast
from holdfast.api import PluginError, UsageError
from holdfast.defaults import installed
from holdfast_postgres.client import programs
from holdfast_postgres.location import Location


def _parse(url: str) -> Location:
    return Location.parse(url, connect_timeout=10)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://db/app", {"host": "db", "dbname": "app"}),
        ("postgres://u:p%40s%2Fs@[::1]:5433/a%2Fb", {
            "host": "::1", "port": "5433", "user": "u", "password": "p@s/s", "dbname": "a/b"}),
        ("postgresql://a:1,b,c:3/app?target_session_attrs=primary", {
            "host": "a,b,c", "port": "1,,3", "dbname": "app", "target_session_attrs": "primary"}),
        ("postgresql:///app?host=/run/pg&sslmode=verify-full&sslrootcert=/ca.pem", {
            "host": "/run/pg", "dbname": "app", "sslmode": "verify-full", "sslrootcert": "/ca.pem"}),
        ("postgresql://%2Frun%2Fpg/app?ssl=true", {"host": "/run/pg", "dbname": "app", "sslmode": "require"}),
        ("postgresql+asyncpg://u@db/app?ssl=require&prepared_statement_cache_size=0", {
            "user": "u", "host": "db", "dbname": "app", "sslmode": "require"}),
        ("postgis://db/app?conn_max_age=60", {"host": "db", "dbname": "app"}),
        ("postgresql://db/app?schema=public&pgbouncer=true&connection_limit=1&sslmode=no-verify", {
            "host": "db", "dbname": "app", "sslmode": "require"}),
        ("postgres://db/app?pool=5&prepared_statements=false&encoding=utf8", {"host": "db", "dbname": "app"}),
        ("postgresql://u:p@db/app?serverVersion=16&charset=utf8", {  # as Symfony writes it
            "user": "u", "password": "p", "host": "db", "dbname": "app"}),
        ("postgresql://db/app?user=u&password=p&ssl=0&ApplicationName=x&currentSchema=public&prepareThreshold=0", {
            "host": "db", "dbname": "app", "user": "u", "password": "p", "sslmode": "disable",
            "application_name": "x"}),
        ("psql://db/app?CONN_MAX_AGE=60", {"host": "db", "dbname": "app"}),
        ("postgres://db/app?uselibpqcompat=true&sslmode=require", {
            "host": "db", "dbname": "app", "sslmode": "require"}),
        ("postgresql://?service=mine", {"service": "mine"}),
        ("postgresql://h/?dbname=app&connect_timeout=3", {"host": "h", "dbname": "app", "connect_timeout": "3"}),
    ],
)  # fmt: skip
def test_a_url_becomes_the_parameters_of_libpq(url: str, expected: dict[str, str]) -> None:
    defaults = {"connect_timeout": "10", "keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3"}
    assert _parse(url).parameters == {**defaults, **expected}


@pytest.mark.parametrize("url", ["postgresql://host", "postgresql://host/", "postgresql://host/app?color=red"])
def test_a_url_without_a_database_or_with_an_unknown_parameter_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        _parse(url)


def test_the_schema_of_a_url_is_no_selection() -> None:
    """It is refused with what to do, since the backup would hold more than the URL says. A schema is no secret."""
    installed()  # tells the core which parameters are shown
    with pytest.raises(UsageError, match="schema app") as caught:
        _parse("postgresql://h/app?schema=app")
    assert "--select app" in str(caught.value.hint)
    assert "?schema=app" in str(caught.value)


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ("sslmode=requir", "it can be disable, allow, prefer, require, verify-ca, verify-full"),
        ("ssl=yes", "it can be disable, allow, prefer, require, verify-ca, verify-full"),
        ("target_session_attrs=master", "it can be any, read-write, read-only, primary, standby, prefer-standby"),
        ("connect_timeout=10s", "it is a whole number"),
        ("keepalives_idle=", None),
        ("connect_timeout=%2B10", None),
    ],
)
def test_values_that_libpq_would_refuse_are_a_wrong_url_and_no_server_out_of_reach(
    query: str, hint: str | None
) -> None:
    if hint is None:
        assert _parse(f"postgresql://h/app?{query}").parameters
        return
    with pytest.raises(UsageError, match=r"in the URL postgresql://h/app\?\S+ is ") as caught:
        _parse(f"postgresql://h/app?{query}")
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    "scheme",
    [
        "postgresql+psycopg2",
        "postgresql+psycopg_async",
        "postgres+asyncpg",
        "postgis",
        "psql",
        "timescale",
        "ecto",
        "postgres",
    ],
)
def test_urls_of_applications_are_of_this_engine(
    server: PostgresServer, database: str, store: str, scheme: str
) -> None:
    url = server.url(database).replace("postgresql", scheme, 1)
    record = holdfast.backup(url, store=store)
    assert record.engine == "postgresql"
    assert holdfast.drill(record.id, store=store, into=server.url("").replace("postgresql", scheme, 1)).passed


def test_client_programs_that_do_not_know_a_parameter_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The libpq of the driver may be newer than theirs, which refuses what it does not know."""
    parameters = _parse("postgresql://h/app?sslnegotiation=direct").parameters
    for major in (15, 17):
        folder = tmp_path / str(major)
        folder.mkdir()
        for name in ("pg_dump", "pg_restore", "psql"):
            (folder / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {major}.9'\n")
            (folder / name).chmod(0o755)
    monkeypatch.setattr(programs, "_FOLDERS", (str(tmp_path / "*"),))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv(programs.VARIABLE, raising=False)
    assert programs.find_programs(15, why="it").major == 15
    assert programs.find_programs(15, why="it", parameters=parameters).major == 17
    monkeypatch.setenv(programs.VARIABLE, str(tmp_path / "15"))
    with pytest.raises(
        PluginError, match=r"it reached with the parameter sslnegotiation needs .* 17 or newer"
    ) as caught:
        programs.find_programs(15, why="it", parameters=parameters)
    assert caught.value.exit_code == 14


def test_argv_holds_neither_passwords_nor_settings(tmp_path: Path) -> None:
    """sslpassword, for which libpq has no environment variable, goes through a file of mode 0600."""
    location = _parse("postgresql://u:secret1@h/app?sslpassword=secret2&options=-c%20app.key%3Dsecret3&sslkey=/k")
    assert "secret" not in location.argument(tmp_path)
    assert "secret" not in location.label
    assert "secret" not in repr(location)
    environment = location.environment(tmp_path)
    assert environment["PGPASSWORD"] == "secret1"
    assert environment["PGOPTIONS"] == "-c app.key=secret3"
    service = Path(environment["PGSERVICEFILE"])
    assert "secret2" in service.read_text()
    assert service.stat().st_mode & 0o777 == 0o600
