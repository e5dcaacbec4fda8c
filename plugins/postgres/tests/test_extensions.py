"""Extensions that keep rows of their own: what a backup holds of them, and where it comes back."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from support.postgres_proofs import Differences, differences, recorded_proof
from support.servers.postgres import PostgresServer
from support.servers.postgres_extension import MODE, PLACE, OwnExtension, own_extension, rows_of_users
from support.sweeps import paired, swept

import holdfast
from holdfast.errors import HoldfastError, UnsafeError, UsageError
from holdfast_postgres import special_extensions
from holdfast_postgres.hints import ExtensionHint
from holdfast_postgres.proof.record import repeat_proof
from holdfast_postgres.session import settings

pytestmark = pytest.mark.usefixtures("several_sessions")

ROWS = 3000
FORMATS = ("parallel", "custom", "directory", "tar")


@pytest.fixture(scope="module")
def installed(postgres_server: PostgresServer) -> Iterator[OwnExtension]:
    """The files of the extension, once for all tests here."""
    with own_extension(postgres_server) as extension:
        yield extension


@pytest.fixture
def extension(installed: OwnExtension) -> OwnExtension:
    """An extension that the server has, as it is at first."""
    installed.install()
    return installed


@pytest.fixture
def filled(server: PostgresServer, database: str, extension: OwnExtension) -> str:
    """A database with rows in the tables of the extension, and a table that needs some of them."""
    server.execute(
        database,
        *rows_of_users(extension.name),
        "CREATE TABLE at (id int PRIMARY KEY, where_it_is kind_number, pad text)",
        f"INSERT INTO at SELECT i, i % 5 + 1, repeat('x', 500) FROM generate_series(1, {ROWS}) i",
        "CREATE TABLE other (id int)",
        "INSERT INTO other VALUES (1)",
    )
    return database


def content(server: PostgresServer, database: str) -> list[Any]:
    """What the tables hold, and the sequence."""
    queries = (
        "SELECT * FROM kind ORDER BY id",
        "SELECT * FROM chapter",
        "SELECT * FROM book",
        "SELECT count(*), sum(where_it_is) FROM at",
        "SELECT last_value, is_called FROM kind_id_seq",
    )
    return [server.rows(database, query) for query in queries]


@pytest.mark.parametrize("told", [True, False], ids=["told", "of-a-backup-that-does-not-tell"])
def test_a_selection_takes_the_extension_whose_operators_a_constraint_uses(
    server: PostgresServer, database: str, store: str, target: str, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry of a constraint in pg_dump's archives depends on its table alone."""
    server.execute(
        database,
        "CREATE EXTENSION btree_gist",
        "CREATE EXTENSION hstore",
        "CREATE TABLE booking (room int, during tsrange, EXCLUDE USING gist (room WITH =, during WITH &&))",
        "CREATE TABLE other (pairs hstore)",
        "INSERT INTO booking VALUES (1, tsrange('2026-11-01', '2026-11-02'))",
    )
    if not told:
        monkeypatch.setattr("holdfast_postgres.dump.extensions.ExtensionHint", _without_constraints)
    record = holdfast.backup(server.url(database), store=store)
    server.execute(target, "CREATE TABLE stays (id int)")
    holdfast.restore(record.id, server.url(target), store=store, select=("booking",))
    assert server.value(target, "SELECT count(*) FROM booking") == 1
    assert server.value(target, "SELECT count(*) FROM pg_constraint WHERE contype = 'x'") == 1
    installed = server.value(target, "SELECT array_agg(extname::text) FROM pg_extension WHERE extname <> 'plpgsql'")
    assert installed == ["btree_gist"] if told else "btree_gist" in installed


def _without_constraints(**fields: Any) -> ExtensionHint:
    """As backups had it before."""
    return ExtensionHint(**{**fields, "constraints": None})


@pytest.mark.parametrize("pg_format", ["parallel", "custom", "directory"])
def test_a_selection_takes_the_rows_of_the_extensions_that_it_needs(
    server: PostgresServer, store: str, filled: str, target: str, pg_format: str
) -> None:
    """Values of their types may be refused without, at the restore of a whole backup and of one of a selection."""
    options = {"format": pg_format, "large_table": "0"} if pg_format == "parallel" else {"format": pg_format}
    whole = holdfast.backup(server.url(filled), store=store, options=options, jobs=4)
    part = holdfast.backup(server.url(filled), store=store, options=options, select=("at",))
    holdfast.restore(whole.id, server.url(target), store=store, select=("at",), jobs=4)
    assert content(server, target) == content(server, filled)
    assert "public.other" not in server.relations(target)
    with server.database() as second:
        holdfast.restore(part.id, server.url(second), store=store)
        assert content(server, second) == content(server, filled)


@pytest.mark.parametrize(("pg_format", "jobs"), paired(["parallel", "custom", "tar"], [4, 1]))
def test_tables_of_an_extension_that_refer_to_each_other_come_back(
    server: PostgresServer, store: str, filled: str, target: str, pg_format: str, jobs: int
) -> None:
    """pg_restore reports an error there; a backup of ours says nothing of it, and a drill proves it."""
    backup = holdfast.backup(server.url(filled), store=store, options={"format": pg_format}, proof=True)
    assert not backup.warnings
    holdfast.restore(backup.id, server.url(target), store=store, jobs=jobs)
    assert content(server, target) == content(server, filled)
    assert holdfast.drill(backup.id, store=store, into=server.url("postgres"), jobs=jobs).state == "proven"


def test_another_version_at_the_target_is_said(
    server: PostgresServer, store: str, filled: str, target: str, extension: OwnExtension
) -> None:
    """That which CREATE EXTENSION would take, or that which somebody has installed there."""
    backup = holdfast.backup(server.url(filled), store=store)
    extension.install("1.1")
    said = f"the target has other versions of extensions than the backup: {extension.name} 1.0 (here 1.1)"
    assert holdfast.restore(backup.id, server.url(target), store=store).warnings == (said,)
    with server.database() as prepared:
        server.execute(prepared, f"CREATE EXTENSION {extension.name} VERSION '1.0'")
        assert not holdfast.restore(backup.id, server.url(prepared), store=store).warnings


def test_an_extension_elsewhere_at_the_target_is_refused_where_it_is_needed(
    server: PostgresServer, store: str, filled: str, target: str, extension: OwnExtension
) -> None:
    """Else the restore would end in the middle; where nothing needs it, it may stay."""
    backup = holdfast.backup(server.url(filled), store=store)
    server.execute(target, "CREATE SCHEMA ext", f"CREATE EXTENSION {extension.name} SCHEMA ext")
    with pytest.raises(UnsafeError, match=f"{extension.name} in schema ext, the backup in public"):
        holdfast.restore(backup.id, server.url(target), store=store)
    assert "public.other" not in server.relations(target)


def test_a_missing_extension_of_a_selection_is_named_before_anything_is_made(
    server: PostgresServer, store: str, filled: str, target: str
) -> None:
    """What the selection does not need may be missing."""
    server.execute(filled, "CREATE SCHEMA own", "CREATE TABLE own.plain (a int)")
    server.execute(filled, "UPDATE pg_extension SET extname = 'not_there' WHERE extname LIKE 'holdfast%'")
    backup = holdfast.backup(server.url(filled), store=store)
    with pytest.raises(HoldfastError, match="does not have the extension not_there"):
        holdfast.restore(backup.id, server.url(target), store=store, select=("at",))
    assert not server.relations(target)
    holdfast.restore(backup.id, server.url(target), store=store, select=("plain",))
    assert server.relations(target) == {"own.plain"}


def test_rows_that_an_extension_does_not_leave_to_dumps_are_named(
    server: PostgresServer, store: str, filled: str, extension: OwnExtension
) -> None:
    """Those that it made itself, or its update did, are not: they come back with it."""
    assert not holdfast.backup(server.url(filled), store=store).warnings
    server.execute(filled, f"ALTER EXTENSION {extension.name} UPDATE TO '1.1'", "VACUUM FREEZE note")
    assert not holdfast.backup(server.url(filled), store=store).warnings
    server.execute(filled, "INSERT INTO note VALUES ('of a user')")
    said = "rows that extensions do not let pg_dump take are not in the backup: those of public.note"
    assert holdfast.backup(server.url(filled), store=store).warnings == (said,)
    assert not holdfast.backup(server.url(filled), store=store, options={"schema_only": "true"}).warnings


def test_a_drill_compares_the_rows_of_extensions_where_they_have_the_same_version(
    server: PostgresServer, store: str, filled: str, extension: OwnExtension
) -> None:
    """Those that the extension brings itself count no more than those of another version."""
    before = recorded_proof(holdfast.backup(server.url(filled), store=store, proof=True))

    def compared() -> tuple[Differences, list[str]]:
        with server.connect(filled) as connection, connection.transaction(force_rollback=True):
            connection.execute(settings(major))
            session: Any = lambda: contextlib.nullcontext(connection)  # noqa: E731
            proof, warnings = repeat_proof(before, session, major=major, jobs=1)
            return differences(before, proof), warnings

    major = int(server.value(filled, "SHOW server_version_num")) // 10000
    server.execute(filled, "UPDATE kind SET name = 'x' WHERE built_in")
    assert compared() == (set(), [])
    server.execute(filled, "UPDATE kind SET name = 'x' WHERE id = 3")
    assert compared() == ({("table", "public.kind")}, [])
    server.execute(filled, f"ALTER EXTENSION {extension.name} UPDATE TO '1.1'")
    said = f"rows not compared, since the server has other versions: of extension {extension.name}"
    assert compared() == (set(), [said])


def test_a_failed_restore_leaves_no_rows_in_an_extension_that_was_there(
    server: PostgresServer, store: str, filled: str, target: str, extension: OwnExtension
) -> None:
    """The extension stays, with the rows that it brought itself."""
    server.execute(filled, "CREATE TABLE late (a int CHECK (coalesce(current_setting('own.there', true), '') = 'on'))",
                   "SET own.there = on", "INSERT INTO late VALUES (1)")  # fmt: skip
    backup = holdfast.backup(server.url(filled), store=store)
    server.execute(target, f"CREATE EXTENSION {extension.name}")
    with pytest.raises(HoldfastError, match="late"):
        holdfast.restore(backup.id, server.url(target), store=store)
    assert server.rows(target, "SELECT name FROM kind UNION ALL SELECT id::text FROM book") == [("plain",)]
    assert server.relations(target) == {f"public.{name}" for name in ("kind", "chapter", "book", "note")}


@pytest.fixture
def moded(server: PostgresServer, database: str, extension: OwnExtension, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with an extension that has a mode for restores."""
    extension.install(more=MODE)
    mode = ("own_pre_restore", "own_post_restore", "own.restoring")
    monkeypatch.setitem(special_extensions.MODES, extension.name, mode)
    server.execute(
        database,
        *rows_of_users(extension.name, guarded=True),
        "CREATE TABLE at (id int PRIMARY KEY, where_it_is kind_number, pad text)",
        "INSERT INTO at SELECT i, i % 5 + 1, 'x' FROM generate_series(1, 100) i",
    )
    return database


@pytest.mark.parametrize("pg_format", swept("parallel", "plain", long=FORMATS[1:]))
def test_an_extension_is_restored_in_its_mode_for_restores(
    server: PostgresServer, store: str, moded: str, target: str, extension: OwnExtension, pg_format: str
) -> None:
    """In a drill, into an empty database, and in the place of another; afterwards the mode has ended."""
    options = {"format": pg_format, "large_table": "0"} if pg_format == "parallel" else {"format": pg_format}
    if pg_format == "plain":  # a script that has its own order and session
        server.execute(moded, "TRUNCATE book, chapter, at")
    backup = holdfast.backup(server.url(moded), store=store, options=options, proof=True)
    assert holdfast.drill(backup.id, store=store, into=server.url("postgres"), jobs=4).state == "proven"
    holdfast.restore(backup.id, server.url(target), store=store, jobs=4)
    holdfast.restore(backup.id, server.url(target), store=store, jobs=4, replace=True)
    assert content(server, target) == content(server, moded)
    assert not server.rows(target, "SELECT FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase "
                                   "WHERE datname = current_database()")  # fmt: skip
    extension.install("1.1", more=MODE)
    with server.database() as other:
        server.execute(other, "CREATE TABLE public.there (a int)")
        with pytest.raises(UnsafeError):
            holdfast.restore(backup.id, server.url(other), store=store)


def test_a_failed_restore_leaves_no_mode_behind(
    server: PostgresServer, store: str, moded: str, target: str, extension: OwnExtension
) -> None:
    """Which the database would keep for all of its sessions."""
    server.execute(
        moded,
        "CREATE FUNCTION there() RETURNS bool IMMUTABLE LANGUAGE sql RETURN current_setting('own.there', true) = 'on'",
        "CREATE TABLE late (a int CHECK (coalesce(there(), false)))",
        "SET own.there = on",
        "INSERT INTO late VALUES (1)",
    )
    backup = holdfast.backup(server.url(moded), store=store)
    with pytest.raises(HoldfastError):
        holdfast.restore(backup.id, server.url(target), store=store)
    assert server.relations(target) == set()
    assert server.value(target, "SELECT current_setting('own.restoring', true)") in (None, "")


def test_what_only_one_database_may_have_comes_back_there_alone(
    server: PostgresServer, store: str, database: str, extension: OwnExtension, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a copy and in a drill it is left out, which a warning says; the drill proves the rest."""
    extension.install(more=PLACE)
    monkeypatch.setitem(special_extensions.PLACES, extension.name, "own.place")
    server.execute("postgres", f"ALTER ROLE postgres SET own.place = '{database}'")
    try:
        server.execute(database, *rows_of_users(extension.name), "CREATE TABLE other AS SELECT 1 AS a")
        server.execute(database, "TRUNCATE book, chapter")
        before = server.rows(database, "SELECT * FROM kind")
        backup = holdfast.backup(server.url(database), store=store, proof=True)
        drill = holdfast.drill(backup.id, store=store, into=server.url("postgres"))
        assert drill.state == "proven"
        assert any("own.place" in warning for warning in drill.warnings)
        with server.database() as copy:
            restored = holdfast.restore(backup.id, server.url(copy), store=store)
            assert any(extension.name in warning for warning in restored.warnings)
            assert server.relations(copy) == {"public.other"}
        server.execute(database, "DELETE FROM kind WHERE id > 3")
        restored = holdfast.restore(backup.id, server.url(database), store=store, replace=True)
        assert not restored.warnings
        assert server.rows(database, "SELECT * FROM kind") == before
    finally:
        server.execute("postgres", "ALTER ROLE postgres RESET own.place")


@pytest.mark.parametrize("form", ["parallel", "plain"])
def test_what_the_script_of_an_extension_says_is_no_damage(
    server: PostgresServer, store: str, database: str, extension: OwnExtension, form: str
) -> None:
    """It is the server's own, and may want a library that is loaded, or another database."""
    server.execute(database, f"CREATE EXTENSION {extension.name}")
    backup = holdfast.backup(server.url(database), store=store, options={"format": form})
    extension.install(more="DO $$ BEGIN RAISE 'own must be loaded via shared_preload_libraries'; END $$;")
    with pytest.raises(HoldfastError, match="must be loaded") as failed:
        holdfast.drill(backup.id, store=store, into=server.url("postgres"))
    assert failed.value.exit_code == 1
    assert "start it again" in str(failed.value.hint)
    assert holdfast.list_backups(store)[0].state == "complete"


def test_a_selection_does_not_divide_what_an_extension_keeps_together(
    server: PostgresServer, store: str, moded: str, target: str, extension: OwnExtension,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A table of its catalog tells which; all but other tables can be taken."""
    server.execute(moded, "CREATE TABLE other (a int)", "CREATE TABLE more (a int)")
    query = "SELECT 'public', 'other'"
    monkeypatch.setitem(special_extensions.UNDIVIDED, extension.name, query)
    backup = holdfast.backup(server.url(moded), store=store)
    with pytest.raises(UsageError, match="other"):
        holdfast.backup(server.url(moded), store=store, select=("other",))
    with pytest.raises(UsageError, match="other"):
        holdfast.restore(backup.id, server.url(target), store=store, select=("other",))
    with pytest.raises(UsageError, match="other"):
        holdfast.restore(backup.id, server.url(target), store=store, exclude=("other",))
    holdfast.restore(backup.id, server.url(target), store=store, exclude=("more",))
    assert content(server, target) == content(server, moded)
