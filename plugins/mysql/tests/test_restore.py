"""A restore makes nothing worse: what it refuses, what it undoes, what it replaces, and where it never reaches."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.servers.mariadb import MariaDB

import holdfast
from holdfast.api import RestoreRequest, Step, Stream
from holdfast.plugins.registry import Registry
from holdfast_mysql.catalog.requirements import requirements_of
from holdfast_mysql.definitions.script import ScriptWriter, Statement
from holdfast_mysql.rows.wire import Column, RowHeader

Content = Callable[[str], dict[str, object] | None]


class Bytes:
    """A blob in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.stream = Stream(name="x", size=len(data))

    def chunks(self) -> Iterator[bytes]:
        for start in range(0, len(self.data), 1000):
            yield self.data[start : start + 1000]

    def spool(self) -> Path:
        raise NotImplementedError


def script(*statements: Statement) -> Bytes:
    writer = ScriptWriter(title="test", avoid=[statement.body for statement in statements])
    return Bytes(writer.opening() + b"".join(map(writer.statement, statements)) + writer.closing())


def rows_of(table: str, columns: tuple[Column, ...], *rows: tuple[bytes | None, ...]) -> Bytes:
    data = RowHeader(table=table, columns=columns).line()
    for row in rows:
        values = b"".join(b"\xfb" if value is None else bytes([len(value)]) + value for value in row)
        data += len(values).to_bytes(3, "little") + b"\0" + values
    return Bytes(data)


@pytest.fixture
def restoring(mariadb: MariaDB, tmp_path: Path) -> Callable[..., Any]:
    """Opens the engine's own restore with a dump that nobody made: `source` is the name it claims to come from."""

    def open_restore(
        target: str, *, source: str = "src", rows: dict[str, list[object]] | None = None, **more: Any
    ) -> Any:
        engine = Registry().engine("mysql")
        form = more.pop("form", "wire")
        size = more.pop("size", 10)
        names = ["script"] if form == "sql" else ["schema", *(rows or {}), "objects"]
        facts = {
            "format": form, "server": more.pop("server", mariadb.version), "database": source,
            "collation": "utf8mb4_general_ci", "charset": "utf8mb4", "comment": "",
            "rows": rows or {}, "needs": requirements_of((), ()),
        }  # fmt: skip
        request = RestoreRequest(
            url=mariadb.url(target),
            scratch=tmp_path,
            streams=tuple(Stream(name=name, size=size) for name in names),
            facts=facts,
            options=engine.options(more.pop("options", {})),
            **more,
        )
        return engine.restore(request)

    return open_restore


def play(opened: Any, schema: Bytes, rows: Bytes | None = None, *, objects: Bytes | None = None) -> None:
    """Run a restore as the core does: with `objects` to its end, else only until the rows are there."""
    with opened as session:
        session.load(Step(stream="schema"), schema)
        if rows is not None:
            session.load(Step(stream="data/t", phase=1, parallel=True), rows)
        if objects is not None:
            session.load(Step(stream="objects", phase=2), objects)
            session.commit()


def test_definitions_of_a_stranger_never_reach_another_database(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], restoring: Callable[..., Any], content: Content
) -> None:
    """A statement that does not make its own object in the target is refused before anything is made."""
    mariadb.rows(f"CREATE TABLE {database}.precious(a INT)")
    before = content(database)
    hostile = [
        ("table", "t", f"CREATE TABLE `{database}`.`t` (a INT)"),
        ("table", "t", f"CREATE TABLE {database}.t (a INT)"),
        ("table", "precious", f"DROP TABLE {database}.precious"),
        ("table", "t", f"CREATE TABLE t SELECT * FROM {database}.precious"),
        ("table", "t", f"CREATE TABLE t LIKE {database}.precious"),
        ("table", "t", f"USE {database}"),
        ("table", "t", f"CREATE DATABASE {database}_2"),
        ("sequence state", "precious", f"INSERT INTO {database}.precious VALUES (1)"),
        ("rows", "precious", f"INSERT INTO `{database}`.`precious` VALUES (1)"),
        ("nonsense", "t", f"DROP TABLE {database}.precious"),
        ("table", "t", "CREATE TABLE `other` (a INT)"),
    ]
    for kind, name, body in hostile:
        target = new_name()
        statement = Statement(kind=kind, name=name, body=body.encode())
        with pytest.raises(holdfast.IntegrityError):
            play(restoring(target, source=database), script(statement))
        assert content(target) is None
    hostile = [
        ("view", "v", f"CREATE VIEW `{database}`.`v` AS SELECT 1"),
        ("trigger", "tr", f"CREATE TRIGGER tr BEFORE INSERT ON {database}.precious FOR EACH ROW SET @a = 1"),
        ("procedure", "p", f"DROP TABLE {database}.precious"),
        ("event", "e", f"CREATE EVENT {database}.e ON SCHEDULE EVERY 1 DAY DO SELECT 1"),
        ("function", "f", f"CREATE FUNCTION f RETURNS INTEGER SONAME '{database}.so'"),
        ("view", "v", f"CREATE OR REPLACE VIEW {database}.precious AS SELECT 1"),
    ]
    for kind, name, body in hostile:
        target = new_name()
        statement = Statement(kind=kind, name=name, table="precious", body=body.encode())
        with pytest.raises(holdfast.HoldfastError):
            play(restoring(target, source="somewhere_else"), script(), objects=script(statement))
        assert content(target) is None
    assert content(database) == before


@pytest.mark.parametrize("infile", [True, False], ids=["infile", "insert"])
@pytest.mark.parametrize(
    ("definition", "kind", "values", "says"),
    [
        ("a TINYINT", "number", (b"1", b"300"), "Out of range"),
        ("a INT PRIMARY KEY", "number", (b"1", b"2", b"1"), "Duplicate entry"),
        ("a INT", "number", (b"1", b"x"), "Incorrect integer|Truncated|Data truncated"),
        ("a VARCHAR(2) CHARACTER SET latin1", "latin", (b"abc",), "Data too long|took|truncated"),
        ("a INT NOT NULL", "number", (b"1", None), "cannot be null|NULL"),
        ("a TINYINT, n INT AS (a), `b' at row 1` INT AS (1)", "number", (b"300",), "Out of range"),
        ("a DATE, n INT AS (1)", "ascii", (b"x' for column 'n' at row 1",), "Incorrect date|truncated"),
    ],
)
def test_rows_that_do_not_fit_are_an_error_and_undone(
    mariadb: MariaDB,
    restoring: Callable[..., Any],
    new_name: Callable[[], str],
    content: Content,
    infile: bool,
    definition: str,
    kind: str,
    values: tuple[bytes | None, ...],
    says: str,
) -> None:
    """LOAD DATA LOCAL and a lenient sql_mode would make warnings of them, which nobody reads."""
    target = new_name()
    table = Statement(kind="table", name="t", body=f"CREATE TABLE `t` ({definition}) ENGINE=InnoDB".encode())
    blob = rows_of("t", (Column(name="a", kind=kind),), *((value,) for value in values))
    opened = restoring(target, rows={"data/t": ["t", len(values)]}, options={"local_infile": infile})
    with pytest.raises(holdfast.HoldfastError, match=says):
        play(opened, script(table), blob)
    assert content(target) is None


_TAGS = "CREATE TABLE `t` (id INT PRIMARY KEY, a VARCHAR(20) COLLATE utf8mb4_general_ci, UNIQUE KEY `a.key` (a))"


@pytest.mark.parametrize("size", [10, 9 << 20], ids=["keys first", "keys later"])
@pytest.mark.parametrize(("infile", "form"), [(True, "wire"), (False, "wire"), (True, "sql")])
def test_rows_that_a_key_takes_for_the_same_are_named(
    mariadb: MariaDB, restoring: Callable[..., Any], new_name: Callable[[], str], content: Content,
    infile: bool, form: str, size: int,
) -> None:  # fmt: skip
    """With table and key, whenever the server finds it out: at the row, at COMMIT or when the key is built."""
    target = new_name()
    table = Statement(kind="table", name="t", body=f"{_TAGS} ENGINE=InnoDB".encode())
    columns = (Column(name="id", kind="number"), Column(name="a", kind="utf8"))
    opened = restoring(
        target, rows={"data/t": ["t", 2]}, options={"local_infile": infile}, form=form, server="9.7.0", size=size
    )
    said = r"table t has rows .* takes for the same here: .*'a\.key'"
    rows = Statement(kind="rows", name="t", body=b"INSERT INTO `t` VALUES (1, 'x'), (2, 'X ')")
    if form == "sql":
        with pytest.raises(holdfast.HoldfastError, match=said) as caught, opened as session:
            session.load(Step(stream="script"), script(table, rows))
    else:
        with pytest.raises(holdfast.HoldfastError, match=said) as caught:
            play(opened, script(table), rows_of("t", columns, (b"1", b"x"), (b"2", b"X ")))
    assert not isinstance(caught.value, holdfast.IntegrityError)
    assert "compares by utf8mb4_general_ci" in str(caught.value.hint)
    assert content(target) is None


def test_duplicates_on_a_server_that_compares_alike_are_damage(
    restoring: Callable[..., Any], new_name: Callable[[], str]
) -> None:
    table = Statement(kind="table", name="t", body=f"{_TAGS} ENGINE=InnoDB".encode())
    blob = rows_of("t", (Column(name="id", kind="number"), Column(name="a", kind="utf8")), (b"1", b"x"), (b"2", b"X"))
    with pytest.raises(holdfast.IntegrityError, match="takes for the same"):
        play(restoring(new_name(), rows={"data/t": ["t", 2]}), script(table), blob)


def test_fewer_rows_than_were_recorded_are_an_error(restoring: Callable[..., Any], new_name: Callable[[], str]) -> None:
    table = Statement(kind="table", name="t", body=b"CREATE TABLE `t` (a INT) ENGINE=InnoDB")
    blob = rows_of("t", (Column(name="a", kind="number"),), (b"1",))
    with pytest.raises(holdfast.HoldfastError, match="holds 1 rows, 2 were recorded"):
        play(restoring(new_name(), rows={"data/t": ["t", 2]}), script(table), blob)
    with pytest.raises(holdfast.IntegrityError, match="in the middle"):
        play(restoring(new_name(), rows={"data/t": ["t", 1]}), script(table), Bytes(blob.data[:-1]))


def test_a_script_whose_rows_fail_is_undone_at_once(
    mariadb: MariaDB, new_name: Callable[[], str], restoring: Callable[..., Any], content: Content
) -> None:
    """Its own open transaction does not keep the tables from being dropped."""
    target = new_name()
    table = Statement(kind="table", name="t", body=b"CREATE TABLE `t` (a INT PRIMARY KEY) ENGINE=InnoDB")
    rows = Statement(kind="rows", name="t", body=b"INSERT INTO `t` VALUES (1),('x')")
    with (
        pytest.raises(holdfast.HoldfastError, match="Incorrect integer") as caught,
        restoring(target, form="sql", rows={"data/t": ["t", 2]}) as session,
    ):
        session.load(Step(stream="script"), script(table, rows))
    assert "left behind" not in str(caught.value)
    assert content(target) is None


def test_an_empty_target_is_used_as_it_is_and_empty_again_after_a_failure(
    mariadb: MariaDB, new_name: Callable[[], str], restoring: Callable[..., Any], content: Content
) -> None:
    target = new_name()
    mariadb.rows(f"CREATE DATABASE {target} CHARACTER SET koi8r")
    before = content(target)
    statements = [
        Statement(kind="table", name="t", body=b"CREATE TABLE `t` (a INT)"),
        Statement(kind="sequence", name="s", body=b"CREATE SEQUENCE `s`"),
        Statement(kind="table", name="u", body=b"CREATE TABLE `u` (a NONSENSE)"),
    ]
    with pytest.raises(holdfast.HoldfastError, match="does not make table u"):
        play(restoring(target), script(*statements))
    assert content(target) == before
    objects = [
        Statement(kind="procedure", name="p", body=b"CREATE PROCEDURE `p`() SELECT 1"),
        Statement(
            kind="package", name="k", body=b'CREATE PACKAGE "k" AS PROCEDURE p; END', sql_mode="ANSI_QUOTES,ORACLE"
        ),
        Statement(kind="view", name="v", body=b"CREATE VIEW `v` AS SELECT 1 AS `a`"),
        Statement(kind="event", name="e", body=b"CREATE EVENT `e` ON SCHEDULE EVERY 1 NONSENSE DO SELECT 1"),
    ]
    with pytest.raises(holdfast.HoldfastError, match="cannot make event e"):
        play(restoring(target), script(*statements[:2]), objects=script(*objects))
    assert content(target) == before


def test_nothing_writes_into_the_old_database_where_a_table_is_called_like_it(
    mariadb: MariaDB, database: str, round_trip: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    """What could be a column of that table as well as a table of the old database is told of."""
    writes = (
        "INSERT {db}.item VALUES (1); REPLACE {db}.item VALUES (2); INSERT {db}.made SELECT 3;"
        " UPDATE item i, {db}.item j SET j.id = j.id + 5; DELETE {db}.item FROM {db}.item WHERE id = 6"
    )
    for statement in (
        "TABLE {db}(id INT, item INT)",
        "TABLE item(id INT)",
        f"PROCEDURE writes() BEGIN {writes}; END",
        "PROCEDURE counts() SELECT COUNT(*) FROM {db}.{db}, {db}.item",
        "PROCEDURE compares() SELECT {db}.item FROM {db}",
        "TABLE made(id INT)",
    ):
        mariadb.rows(f"CREATE {statement.format(db=database)}", database=database)
    target = round_trip(database, backup={"exclude": ("made",)})
    warnings = [record.getMessage() for record in caplog.records]
    (left,) = [text for text in warnings if "left as it is" in text]
    assert left.startswith(f"procedure compares names {database}.item, which")
    mariadb.rows(f"CREATE TABLE {target}.made(id INT)")
    mariadb.rows(f"CALL {target}.writes()")
    assert mariadb.rows(f"SELECT id, 'item' FROM {target}.item UNION SELECT id, 'made' FROM {target}.made") == [
        (7, "item"),
        (3, "made"),
    ]
    assert mariadb.rows(f"SELECT id FROM {database}.item UNION ALL SELECT id FROM {database}.made") == []
    mariadb.rows(f"DROP DATABASE {database}")
    mariadb.rows(f"CALL {target}.counts()")


def test_events_of_a_drill_stay_switched_off(
    mariadb: MariaDB, new_name: Callable[[], str], restoring: Callable[..., Any]
) -> None:
    body = b"CREATE DEFINER=`root`@`localhost` EVENT `e` ON SCHEDULE EVERY 1 DAY ENABLE DO SELECT 'ENABLE'"
    for drill, status in ((True, "DISABLED"), (False, "ENABLED")):
        target = new_name()
        play(restoring(target, drill=drill), script(), objects=script(Statement(kind="event", name="e", body=body)))
        assert mariadb.rows(
            f"SELECT status, event_definition FROM information_schema.events WHERE event_schema='{target}'"
        ) == [(status, "SELECT 'ENABLE'")]


@pytest.mark.parametrize("choice", ["keep", "current", "strip"])
def test_definers_are_kept_or_become_the_restoring_account(
    mariadb: MariaDB, database: str, round_trip: Callable[..., str], choice: str
) -> None:
    mariadb.rows(f"CREATE TABLE {database}.t(a INT)")
    mariadb.rows(f"CREATE DEFINER=ghost@'10.%' VIEW {database}.v AS SELECT 1 AS a")
    mariadb.rows(
        f"CREATE DEFINER=ghost@'10.%' TRIGGER {database}.tr BEFORE INSERT ON {database}.t FOR EACH ROW SET @a=1"
    )
    mariadb.rows(f"CREATE DEFINER=ghost@'10.%' PROCEDURE {database}.p() SELECT 1")
    mariadb.rows(f"CREATE DEFINER=ghost@'10.%' EVENT {database}.e ON SCHEDULE AT '2035-01-01' DO SELECT 1")
    target = round_trip(database, restore={"options": {"definer": choice}})
    definers = mariadb.rows(
        f"SELECT definer FROM information_schema.views WHERE table_schema='{target}' UNION ALL"
        f" SELECT definer FROM information_schema.triggers WHERE trigger_schema='{target}' UNION ALL"
        f" SELECT definer FROM information_schema.routines WHERE routine_schema='{target}' UNION ALL"
        f" SELECT definer FROM information_schema.events WHERE event_schema='{target}'"
    )
    assert definers == [("ghost@10.%" if choice == "keep" else "root@127.0.0.1",)] * 4


def test_what_the_server_cannot_hold_is_named_before_anything_is_touched(
    mariadb: MariaDB, new_name: Callable[[], str], restoring: Callable[..., Any], content: Content,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    target = new_name()
    engine = Registry().engine("mysql")
    needs = {
        "engine ndbcluster": [1, ["far"]],
        "collation utf8mb4_0900_ai_ci": [1, ["t.a"]],
        "collation utf8mb4_ja_0900_as_cs": [7, ["t.b", "t.c", "t.d", "t.e", "t.f", "t.g", "t.h"]],
        "type vector": [1, ["t.v"]],
        "type json": [1, ["t.j"]],
    }
    facts = {"format": "wire", "server": "9.7.0", "database": "x", "collation": "utf8mb4_0900_ai_ci", "rows": {}}
    request = RestoreRequest(
        url=mariadb.url(target), scratch=Path("/nonexistent"), streams=(Stream(name="schema"), Stream(name="objects")),
        facts={**facts, "needs": needs}, options=engine.options({}),
    )  # fmt: skip
    with pytest.raises(holdfast.UnsafeError) as caught, engine.restore(request):
        pass
    text = caught.value.message
    assert "engine ndbcluster (far)" in text
    assert "type vector (t.v)" in text
    assert "utf8mb4_ja_0900_as_cs (t.b, t.c, t.d, t.e, t.f and 2 more)" in text
    assert "json" not in text
    assert "utf8mb4_0900_ai_ci" not in text
    assert content(target) is None


def test_loading_gives_back_any_bytes(
    mariadb: MariaDB, new_name: Callable[[], str], restoring: Callable[..., Any]
) -> None:
    """The bytes that LOAD DATA gives a meaning to are escaped, NULL is not the text that stands for it."""
    samples = [
        b"\x1e",
        b"\x10",
        b"\x10N",
        b"\x10\x1e",
        b"N",
        b"",
        None,
        bytes(range(200)),
        b"\x1e" * 3,
        b"\\N",
        b"NULL",
    ]
    columns = (Column(name="a", kind="bytes"), Column(name="b", kind="bytes"))
    pairs = [(left, right) for left in samples for right in samples]
    table = Statement(kind="table", name="t", body=b"CREATE TABLE `t` (a VARBINARY(300), b VARBINARY(300))")
    for infile in (True, False):
        target = new_name()
        opened = restoring(target, rows={"data/t": ["t", len(pairs)]}, options={"local_infile": infile})
        play(opened, script(table), rows_of("t", columns, *pairs), objects=script())
        assert sorted(map(str, mariadb.rows(f"SELECT a, b FROM {target}.t"))) == sorted(map(str, pairs))


@pytest.mark.parametrize(
    ("fact", "value"),
    [("rows", [1, 2]), ("rows", {"data/t": ["t", "many"]}), ("rows", {"data/t": 5}), ("names", {"table": 3}),
     ("needs", {"engine x": []}), ("collation", 7), ("packets", "none"), ("brought", 1)],
)  # fmt: skip
def test_a_manifest_that_says_something_else_is_refused_in_words(
    mariadb: MariaDB, new_name: Callable[[], str], database: str, store: str, fact: str, value: object
) -> None:
    mariadb.rows("CREATE TABLE t(id INT PRIMARY KEY)", database=database)
    record = holdfast.backup(mariadb.url(database), store=store)
    manifest = Path(record.path, "backup_manifest.json")
    document = json.loads(manifest.read_text())
    document["hints"][fact] = value
    manifest.write_text(json.dumps(document))
    target = new_name()
    for attempt in (
        lambda: holdfast.restore(record, mariadb.url(target), store=store),
        lambda: holdfast.drill(record, into=mariadb.url(), store=store),
    ):
        with pytest.raises(holdfast.HoldfastError, match=f"the manifest says .* of '{fact}', expected "):
            attempt()
    assert not mariadb.rows(f"SHOW DATABASES LIKE '{target}'")
