"""A proxy or pooler that takes what is sent and passes nothing on: every wait has an end, and a signal ends it."""

import signal
import subprocess
import sys

import pytest
from support.postgres_faults import wait_until
from support.postgres_proxy import cutting_proxy, silent_proxy
from support.servers.postgres import PostgresServer

import holdfast
from holdfast.api import LockedError, UnreachableError
from holdfast_postgres import session, silence
from holdfast_postgres.client import stalls
from holdfast_postgres.location import Location
from holdfast_postgres.session import connect
from holdfast_postgres.target import databases


@pytest.fixture
def backup(server: PostgresServer, database: str, store: str) -> str:
    """The id of a backup with a proof."""
    server.execute(database, "CREATE TABLE t AS SELECT generate_series(1, 100) AS a")
    return holdfast.backup(server.url(database), store=store, proof=True).id


@pytest.fixture(autouse=True)
def _fewer_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "_TRIES", 2)
    monkeypatch.setattr(silence, "_silent", {})
    monkeypatch.setattr(stalls, "_TIMES", 1)


@pytest.mark.sweep(2)
@pytest.mark.parametrize("at", [b"CREATE DATABASE", b"CREATE TABLE"])
def test_a_restore_ends_once_nobody_answers(
    server: PostgresServer, database: str, store: str, backup: str, at: bytes
) -> None:
    """Whether the statement is one of ours or one of pg_restore, which itself would wait for ever."""
    with silent_proxy(server.port, at) as proxy:
        with pytest.raises(UnreachableError, match="no answer from the server") as caught:
            holdfast.restore(backup, proxy.url(f"{database}_new"), store=store, options={"create": "true"})
        assert proxy.silent.is_set()
        assert "passes on what it takes" in (caught.value.hint or "") or "by hand" in (caught.value.hint or "")
    server.drop(f"{database}_new")


@pytest.mark.parametrize("form", ["parallel", "plain"])
def test_a_restore_ends_once_a_session_of_its_programs_alone_gets_no_answer(
    server: PostgresServer, database: str, target: str, store: str, form: str
) -> None:
    """The server says that all sessions of pg_restore or psql wait for it, which does nothing either."""
    server.execute(database, "CREATE TABLE t AS SELECT generate_series(1, 100) AS a")
    record = holdfast.backup(server.url(database), store=store, options={"format": form})
    with (
        silent_proxy(server.port, b"CREATE TABLE", alone=True) as proxy,
        pytest.raises(UnreachableError, match="its sessions wait for us"),
    ):
        holdfast.restore(record.id, proxy.url(target), store=store)
    assert server.relations(target) == set()


def test_a_drill_ends_once_nobody_answers(server: PostgresServer, store: str, backup: str) -> None:
    """The drill after it drops what this one has to leave."""
    server_before = server.databases()
    with (
        silent_proxy(server.port, b"bt_index_check") as proxy,
        pytest.raises(UnreachableError, match=r"no answer|cannot connect"),
    ):
        holdfast.drill(backup, store=store, into=proxy.url(""))
    assert server.quiet()
    assert holdfast.drill(backup, store=store, into=server.url("")).state == "proven"
    assert server.databases() == server_before


def test_a_session_that_lost_its_answer_alone_ends(server: PostgresServer, database: str) -> None:
    """The server says that the session waits for us, while we wait for it; others are answered."""
    with silent_proxy(server.port, b"generate_series", alone=True) as proxy:
        connection = connect(Location.parse(proxy.url(database), connect_timeout=1))
        with pytest.raises(silence.SilentServerError, match="the session waits for us"):
            connection.execute("SELECT count(*) FROM generate_series(1, 10)")
        assert connection.closed


def test_a_statement_that_takes_long_is_waited_for(server: PostgresServer, database: str) -> None:
    """Longer than all questions together."""
    location = Location.parse(server.url(database, connect_timeout="1"), connect_timeout=1)
    connection = connect(location)
    connection.patience = 0.1
    assert connection.execute("SELECT pg_sleep(1.5), 7").fetchone() == ("", 7)
    connection.close()


def test_a_pooler_that_answers_itself_and_no_server_behind_it(
    server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the login; the first statement has a limit of its own."""
    monkeypatch.setattr(session, "_FIRST_ANSWER", 0.3)
    with (
        silent_proxy(server.port, b"pg_backend_pid", alone=True) as proxy,
        pytest.raises(UnreachableError, match="no answer from the server"),
    ):
        connect(Location.parse(proxy.url(database), connect_timeout=1))


@pytest.mark.parametrize("verb", ["restore", "drill"])
def test_a_signal_ends_at_once_what_waits_for_a_silent_server(
    server: PostgresServer, database: str, store: str, backup: str, verb: str
) -> None:
    """A few seconds for the attempt to undo, with which a server that answers would be left clean."""
    with silent_proxy(server.port, b"CREATE DATABASE") as proxy:
        into = {
            "restore": [proxy.url(f"{database}_new", connect_timeout="3"), "-o", "create=true"],
            "drill": ["--into", proxy.url("", connect_timeout="3")],
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "holdfast", verb, backup, *into[verb], "--store", store],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(proxy.silent.is_set)
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 130


def test_what_waits_for_a_lock_on_a_database_has_an_end(
    server: PostgresServer, database: str, store: str, backup: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The template is locked by whoever changes it."""
    monkeypatch.setattr(databases, "_LOCK_WAIT", 0.2)
    with server.connect("postgres") as other, other.transaction():
        other.execute("ALTER DATABASE template0 RENAME TO templ")
        with pytest.raises(LockedError, match="template0"):
            holdfast.restore(backup, server.url(f"{database}_new"), store=store, options={"create": "true"})
        other.execute("ALTER DATABASE templ RENAME TO template0")


def test_a_database_whose_making_lost_its_answer_is_dropped(
    server: PostgresServer, database: str, target: str, store: str, backup: str
) -> None:
    """The server made it; its name, beside the target's, is known to nobody but this restore."""
    server.execute(target, "CREATE TABLE old (a int)")
    before = server.databases()
    with cutting_proxy(server.port, b"CREATE DATABASE") as proxy, pytest.raises(UnreachableError):
        holdfast.restore(backup, proxy.url(target), store=store, replace=True)
    assert proxy.silent.is_set()
    assert server.databases() == before
    assert server.relations(target) == {"public.old"}
