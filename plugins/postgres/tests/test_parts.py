"""The parts that need no server: URLs, scripts, messages, versions."""

import io
import itertools
import tarfile
from pathlib import Path

import pytest

from holdfast.api import HoldfastError, IntegrityError, PluginError, UsageError
from holdfast_postgres.catalog import SequenceState, Table
from holdfast_postgres.client import programs
from holdfast_postgres.client.programs import Programs
from holdfast_postgres.dump.table_parts import parts
from holdfast_postgres.formats import script
from holdfast_postgres.formats.directory import directory_chunks, unpack
from holdfast_postgres.location import Location
from holdfast_postgres.options import PostgresOptions
from holdfast_postgres.restore.restore_log import Classifier, Severity, classify
from holdfast_postgres.session import literal, quoted


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


def test_argv_holds_neither_passwords_nor_settings(tmp_path: Path) -> None:
    """sslpassword, for which libpq has no environment variable, goes through a file of mode 0600."""
    location = _parse("postgresql://u:secret1@h/app?sslpassword=secret2&options=-c%20app.key%3Dsecret3&sslkey=/k")
    assert "secret" not in location.argument(tmp_path)
    assert "secret" not in location.shown
    assert "secret" not in repr(location)
    environment = location.environment(tmp_path)
    assert environment["PGPASSWORD"] == "secret1"
    assert environment["PGOPTIONS"] == "-c app.key=secret3"
    service = Path(environment["PGSERVICEFILE"])
    assert "secret2" in service.read_text()
    assert service.stat().st_mode & 0o777 == 0o600


def test_options_refuse_what_no_run_could_mean() -> None:
    for bad in (
        {"schema_only": True, "data_only": True},
        {"lock_timeout": 0},
        {"connect_timeout": 0},
        {"part_size": 0},
        {"maintenance_work_mem": "1MB; x"},
    ):
        with pytest.raises(ValueError, match=r"expected|exclude"):
            PostgresOptions(**bad)


def test_names_and_texts_are_quoted_for_any_session() -> None:
    assert quoted('a"b', "c.d") == '"a""b"."c.d"'
    assert literal("it's") == "'it''s'"
    assert literal("a\\'b") == "E'a\\\\''b'"
    sequence = SequenceState(oid=1, schema="a\\", name="b'", last_value=-3, is_called=False)
    assert sequence.statement == "SELECT pg_catalog.setval(E'\"a\\\\\".\"b''\"', -3, false);\n"


def _table(blocks: int, size: int, name: str = "t") -> Table:
    return Table(
        oid=hash(name) & 0xFFFF, schema="s", name=name, kind="r", persistence="p", heap=True, member=False,
        config=False, columns=("a",), types=("int4",), size=size, blocks=blocks,
    )  # fmt: skip


@pytest.mark.parametrize("blocks", [1, 2, 3, 7, 8, 100, 12345])
@pytest.mark.parametrize("size", [1, 1 << 20, 100 << 20, 1 << 40])
def test_parts_cover_every_block_once_and_are_open_at_both_ends(blocks: int, size: int) -> None:
    """Rows may lie behind the last block that was counted."""
    found = sorted(parts([_table(blocks, size)], part_size=1 << 20, jobs=2, major=15), key=lambda part: part.first or 0)
    assert found[0].first is None
    assert found[-1].last is None
    assert all(before.last == after.first for before, after in itertools.pairwise(found))
    assert len(found) <= 256
    assert len(parts([_table(blocks, size)], part_size=1 << 20, jobs=2, major=13)) == 1


@pytest.mark.parametrize(("megabytes", "expected"), [(20, 1), (100, 3), (200, 4), (1000, 4), (8000, 16)])
def test_large_tables_have_parts_enough_to_keep_lanes_busy_to_the_end(megabytes: int, expected: int) -> None:
    table = _table(megabytes * 128, megabytes << 20)
    assert len(parts([table], part_size=512 << 20, jobs=2, major=15)) == expected
    assert len(parts([table], part_size=512 << 20, jobs=1, major=15)) <= expected


def test_two_tables_whose_names_are_tamed_alike_keep_streams_of_their_own() -> None:
    found = parts([_table(1, 1, "a b"), _table(1, 1, "a}b"), _table(1, 1, "a_b")], part_size=1 << 20, jobs=2, major=15)
    assert {part.stream for part in found} == {"data/s.a_b", "data/s.a_b-2", "data/s.a_b-3"}


HEAD = (
    b"--\n-- PostgreSQL database dump\n--\n\n\\restrict Tok3n\n\n-- Dumped\n\nSET x = 1;\n"
    b"SET transaction_timeout = 0;\n"
)


@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
def test_a_script_runs_inside_our_own_restrict_alone(size: int) -> None:
    r"""pg_dump's pair is taken away; a \restrict that is data stays what it is."""
    body = b"COPY t FROM stdin;\n\\restrict abc\n\\.\n" + b"x" * 100_000 + b"\n\\unrestrict other\n"
    text = HEAD + body + b"\\unrestrict Tok3n\n\n"
    chunks = [text[start : start + size] for start in range(0, len(text), size)]
    out = b"".join(script.restricted(chunks, major=17, end="End"))
    word = out.split(b"\n", 1)[0].removeprefix(b"\\restrict ")
    assert len(word) == 32
    assert out.endswith(b"\n\\unrestrict " + word + b"\n\\warn End\n")
    assert b"Tok3n" not in out
    assert body in out
    assert b"transaction_timeout" in out
    assert b"transaction_timeout" not in b"".join(script.restricted(chunks, major=16, end="End"))


def test_a_restrict_behind_a_statement_is_left_for_psql_to_refuse() -> None:
    text = b"SELECT 1;\n\\restrict evil\n\\! touch /x\n\\unrestrict evil\n"
    assert text in b"".join(script.restricted([text], major=17, end="End"))


@pytest.mark.parametrize(
    ("major", "minor", "fits"),
    [(15, 14, True), (15, 13, False), (16, 9, False), (16, 10, True), (17, 6, True), (18, 0, True), (12, 22, False)],
)
def test_a_psql_that_cannot_be_restricted_is_refused(major: int, minor: int, fits: bool) -> None:
    found = Programs(folder="/x", version=f"{major}.{minor}", major=major, minor=minor)
    if fits:
        script.check_psql(found)
    else:
        with pytest.raises(PluginError, match="CVE-2025-8714"):
            script.check_psql(found)


@pytest.mark.parametrize(
    ("command", "text", "expected"),
    [
        (
            "SET transaction_timeout = 0;",
            'unrecognized configuration parameter "transaction_timeout"',
            Severity.HARMLESS,
        ),
        ("CREATE SCHEMA public;", 'schema "public" already exists', Severity.HARMLESS),
        ("COMMENT ON EXTENSION hstore IS 'x';", "must be owner of extension hstore", Severity.HARMLESS),
        ("ALTER TABLE public.t OWNER TO x;", 'role "x" does not exist', Severity.DEGRADED),
        ("GRANT SELECT ON TABLE t TO x;", 'role "x" does not exist', Severity.DEGRADED),
        ("COMMENT ON TABLE t IS 'x';", "must be owner of table t", Severity.DEGRADED),
        ("CREATE PUBLICATION p FOR ALL TABLES;", "must be superuser to create FOR ALL TABLES", Severity.DEGRADED),
        ("CREATE TABLE public.t (", 'type "x" does not exist', Severity.FATAL),
        ("ALTER TABLE ONLY public.t", "could not create unique index", Severity.FATAL),
        ("REFRESH MATERIALIZED VIEW m;", "division by zero", Severity.FATAL),
        ("CREATE PUBLICATION p FOR TABLE t;", 'relation "t" does not exist', Severity.FATAL),
        ("", "missing data", Severity.FATAL),
    ],
)
def test_messages_are_weighed_by_what_failed(command: str, text: str, expected: Severity) -> None:
    assert classify(command, text) is expected


def test_the_judge_names_the_object_and_raises_the_first_fatal_message() -> None:
    judge = Classifier(doing="cannot restore")
    for line in (
        "pg_restore: while PROCESSING TOC:",
        "pg_restore: from TOC entry 215; 1259 16389 TABLE t someone",
        'pg_restore: error: could not execute query: ERROR:  role "someone" does not exist',
        "Command was: ALTER TABLE public.t OWNER TO someone;",
        "",
    ):
        judge.line(line)
    assert len(judge.degraded) == 1
    assert "TABLE t someone" in judge.degraded[0]
    with pytest.raises(HoldfastError, match="COPY failed for table"):
        judge.line('pg_restore: error: COPY failed for table "t": ERROR:  invalid byte')
    judge.line("pg_restore: error: could not execute query: ERROR:  syntax error")
    with pytest.raises(HoldfastError, match="syntax error"):
        judge.end()


@pytest.mark.parametrize(
    "starts",
    [
        ("pg_restore: error: pg_restore:", " error: "),
        ("pg_restore:pg_restore:  error: ", "error: "),
        ("pg_restore: pg_restore: error: error: ", ""),
    ],
)
def test_workers_that_speak_at_once_are_understood(starts: tuple[str, str]) -> None:
    judge = Classifier(doing="cannot restore")
    for start in starts:
        judge.line(
            f'{start}could not execute query: ERROR:  unrecognized configuration parameter "transaction_timeout"'
        )
        judge.line("Command was: SET transaction_timeout = 0;")
    judge.line("pg_restore: warning: errors ignored on restore: 2")
    assert not judge.degraded
    assert len(judge.harmless) == 2
    judge.line(f"{starts[1]}could not execute query: ERROR:  out of memory")
    with pytest.raises(HoldfastError, match="out of memory"):
        judge.end()


def test_the_lowest_version_that_is_new_enough_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders without all of the programs, broken programs and Debian's wrapper are passed over."""
    for major in (14, 16, 18):
        _programs(tmp_path / str(major), f"{major}.3")
    _programs(tmp_path / "half", "15.1", names=("pg_dump",))
    broken = tmp_path / "broken"
    _programs(broken, "15.2")
    (broken / "pg_dump").write_text("#!/bin/sh\nexit 3\n")
    places = [str(tmp_path / name) for name in ("half", "18", "broken", "14", "16", "absent")]
    monkeypatch.setattr(programs, "_PLACES", ())
    monkeypatch.setenv("PATH", ":".join([*places, "/usr/bin", "/bin"]))
    monkeypatch.delenv(programs.VARIABLE, raising=False)
    assert programs.find(15, why="it").version == "16.3"
    assert programs.find(14, why="it").version == "14.3"
    assert programs.find(17, why="it").version == "18.3"
    with pytest.raises(PluginError, match=r"it needs client programs of version 19 or newer, found 18\.3"):
        programs.find(19, why="it")
    monkeypatch.setenv(programs.VARIABLE, str(tmp_path / "14"))
    with pytest.raises(PluginError, match=r"found 14\.3"):
        programs.find(15, why="it")


def _programs(folder: Path, version: str, names: tuple[str, ...] = ("pg_dump", "pg_restore", "psql")) -> None:
    folder.mkdir()
    for name in names:
        (folder / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version} (Debian {version}-1)'\n")
        (folder / name).chmod(0o755)


def test_a_directory_goes_through_a_tar_and_back(tmp_path: Path) -> None:
    folder = tmp_path / "directory"
    folder.mkdir()
    content = {"toc.dat": b"x" * 700, "3000.dat": b"", "blobs.toc": b"y" * 512, "blob_1.dat": bytes(3 << 20)}
    for name, data in content.items():
        (folder / name).write_bytes(data)
    tar = b"".join(directory_chunks(folder))
    assert not list(folder.iterdir())
    with tarfile.open(fileobj=io.BytesIO(tar)) as found:
        assert set(found.getnames()) == set(content)
    unpack([tar[start : start + 1000] for start in range(0, len(tar), 1000)], tmp_path / "again")
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()} == content


@pytest.mark.parametrize("name", ["../toc.dat", "/etc/passwd", "toc.dat/x", "x.sh"])
def test_a_tar_that_pg_dump_would_not_write_is_refused(tmp_path: Path, name: str) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(IntegrityError):
        unpack([out.getvalue()], tmp_path / "into")
    assert not list((tmp_path / "into").iterdir())
