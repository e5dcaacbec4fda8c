"""What belongs to a virtual table is what its module makes for its declared options, and nothing else of its prefix."""

import sqlite3
from contextlib import closing

import pytest

from holdfast_sqlite.catalog import Entry, entries, identifier
from holdfast_sqlite.tokens import folded, tokens
from holdfast_sqlite.virtual_tables.definition import parse
from holdfast_sqlite.virtual_tables.modules import made_by, suffixes_of
from holdfast_sqlite.virtual_tables.ownership import belongings, marked_tables

# What this library makes is compared with what the options are taken to declare.
DECLARED = """
fts3()
fts3(a, b)
fts3(a=b, content=c)
fts4
fts4(content, body)
fts4(content='', a)
fts4(a, content="")
fts4(a, content=)
fts4(a, CONTENT=[src])
fts4(a, matchinfo=fts3)
fts4(a, matchinfo="FTS3", content='src')
fts4(a, languageid='l', order=desc)
fts4(a, prefix='1,2', notindexed=a)
fts4(content=src, tokenize=porter)
fts4(tokenize=unicode61 'remove_diacritics=0', a)
fts4(a, tokenize=simple content '=x')
fts5(a, content='')
fts5(a, content=src)
fts5(a, cont = 'src')
fts5(a, c="src")
fts5(a, content=[src], content_rowid='id')
fts5(content, columnsize)
fts5(a, columnsize=0)
fts5(a, col='0')
fts5(a, co='')
fts5(a, columnsize = '0', content=`src`)
fts5(a, content = '' , columnsize=0)
fts5('content=x', "columnsize=0", [a,b], a)
fts5(a, prefix='1 2', tokenize = "porter 'ascii'")
fts5(a /* , content='' */, b) -- x
fts5(a, -- content='', b)
fts5(a UNINDEXED, b, detail=none)
fts5(content UNINDEXED, x)
fts5(a, tokenize='unicode61 separators ''content=,''')
fts5(a, content='''')
rtree(id, a, b)
rtree(id, a, b, +content, +x)
RTREE_I32(id, a, b)
"fts5"(a)
[fts5](a)
'Fts5' (a)
fts5vocab(src_fts, row)
fts5vocab('src_fts', 'col')
fts4aux(src4)
fts3tokenize(simple)
dbstat
""".strip().splitlines()


@pytest.mark.parametrize("using", DECLARED)
@pytest.mark.parametrize("name", ["docs", "Do cs", "do\"c''s", "docs_data", "ÄÖ"])
def test_the_shadow_tables_that_sqlite_makes_are_those_that_the_options_declare(using: str, name: str) -> None:
    using = using.replace("'', b", "'',\n b")
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(
            "CREATE TABLE src(id INTEGER PRIMARY KEY, a, b); CREATE VIRTUAL TABLE src_fts USING fts5(a);"
            "CREATE VIRTUAL TABLE src4 USING fts4(a);"
        )
        before = {entry.name for entry in entries(connection)}
        connection.execute(f"CREATE VIRTUAL TABLE {identifier(name)} USING {using}")
        schema = entries(connection)
        made = {entry.name for entry in schema if entry.kind == "table"} - before - {name}
        assert set(belongings(schema)[name].shadows) == made


@pytest.mark.parametrize(
    ("using", "suffixes", "sources"),
    [
        ("fts1(a)", "content term", []),
        ("fts2(a)", "content segdir segments", []),
        ("fts4(content='a b', a)", "docsize segdir segments stat", ["a b"]),
        ("fts5(a, content='', contentless_delete=1)", "config data docsize idx", []),
        ("fts5(a, content='', contentless_unindexed=1)", "config data docsize idx", []),
        ("fts5(a, b UnIndexed, content='', contentless_u=1)", "config content data docsize idx", []),
        ("fts5(a, content='it''s', locale=1)", "config data docsize idx", ["it's"]),
        ("fts5vocab(docs, 'row')", "", ["docs"]),
        ("geopoly(a, b)", "node parent rowid", []),
        ("spellfix1", "vocab", []),
        ("spellfix1(edit_cost_table='costs')", "vocab", ["costs"]),
        ("transitive_closure(tablename=tree, idcolumn=id, parentcolumn=up)", "", ["tree"]),
        ("approximate_match(vocabulary_table=words, edit_distances=[costs])", "", ["words", "costs"]),
        ("MbrCache('roads', 'geom')", "", ["roads"]),
        ("VirtualShape('/maps/roads', 'CP1252', 4326)", "", []),
        ("nobody_knows(a)", "", []),
    ],
)
def test_what_other_libraries_make_is_known_from_their_sources(using: str, suffixes: str, sources: list[str]) -> None:
    definition = parse(f"CREATE VIRTUAL TABLE t USING {using}")
    assert definition is not None
    assert suffixes_of(definition) == set(suffixes.split())
    assert (made_by(definition, lambda *_: True) or (set(), []))[1] == sources


def test_tables_of_vectors_are_numbered_by_their_columns() -> None:
    """As sqlite-vec 0.1.6 makes them: partition and primary keys have no table, every metadata column has."""
    columns = (
        "user_id integer partition key, id text primary key, kind text, +raw text, e float[3], f BIT [8], n integer"
    )
    definition = parse(f"CREATE VIRTUAL TABLE v USING vec0({columns}, chunk_size=8)")
    assert definition is not None
    suffixes = suffixes_of(definition)
    made = {"info", "chunks", "rowids", "auxiliary", "vector_chunks00", "vector_chunks01"}
    made |= {"metadatachunks00", "metadatatext00", "metadatachunks01"}
    assert suffixes >= made
    assert not suffixes & {"vector_chunks02", "metadatachunks02", "metadatatext02"}


@pytest.mark.parametrize(
    ("sql", "name", "module", "arguments"),
    [
        ("CREATE VIRTUAL TABLE a USING b", "a", "b", ()),
        ("create/**/virtual -- x\n table [a b]using'B' ( )", "a b", "b", ()),
        ('CREATE VIRTUAL TABLE IF NOT EXISTS "a""b" USING B(x , f(1, 2) y,)', 'a"b', "b", ("x", "f(1, 2) y")),
        ("CREATE VIRTUAL TABLE main.'a' USING b('x,)', [y,], /*,*/ \"z\" -- ,)\n)", "a", "b", ("'x,)'", "[y,]", '"z"')),
        ('CREATE VIRTUAL TABLE "using" USING b(a -- (\n, c)', "using", "b", ("a", "c")),
        ("CREATE VIRTUAL TABLE a USING b('x", "a", "b", ()),
    ],
)
def test_a_definition_is_taken_apart_by_the_rules_of_sql(
    sql: str, name: str, module: str, arguments: tuple[str, ...]
) -> None:
    definition = parse(sql)
    assert definition is not None
    assert (definition.name, definition.module, definition.arguments) == (name, module, arguments)


@pytest.mark.parametrize(
    "sql", ["", "CREATE TABLE a(b)", "CREATE VIRTUAL TABLE", "CREATE VIRTUAL TABLE a", "VIRTUAL TABLE a"]
)
def test_what_is_no_virtual_table_is_told(sql: str) -> None:
    assert parse(sql) is None


def schema(*tables: str) -> list[Entry]:
    """A schema of names, each with its definition behind a colon if it is a virtual table or a view."""
    pairs = [table.partition(": ") for table in tables]
    return [
        Entry("view", name, name, f"CREATE {how}")
        if how.startswith("VIEW")
        else Entry("table", name, name, f"CREATE VIRTUAL TABLE x USING {how}" if how else f"CREATE TABLE {name}(x)")
        for name, _, how in pairs
    ]


def test_only_what_a_table_declares_is_its_own() -> None:
    owned = belongings(
        schema(
            "Notes: fts5(b, content='NOTES_content')", "notes_CONTENT", "notes_data", "NOTES_IDX", "notes_stat",
            "notes_docsize", "notes_config", "notes_config_old", "notes_x: VIEW",
            "a: fts5(x)", "a_b: fts5(x)", "a_data", "a_b_data", "a_b_content: VIEW", "a_b_config",
            "words: fts5vocab(notes, row)", "words_blocked", "É: fts5(x)", "É_data", "é_idx",
        )
    )  # fmt: skip
    assert {name: belonging.shadows for name, belonging in owned.items()} == {
        "Notes": ["notes_config", "notes_data", "notes_docsize", "NOTES_IDX"],
        "a": ["a_data"],
        "a_b": ["a_b_config", "a_b_data"],
        "words": [],
        "É": ["É_data"],
    }
    assert {name: belonging.sources for name, belonging in owned.items() if belonging.sources} == {
        "Notes": ["notes_CONTENT"],
        "words": ["Notes"],
    }
    assert not any(belonging.possible for belonging in owned.values())


def test_the_tables_of_an_unknown_module_are_called_possible_but_for_those_of_others() -> None:
    tables = schema(
        "ev: who_knows(x)", "ev_chunks", "EV_Jobs", "ev_fts: fts5(x)", "ev_fts_data", "ev_view: VIEW", "eve"
    )
    owned = belongings(tables)["ev"]
    assert (owned.module, owned.shadows, owned.possible) == ("who_knows", [], ["ev_chunks", "ev_fts", "EV_Jobs"])


def test_a_module_that_is_not_known_but_loaded_tells_its_own_tables() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript("CREATE VIRTUAL TABLE ev USING fts5(x, columnsize=0); CREATE TABLE ev_jobs(x);")
        known = entries(connection)
        unknown = [Entry(entry.kind, entry.name, entry.on, entry.sql.replace("fts5", "who_knows")) for entry in known]
        ev = belongings(unknown, marked_tables(connection))["ev"]
    own = ["ev_config", "ev_content", "ev_data", "ev_idx"]
    marks = sqlite3.sqlite_version_info >= (3, 37)
    assert (ev.shadows, ev.possible) == ((own, ["ev_jobs"]) if marks else ([], [*own, "ev_jobs"]))


def test_another_module_of_a_known_name_is_an_unknown_one() -> None:
    """Two modules are called vec0; what sqlite-vec always makes tells which one it is."""
    other = belongings(schema("ev: vec0(e float[4])", "ev_data", "ev_graph", "ev_chunks"))["ev"]
    assert (other.shadows, other.possible) == ([], ["ev_chunks", "ev_data", "ev_graph"])
    own = belongings(schema("ev: vec0(e float[4])", "ev_chunks", "ev_rowids", "ev_vector_chunks00", "ev_jobs"))["ev"]
    assert (own.shadows, own.possible) == (["ev_chunks", "ev_rowids", "ev_vector_chunks00"], [])


def test_a_table_that_full_text_search_makes_later_is_known_by_its_columns() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(
            "CREATE VIRTUAL TABLE a USING fts3(x); INSERT INTO a VALUES ('b'); INSERT INTO a(a) VALUES ('automerge=8');"
            "CREATE VIRTUAL TABLE c USING fts3(x); CREATE TABLE c_stat(id INTEGER PRIMARY KEY, hits);"
        )
        owned = belongings(entries(connection))
    assert "a_stat" in owned["a"].shadows
    assert "c_stat" not in owned["c"].shadows


def test_what_sqlite_itself_marks_is_asked_for() -> None:
    """It marks the user's own table of an external content too, which is why it decides for unknown modules only."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript("CREATE TABLE n_content(x); CREATE VIRTUAL TABLE n USING fts5(x, content=n_content)")
        marked = {"n_config", "n_content", "n_data", "n_docsize", "n_idx"}
        assert marked_tables(connection) == (marked if sqlite3.sqlite_version_info >= (3, 37) else set())


@pytest.mark.parametrize(
    "text", ["'" * 99_999, "/*" * 50_000, '"' + "[" * 99_999, "`" * 99_999, "-" * 99_999, "x'" * 50_000]
)
def test_tokens_are_found_in_one_go_whatever_is_never_closed(text: str) -> None:
    assert sum(token.end - token.start for token in tokens(text)) <= len(text)


def test_names_are_compared_as_sqlite_does() -> None:
    assert folded("ÄBC_Ä") == "Äbc_Ä"
