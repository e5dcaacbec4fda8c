"""No row of a script is ever a statement, whatever becomes of the COPY that it belongs to."""

import secrets
from collections.abc import Iterator

import pytest
from support.mutations import forge, stored_blobs
from support.servers.postgres import PostgresServer

import holdfast
from holdfast.api import HoldfastError, IntegrityError
from holdfast_postgres.formats.script_pieces import Rows, Text, read_pieces
from holdfast_postgres.formats.script_sections import read_sections

SCRIPT = {"format": "plain"}
CONTINUE = {"on_error": "continue"}


@pytest.fixture
def trace(server: PostgresServer) -> Iterator[str]:
    """The name of a role that a row would make: it would outlive the database of a drill."""
    name = f"trace_{secrets.token_hex(4)}"
    yield name
    there = server.rows("postgres", f"SELECT rolname FROM pg_roles WHERE rolname = '{name}'")
    server.execute("postgres", f"DROP ROLE IF EXISTS {name}")
    assert not there


def changed(record: holdfast.Backup, old: bytes, new: bytes) -> None:
    """Change the script of a backup, digests included."""
    ((name, path),) = [(name, path) for name, path in stored_blobs(record).items() if "archive" in name]
    text = path.read_bytes()
    assert old in text
    forge(record, name, text.replace(old, new))


@pytest.mark.parametrize("form", ["plain", "custom"])
def test_rows_of_a_table_that_was_not_made_are_no_statements(
    server: PostgresServer, database: str, target: str, store: str, trace: str, form: str
) -> None:
    """At the first attempt and at the second, in a drill and where the restore goes on."""
    server.execute(
        database,
        "CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2'",
        "CREATE FUNCTION four(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT twice(twice(n))'",
        "CREATE TABLE gone (t text, n int GENERATED ALWAYS AS (four(1)) STORED)",
        f"INSERT INTO gone VALUES ('CREATE ROLE {trace};'), ('x'), ('SELECT 1;')",
        "CREATE TABLE kept AS SELECT 1 AS n",
        "DROP FUNCTION twice",
    )
    record = holdfast.backup(server.url(database), store=store, options={"format": form}, proof=True)
    with pytest.raises(HoldfastError, match=r"twice\(integer\) does not exist"):
        holdfast.restore(record.id, server.url(target), store=store)
    result = holdfast.restore(record.id, server.url(target), store=store, options=CONTINUE)
    failures = {(failure.kind, failure.name): failure.code for failure in result.failures}
    assert failures == {("table", "public.gone"): "42883", ("rows of table", "public.gone"): "42P01"}
    assert server.value(target, "SELECT n FROM kept") == 1
    drill = holdfast.drill(record.id, store=store, into=server.url(""))
    assert drill.state == "damaged"
    assert any("twice(integer) does not exist" in problem for problem in drill.problems)


def test_a_copy_that_the_server_refuses_is_named_and_its_rows_are_no_statements(
    server: PostgresServer, database: str, target: str, store: str, trace: str
) -> None:
    """In a script that somebody edited, with several COPYs and statements in a section, and options of COPY."""
    server.execute(
        database, "CREATE TABLE first (t text)", f"INSERT INTO first VALUES ('CREATE ROLE {trace};'), ('two')"
    )
    record = holdfast.backup(server.url(database), store=store, options=SCRIPT, codec="none")
    statement = f"CREATE ROLE {trace};".encode()
    changed(
        record,
        b"COPY public.first (t) FROM stdin;\n" + statement + b"\ntwo\n\\.\n",
        b"COPY public.first (nowhere) FROM stdin;\n" + statement + b"\ntwo\n\\.\n"
        b"COPY public.first (t) FROM stdin WITH (FORMAT csv, HEADER true);\nt\n" + statement + b'\n"a,b"\n\\.\n'
        b"DELETE FROM public.first WHERE t = 'a,b'; copy public.first\n  (t)\nfrom STDIN;\r\nlast\r\n\\.\r\n"
        b"INSERT INTO public.first (t) VALUES ('a\nb'); INSERT INTO public.first VALUES (nothing);\n",
    )
    with pytest.raises(HoldfastError, match=r'rows of table public\.first: column "nowhere" .* does not exist'):
        holdfast.restore(record.id, server.url(target), store=store)
    result = holdfast.restore(record.id, server.url(target), store=store, options=CONTINUE)
    assert {failure.name for failure in result.failures} == {"public.first"}
    assert {(failure.kind, failure.code) for failure in result.failures} == {("rows of table", "42703")}
    rows = server.rows(target, "SELECT t FROM first")
    assert rows == [(statement.decode(),), ("last",), ("a\nb",)]


def test_a_script_that_ends_within_rows_is_damaged(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    server.execute(database, "CREATE TABLE t (t text)", "INSERT INTO t VALUES ('x')")
    record = holdfast.backup(server.url(database), store=store, options=SCRIPT, codec="none")
    changed(record, b"\nx\n\\.\n", b"\nx\n")
    with pytest.raises(IntegrityError, match="ends within the rows"):
        holdfast.restore(record.id, server.url(target), store=store)


def test_names_and_bodies_that_look_like_rows_come_back(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    r"""Line breaks in names, heads of sections in functions and rows, and rows that hold `\.`."""
    head = "--\n-- Data for Name: t; Type: TABLE DATA; Schema: public; Owner: o\n--\n\nCOPY public.t (a) FROM stdin;"
    table = '"a\n FROM stdin;\n(b"'
    server.execute(
        database,
        f"CREATE TABLE {table} (a text, \"x;\nCOPY\" text DEFAULT E'it''s\\\\')",
        f"INSERT INTO {table} SELECT $q${head}\n1\n\\.\n$q$ || n, '\\.' FROM generate_series(1, 3) n",
        f"CREATE FUNCTION looks() RETURNS text LANGUAGE plpgsql AS $b$ BEGIN RETURN $q${head}\n1\n\\.\n$q$;\nEND $b$",
        f"COMMENT ON FUNCTION looks() IS E'{head}\\n\\\\.\\n'",
        "CREATE RULE twice AS ON UPDATE TO " + table + " DO ALSO (SELECT 1;\n SELECT 'COPY x FROM stdin;')",
    )
    if int(server.value(database, "SHOW server_version_num")) >= 140000:
        body = "SELECT CASE n WHEN 1 THEN 2 END;\nSELECT (n);\n"
        server.execute(database, f"CREATE FUNCTION atomic(n int) RETURNS int BEGIN ATOMIC {body} END")
    record = holdfast.backup(server.url(database), store=store, options=SCRIPT, proof=True)
    drill = holdfast.drill(record.id, store=store, into=server.url(""))
    assert (drill.state, drill.problems) == ("proven", ())
    holdfast.restore(record.id, server.url(target), store=store)
    query = f"SELECT *, looks(), obj_description('looks'::regproc) FROM {table}"
    assert server.rows(target, query) == server.rows(database, query)


_SCRIPTS = {
    b"COPY t FROM stdin;\n1\n\\.\n": [(b"COPY t FROM stdin;", b"1\n")],
    b"copy t (a,\n b) From\nStdin with (format csv);\r\n\\.x\r\n\"\n\\.\r\nSELECT 1;\n": [
        (b"copy t (a,\n b) From\nStdin with (format csv);", b"\\.x\r\n\"\n")
    ],
    b"SELECT 1; COPY a FROM stdin; COPY b FROM stdin;\n\\.\n2\n\\.\n": [
        (b"COPY a FROM stdin;", b""), (b"COPY b FROM stdin;", b"2\n")
    ],
    b"/* a /* b */ ; */ COPY t FROM stdout; -- c\n1\n\\.": [(b"/* a /* b */ ; */ COPY t FROM stdout;", b"1\n")],
    b"SELECT 'a\nCOPY t FROM stdin;\n';\n": [],
    b"SELECT e'a\\'\nCOPY t FROM stdin;\n';\n": [],
    b"SELECT e'a'\n'\\'\nCOPY t FROM stdin;\n';\n": [],
    b"SET standard_conforming_strings = off;\nSELECT 'a\\'\nCOPY t FROM stdin;\n';\n": [],
    b"SELECT 'a\\';\nCOPY t FROM stdin;\n\\.\n": [(b"COPY t FROM stdin;", b"")],
    b"SELECT $a$\nCOPY t FROM stdin;\n$$ $a$;\n": [],
    b"SELECT a$b$ ;\nCOPY t FROM stdin;\n\\.\n": [(b"COPY t FROM stdin;", b"")],
    b"CREATE RULE r AS ON UPDATE TO t DO (a;\nCOPY t FROM stdin;\n);\n": [],
    b"CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE 1 END;\nCOPY t FROM stdin;\nEND;\n": [],
    b"CREATE FUNCTION f(begin int) AS '';\nCOPY t FROM stdin;\n\\.\n": [(b"COPY t FROM stdin;", b"")],
    b"COPY (SELECT 1 from stdin) TO stdout;\nCOPY \"from stdin\" TO stdout;\nCOPY t FROM 'stdin';\n": [],
    b'COPY "a\n FROM stdin;\n" FROM stdin;\n--\n\\.\n': [(b'COPY "a\n FROM stdin;\n" FROM stdin;', b"--\n")],
}  # fmt: skip


@pytest.mark.parametrize("script", _SCRIPTS)
def test_rows_are_known_as_psql_knows_them(script: bytes) -> None:
    """Whatever the size of the chunks that it comes in."""
    for size in (1, 2, 3, 5, 1 << 20):
        chunks = (script[start : start + size] for start in range(0, len(script), size))
        taken, text = [], b""
        for piece in read_pieces(chunks):
            if isinstance(piece, Rows):
                taken.append((piece.statement, b"".join(piece.chunks)))
            else:
                text += piece.text
        assert taken == _SCRIPTS[script]
        assert taken or text == script


def test_rows_in_a_transaction_and_joined_statements_are_told() -> None:
    """A session of its own loads the rows, and would not see what another has begun."""
    script = b"BEGIN;\nCOPY t FROM stdin;\n\\.\nCOMMIT;\nCOPY t FROM stdin;\n\\.\n"
    rows = [piece for piece in read_pieces([script]) if isinstance(piece, Rows)]
    assert [piece.in_transaction for piece in rows] == [True, False]
    with pytest.raises(IntegrityError, match="joins statements"):
        list(read_pieces([b"SELECT 1\\; COPY t FROM stdin;\nDROP TABLE t;\n\\.\n"]))


@pytest.mark.parametrize("size", [1, 3, 50, 1 << 20])
def test_sections_of_a_script_are_read_whatever_their_rows_hold(size: int) -> None:
    """What looks like the head of one may be a row, and a row may be longer than what is read at once."""
    head = b"--\n-- PostgreSQL database dump\n--\n\nSET x = 1;\n"
    table = b'\n--\n-- Name: a; b; Type: TABLE; Schema: s; Owner: o; Tablespace: t\n--\n\nCREATE TABLE s."a; b" (\n);\n'
    row = b"--\n-- Name: t; Type: TABLE; Schema: s; Owner: o\n--\n" + b"x" * 200 + b"\\\\.\n"
    rows = (
        b"\n--\n-- Data for Name: t; Type: TABLE DATA; Schema: s; Owner: o\n--\n\nCOPY s.t (a) FROM stdin;\n"
        + row
        + b"\\.\n\n\n"
    )
    none = b"--\n-- Data for Name: u; Type: TABLE DATA; Schema: s; Owner: o\n--\n\nCOPY s.u (a) FROM stdin;\n\\.\n\n"
    last = b"--\n-- Name: e; Type: SCHEMA; Schema: -; Owner: o\n--\n\nCREATE SCHEMA e;\n"
    text = head + table + rows + none + last
    chunks = [text[start : start + size] for start in range(0, len(text), size)]
    read = []
    for section, pieces in read_sections(chunks):
        whole = b""
        for piece in pieces:
            if isinstance(piece, Text):
                whole += piece.text
            else:
                whole += piece.statement + b"\n" + b"".join(piece.chunks) + b"\\.\n"
        read.append((section, whole))
    assert b"".join(whole for _, whole in read) == text
    assert [(section.kind, section.schema, section.tag) for section, _ in read] == [
        (b"", b"", b""), (b"TABLE", b"s", b"a; b"), (b"TABLE DATA", b"s", b"t"), (b"TABLE DATA", b"s", b"u"),
        (b"SCHEMA", b"", b"e"),
    ]  # fmt: skip
