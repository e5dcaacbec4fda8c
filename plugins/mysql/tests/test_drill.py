"""A drill finds every difference between what the snapshot held and what was restored, and leaves nothing behind."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.servers.mariadb import MariaDB
from support.sweeps import paired

import holdfast
from holdfast.api import DumpRequest, Facts, ObjectProof, Proof, RestoreRequest, Scratch, ScratchRequest, Stream
from holdfast.plugins.registry import Registry
from holdfast_mysql.plugin import plugin

ODD = Path(__file__).with_name("odd.sql").read_bytes()
ID = "20261123T201500Z-k3f9q2"


@dataclass
class Taken:
    """A dump in memory."""

    facts: Facts
    proof: Proof
    streams: dict[str, bytes]


class Held:
    """A blob of a dump in memory."""

    def __init__(self, name: str, data: bytes) -> None:
        self.data = data
        self.stream = Stream(name=name, size=len(data))

    def chunks(self) -> Iterator[bytes]:
        yield self.data

    def spool(self) -> Path:
        raise NotImplementedError


@pytest.fixture
def take(mariadb: MariaDB, tmp_path: Path) -> Callable[..., Taken]:
    """Dumps a database into memory."""

    def run(database: str, *, proof: bool | None = True, **options: object) -> Taken:
        engine = Registry().engine("mysql")
        request = DumpRequest(
            url=mariadb.url(database), scratch=tmp_path, options=engine.options(options), jobs=2, proof=proof
        )
        with engine.dump(request) as session:
            streams = {stream.name: b"".join(map(bytes, session.read(stream))) for stream in session.streams}
            recorded = session.proof()
            assert recorded is not None
            return Taken(facts=session.facts(), proof=recorded, streams=streams)

    return run


@pytest.fixture
def drilling(mariadb: MariaDB, tmp_path: Path) -> Callable[[Taken], Any]:
    """Restores a dump into a scratch database."""

    @contextlib.contextmanager
    def run(taken: Taken) -> Iterator[Scratch]:
        engine = Registry().engine("mysql")
        opened = plugin.holdfast_scratch(
            "mysql",
            ScratchRequest(
                id=ID, scratch=tmp_path, into=mariadb.url(), options=engine.options({}), jobs=2, facts=taken.facts.hints
            ),
        )
        assert opened is not None
        with opened as scratch:
            request = RestoreRequest(
                url=scratch.url,
                scratch=tmp_path,
                streams=tuple(Stream(name=name, size=len(data)) for name, data in taken.streams.items()),
                facts=taken.facts.hints,
                options=engine.options({}),
                jobs=2,
                drill=True,
            )
            with engine.restore(request) as session:
                for step in sorted(session.steps, key=lambda step: step.phase):
                    session.load(step, Held(step.stream, taken.streams[step.stream]))
                session.commit()
            yield scratch

    return run


def differences(recorded: Proof, computed: Proof) -> list[tuple[str, str]]:
    """Kind and name of every object that is not the same."""
    ours = {(proven.kind, proven.name): proven for proven in recorded.objects}
    theirs = {(proven.kind, proven.name): proven for proven in computed.objects}
    return sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))


@pytest.mark.sweep(1)
@pytest.mark.parametrize("form", ["wire", "sql"])
def test_what_was_restored_has_the_proof_of_what_was_there(
    mariadb: MariaDB, database: str, take: Callable[..., Taken], drilling: Callable[[Taken], Any],
    monkeypatch: pytest.MonkeyPatch, form: str,
) -> None:  # fmt: skip
    """Of every type, engine and kind of object; with tables divided into ranges, which are repeated."""
    import holdfast_mysql.rows.key_ranges

    monkeypatch.setattr(holdfast_mysql.rows.key_ranges, "ROWS", 500)
    mariadb.client(ODD, database=database, options=("--comments", "--binary-mode", "--default-character-set=utf8mb4"))
    mariadb.rows(f"CREATE TABLE {database}.word(id VARCHAR(20) COLLATE utf8mb4_unicode_ci PRIMARY KEY, v INT, KEY (v))")
    mariadb.rows("INSERT INTO word SELECT CONCAT('ä', seq), seq FROM seq_1_to_3000", database=database)
    mariadb.rows(f"ANALYZE TABLE {database}.word")
    taken = take(database, format=form)
    assert len(taken.proof.settings["ranges"]["word"]) > 3
    assert {"no_key", "history", "named_history", "bookings"} <= set(taken.proof.settings["sums"])
    assert taken.proof.settings["sums_in_passing"] == ["aria", "in_memory", "isam"]
    kinds = {proven.kind for proven in taken.proof.objects}
    assert kinds == {
        "database", "rows", "table", "sequence", "sequence state", "view", "trigger", "procedure", "function",
        "package", "package body", "event",
    }  # fmt: skip
    with drilling(taken) as scratch:
        assert scratch.check() == []
        computed = scratch.proof(taken.proof)
        assert differences(taken.proof, computed) == []
        assert computed == taken.proof
        assert scratch.server_version == taken.facts.server_version
    assert not [name for (name,) in mariadb.rows("SHOW DATABASES") if str(name).startswith("holdfast_drill_")]


def test_tables_without_a_key_are_summed_up_only_while_that_is_cheap_or_asked_for(
    mariadb: MariaDB, database: str, take: Callable[..., Taken], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default their rows are counted, and digested up to a size; `--proof` digests them all."""
    import holdfast_mysql.proof.rows

    monkeypatch.setattr(holdfast_mysql.proof.rows, "_FREE", 0)
    mariadb.rows(f"CREATE TABLE {database}.loose(a INT)")
    mariadb.rows(f"INSERT INTO {database}.loose VALUES (1), (2)")
    assert ObjectProof(kind="rows", name="loose", rows=2, digest="") in take(database, proof=None).proof.objects
    (rows,) = [proven for proven in take(database).proof.objects if proven.kind == "rows"]
    assert rows.rows == 2
    assert len(rows.digest) == 32


@pytest.mark.parametrize(
    ("kind", "number"), paired(["BIGINT UNSIGNED", "FLOAT", "DOUBLE"], ["", "7", "9007199254740993"])
)
def test_counters_of_every_type_are_proven(kind: str, number: str, mariadb: MariaDB, database: str, store: str) -> None:
    """Also of a table that has no rows yet, and where a float is no longer exact."""
    mariadb.rows(f"CREATE TABLE {database}.counted(id {kind} AUTO_INCREMENT PRIMARY KEY)")
    if number:
        mariadb.rows(f"INSERT INTO {database}.counted VALUES ({number})")
    record = holdfast.backup(mariadb.url(database), store=store)
    result = holdfast.drill(record, store=store, into=mariadb.url())
    assert (result.state, result.problems) == ("proven", ())


def test_a_row_that_cannot_be_digested_is_an_error(mariadb: MariaDB, database: str, take: Callable[..., Taken]) -> None:
    """The server makes NULL of what is longer than max_allowed_packet, and a NULL would vanish from a sum."""
    mariadb.rows(f"CREATE TABLE {database}.wide(a VARCHAR(20000), b VARCHAR(20000), c VARCHAR(20000)) CHARSET=latin1")
    mariadb.rows(f"INSERT INTO {database}.wide VALUES (REPEAT('a', 20000), REPEAT('b', 20000), 'c')")
    before = mariadb.rows("SELECT @@global.max_allowed_packet")[0][0]
    try:
        mariadb.rows("SET GLOBAL max_allowed_packet=32768")
        with pytest.raises(holdfast.HoldfastError, match="cannot digest table wide"):
            take(database)
    finally:
        mariadb.rows(f"SET GLOBAL max_allowed_packet={before}")


def test_a_proof_of_a_stranger_runs_no_sql_of_its_own(
    mariadb: MariaDB, database: str, take: Callable[..., Taken], drilling: Callable[[Taken], Any]
) -> None:
    mariadb.rows(f"CREATE TABLE {database}.keyed(id INT PRIMARY KEY)")
    taken = take(database)
    with drilling(taken) as scratch:
        for bound in ("1 OR SLEEP(9)", "(SELECT 1)", "'' OR ''=''", "0x61 UNION SELECT 1", "'a' COLLATE x; DROP"):
            settings = {"ranges": {"keyed": [[None, bound], [bound, None]]}, "sums": []}
            hostile = Proof(method=taken.proof.method, objects=(), settings=settings)
            with pytest.raises(holdfast.IntegrityError, match="that is no value"):
                scratch.proof(hostile)
        assert scratch.proof(Proof(method="another")).method == taken.proof.method


def test_what_killed_drills_left_is_dropped_and_nothing_else(
    mariadb: MariaDB, database: str, take: Callable[..., Taken], drilling: Callable[[Taken], Any]
) -> None:
    """Name and marker and a free lock: with any of them missing a database stays."""
    left, unmarked, held = (f"holdfast_drill_{ID}_{part}" for part in ("left", "unmarked", "held"))
    named = f"{database}_named"
    with mariadb.connect() as connection, connection.cursor() as cursor:
        for name in (left, unmarked, held, named):
            cursor.execute(f"CREATE DATABASE `{name}`")
        for name in (left, held, named):
            cursor.execute(f"CREATE TABLE `{name}`.holdfast_drill(backup VARCHAR(64))")
        cursor.execute(f"SELECT GET_LOCK('{held}', 0)")
        try:
            with drilling(take(database)):
                names = {name for (name,) in mariadb.rows("SHOW DATABASES")}
                assert left not in names
                assert {unmarked, held, named} <= names
                listed = plugin.holdfast_databases("mysql", mariadb.url())
                assert listed is not None
                assert mariadb.url(database) in listed
                assert not [url for url in listed if held in url or "information_schema" in url or url[-6:] == "/mysql"]
        finally:
            for name in (unmarked, held, named):
                cursor.execute(f"DROP DATABASE `{name}`")


def test_a_scratch_database_goes_whatever_happens_and_needs_a_server(
    mariadb: MariaDB, database: str, take: Callable[..., Taken], drilling: Callable[[Taken], Any], tmp_path: Path
) -> None:
    taken = take(database)
    with pytest.raises(RuntimeError, match="aborted"), drilling(taken):
        raise RuntimeError("aborted")
    assert not [name for (name,) in mariadb.rows("SHOW DATABASES") if str(name).startswith("holdfast_drill_")]
    opened = plugin.holdfast_scratch("mysql", ScratchRequest(id=ID, scratch=tmp_path))
    assert opened is not None
    with pytest.raises(holdfast.UsageError) as caught:
        opened.__enter__()
    assert "--into" in str(caught.value.hint)
