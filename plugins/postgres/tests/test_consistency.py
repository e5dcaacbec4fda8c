"""Every backup shows one moment, whatever others do meanwhile."""

import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.servers.postgres import PostgresServer
from support.sweeps import tries

import holdfast
from holdfast.api import DumpRequest, LockedError
from holdfast_postgres import snapshot
from holdfast_postgres.dump import open_dump
from holdfast_postgres.options import PostgresOptions

_BACKUPS = tries(6, long=20)


def _request(url: str, tmp_path: Path, **options: Any) -> DumpRequest:
    scratch = tmp_path / "scratch"
    scratch.mkdir(mode=0o700, exist_ok=True)
    return DumpRequest(url=url, scratch=scratch, options=PostgresOptions(**options), jobs=2)


def test_the_balances_agree_in_every_backup_under_load(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    """pgbench's TPC-B moves money between four tables in each transaction."""
    where = ("-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres")
    server.run.output("pgbench", *where, "-i", "-q", "-s", "1", database)
    load = subprocess.Popen(
        server.run.command("pgbench", *where, "-c", "3", "-R", "500", "-T", "120", "-n", database),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        options = {"large_table": "0", "part_size": "2MB"}
        url = server.url(database)
        records = [holdfast.backup(url, store=store, codec="none", jobs=2, options=options) for _ in range(_BACKUPS)]
    finally:
        load.terminate()
        load.wait()
    seen = [_balances(Path(record.path)) for record in records]
    assert all(len(set(sums.values())) == 1 for sums in seen)
    assert len({sums["accounts"] for sums in seen}) > 2 * _BACKUPS // 3  # the load was really running
    holdfast.restore(records[-1].id, server.url(target), store=store, jobs=2)
    for name, column in _BALANCES.items():
        query = f"SELECT coalesce(sum({column}), 0)::int FROM pgbench_{name}"
        assert server.value(target, query) == seen[-1][name]


_BALANCES = {"accounts": "abalance", "branches": "bbalance", "tellers": "tbalance", "history": "delta"}
_COLUMNS = {"accounts": 2, "branches": 1, "tellers": 2, "history": 3}


def _balances(folder: Path) -> dict[str, int]:
    """The sums in the rows of one backup, by table."""
    sums = {}
    for name, column in _COLUMNS.items():
        paths = [*folder.glob(f"data/public.pgbench_{name}.copy"), *folder.glob(f"data/public.pgbench_{name}/*.copy")]
        assert paths
        sums[name] = sum(int(line.split("\t")[column]) for path in paths for line in path.read_text().splitlines())
    return sums


@pytest.mark.parametrize(
    "meanwhile",
    [
        'TRUNCATE "t"',
        'DROP TABLE "t"; CREATE TABLE t (id int)',
        'ALTER TABLE "t" ALTER COLUMN id TYPE bigint',
        "ALTER TABLE t RENAME TO other; CREATE TABLE t (id int)",
        "CREATE TABLE later AS SELECT 1 AS id",
    ],
    ids=["truncate", "drop", "rewrite", "rename", "create"],
)
def test_a_change_between_listing_and_locking_is_seen(
    server: PostgresServer,
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: str,
) -> None:
    """The backup holds what the change left, and not the emptiness that a snapshot before the lock would show."""
    server.execute(database, "CREATE TABLE t AS SELECT generate_series(1, 1000) AS id")
    lock = snapshot._lock
    done: list[bool] = []

    def late(*arguments: Any) -> None:
        if not done:
            done.append(True)
            server.execute(database, meanwhile)
        lock(*arguments)

    monkeypatch.setattr(snapshot, "_lock", late)
    with open_dump(_request(server.url(database), tmp_path, large_table="0")) as session:
        streams = {stream.name: b"".join(bytes(chunk) for chunk in session.read(stream)) for stream in session.streams}
    counted = {name: len(data.splitlines()) for name, data in streams.items() if name.startswith("data/")}
    with server.connect(database) as connection:
        for name, rows in counted.items():
            table = name.removeprefix("data/")
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (rows,)
    assert len(counted) == len(
        server.rows(database, "SELECT FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
    )


def test_tables_that_change_all_the_time_end_in_an_error(
    server: PostgresServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After five attempts."""
    lock = snapshot._lock

    def late(*arguments: Any) -> None:
        server.execute(database, "DROP TABLE IF EXISTS busy", "CREATE TABLE busy (a int)")
        lock(*arguments)

    monkeypatch.setattr(snapshot, "_lock", late)
    with pytest.raises(LockedError, match="changed 5 times"), open_dump(_request(server.url(database), tmp_path)):
        pass


@pytest.mark.parametrize("statement", ["TRUNCATE t", "DROP TABLE t", "ALTER TABLE t ADD COLUMN b int DEFAULT 1"])
def test_a_change_during_the_dump_is_an_error_and_never_missing_rows(
    server: PostgresServer, database: str, tmp_path: Path, statement: str
) -> None:
    """It waits for our lock, our readers would wait behind it: they give up after lock_timeout."""
    server.execute(database, "CREATE TABLE t AS SELECT generate_series(1, 1000) AS id")
    with open_dump(_request(server.url(database), tmp_path, large_table="0", lock_timeout=0.3)) as session:
        waiting = threading.Thread(target=lambda: _try(server, database, statement))
        waiting.start()
        _wait(lambda: server.value(database, "SELECT count(*) FROM pg_locks WHERE NOT granted") > 0)
        part = next(stream for stream in session.streams if stream.name == "data/public.t")
        with pytest.raises(LockedError, match=r"public\.t"):
            list(session.read(part))
        archive = session.streams[0]
        with pytest.raises(LockedError):
            list(session.read(archive))
    waiting.join(10)
    assert not waiting.is_alive()


def _try(server: PostgresServer, database: str, statement: str) -> None:
    with suppress(psycopg.Error):
        server.execute(database, statement)


def _wait(condition: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do."""
    import time

    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_table_that_somebody_locks_is_named_within_the_timeout(
    server: PostgresServer, database: str, store: str, holdfast_cli: Callable[..., Any]
) -> None:
    """Exit code 11, the table and the process that holds it."""
    server.execute(database, 'CREATE TABLE "my table" (a int)')
    with server.connect(database, application_name="the holder") as holder:
        holder.autocommit = False
        holder.execute('LOCK TABLE "my table" IN ACCESS EXCLUSIVE MODE')
        done = holdfast_cli("backup", server.url(database), "-o", "lock_timeout=0.2")
        pid = holder.info.backend_pid
        holder.rollback()
    assert done.returncode == 11
    assert "public.my table" in done.stderr
    assert str(pid) in done.stderr
    assert "the holder" in done.stderr
    assert "lock_timeout" in done.stderr
    assert server.quiet()


def test_the_manifest_tells_the_moment(server: PostgresServer, database: str, store: str) -> None:
    """LSN, timeline, snapshot and the settings that matter."""
    import json

    server.execute(database, "CREATE TABLE t (a int)")
    before = server.value(database, "SELECT pg_current_wal_lsn()")
    record = holdfast.backup(server.url(database), store=store)
    after = server.value(database, "SELECT pg_current_wal_lsn()")
    manifest = json.loads(Path(record.path, "backup_manifest.json").read_text())
    point = manifest["consistency_point"]
    assert _lsn(before) <= _lsn(point["lsn"]) <= _lsn(after)
    assert point["timeline"] == 1
    assert point["settings"]["server_encoding"] == "UTF8"
    assert manifest["source"]["server_version"] == server.value(database, "SHOW server_version")
    assert manifest["tool"]["programs"]["pg_dump"]


def _lsn(text: str) -> int:
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def test_a_standby_is_backed_up_as_well(server: PostgresServer, target: str, store: str, tmp_path: Path) -> None:
    """All but unlogged tables, which it does not have: they are named in a warning."""
    from support.servers.postgres import server_folder

    with server.database() as source, server_folder(server.run) as folder:
        server.execute(
            source,
            "CREATE TABLE t AS SELECT generate_series(1, 5000) AS id",
            "CREATE UNLOGGED TABLE u AS SELECT 1 AS a",
            "CREATE SEQUENCE s",
        )
        standby = server.standby(folder)
        try:
            lsn = server.value(source, "SELECT pg_current_wal_lsn()")
            _wait(lambda: bool(standby.value("postgres", f"SELECT pg_last_wal_replay_lsn() >= '{lsn}'")))
            record = holdfast.backup(standby.url(source), store=store, options={"large_table": "0"})
            primary = holdfast.backup(server.url(source), store=store)
        finally:
            standby.stop()
        assert record.name == primary.name  # a standby is the same source
        assert any("public.u" in warning for warning in _manifest(record)["warnings"])
        assert _manifest(record)["consistency_point"]["standby"] is True
        holdfast.restore(record.id, server.url(target), store=store)
        assert server.value(target, "SELECT count(*) FROM t") == 5000
        assert server.value(target, "SELECT count(*) FROM u") == 0


def _manifest(record: Any) -> Any:
    import json

    return json.loads(Path(record.path, "backup_manifest.json").read_text())


def test_a_backup_of_a_role_that_sees_too_little_is_refused(
    server: PostgresServer, database: str, holdfast_cli: Callable[..., Any]
) -> None:
    """Row security that hides rows, a table without SELECT: exit code 12, and the table is named."""
    role = f"limited_{database}"
    server.execute(
        database,
        f"CREATE ROLE {role} LOGIN",
        "CREATE TABLE seen (a int)",
        "CREATE TABLE hidden (a int)",
        "INSERT INTO hidden VALUES (1)",
        f"GRANT SELECT ON seen, hidden TO {role}",
        "ALTER TABLE hidden ENABLE ROW LEVEL SECURITY",
        "CREATE TABLE closed (a int)",
    )
    try:
        url = server.url(database, user=role)
        done = holdfast_cli("backup", url)
        assert (done.returncode, "closed" in done.stderr) == (12, True)
        server.execute(database, "DROP TABLE closed")
        for options in ((), ("-o", "large_table=0")):
            done = holdfast_cli("backup", url, *options)
            assert (done.returncode, "hidden" in done.stderr) == (12, True), done.stderr
            assert "BYPASSRLS" in done.stderr
        assert holdfast_cli("list").stdout.strip() == ""
        server.execute(database, "ALTER TABLE hidden DISABLE ROW LEVEL SECURITY")
        assert holdfast_cli("backup", url).returncode == 0
    finally:
        server.execute(database, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_leaving_a_dump_frees_every_session_and_lock(server: PostgresServer, database: str, tmp_path: Path) -> None:
    """Also while another thread is reading from a slow query."""
    server.execute(
        database,
        "CREATE TABLE t AS SELECT n AS id, repeat('x', 1000) AS text FROM generate_series(1, 20000) n",
    )
    ended: list[BaseException] = []
    with open_dump(_request(server.url(database), tmp_path, large_table="0")) as session:
        part = next(stream for stream in session.streams if stream.name == "data/public.t")
        begun = threading.Event()

        def read() -> None:
            try:
                for _ in session.read(part):
                    begun.set()
                    threading.Event().wait(0.05)
            except BaseException as error:  # noqa: BLE001
                ended.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        assert begun.wait(10)
    reader.join(10)
    assert not reader.is_alive()
    assert ended
    assert server.quiet()
    with server.connect(database) as connection, connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '1s'")
        connection.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
    assert isinstance(ended[0], holdfast.HoldfastError | psycopg.Error)
