"""The MySQL engine on MySQL itself, and between it and MariaDB; run by `.ci/matrix/mysql`, not by `make test`."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import mysql_mutations
from support.mutations import assert_named
from support.mysql_charsets import CHARSETS, ONLY_MYSQL, statements
from support.servers.mariadb import MariaDB

import holdfast
from holdfast.api import RestoreRequest, ScratchRequest, Stream
from holdfast.plugins.registry import Registry

ODD = Path(__file__).with_name("odd_mysql.sql").read_bytes()


@pytest.fixture
def odd(mysql: MariaDB) -> Iterator[str]:
    for name in ("odd", "copy"):
        mysql.rows(f"DROP DATABASE IF EXISTS {name}")
    mysql.rows("CREATE DATABASE odd")
    # MariaDB's client: all that it does is send the statements of the script.
    mysql.client(ODD, database="odd", options=("--comments", "--binary-mode", "--default-character-set=utf8mb4"))
    mysql.rows("CREATE TABLE odd.big(id INT PRIMARY KEY, b LONGBLOB)")
    mysql.rows("INSERT INTO odd.big VALUES (1, REPEAT(0xfeff27, 6000000)), (2, REPEAT('x', 16777215 - 4 - 1 - 4))")
    yield "odd"
    for name in ("odd", "copy"):
        mysql.rows(f"DROP DATABASE IF EXISTS {name}")


def content(server: MariaDB, database: str) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for name, kind in server.rows(
        f"SELECT table_name, table_type FROM information_schema.tables WHERE table_schema='{database}'"
    ):
        word = "VIEW" if kind == "VIEW" else "TABLE"
        content[f"{word} {name}"] = server.rows(f"SHOW CREATE {word} `{name}`", database=database)[0]
        if name == "many_values":
            # Its checksum is another one for each copy of the table: that of the hidden array varies.
            content[f"rows {name}"] = server.rows(f"SELECT * FROM `{name}`", database=database)
        elif word == "TABLE":
            content[f"sum {name}"] = server.rows(f"CHECKSUM TABLE `{name}` EXTENDED", database=database)[0][1:]
    for word, query in (
        (
            "PROCEDURE",
            "routine_name FROM information_schema.routines WHERE routine_type='PROCEDURE' AND routine_schema",
        ),
        ("FUNCTION", "routine_name FROM information_schema.routines WHERE routine_type='FUNCTION' AND routine_schema"),
        ("TRIGGER", "trigger_name FROM information_schema.triggers WHERE trigger_schema"),
        ("EVENT", "event_name FROM information_schema.events WHERE event_schema"),
    ):
        for (name,) in server.rows(f"SELECT {query}='{database}'"):
            row = server.rows(f"SHOW CREATE {word} `{name}`", database=database)[0]
            content[f"{word} {name}"] = [value for value in row if not hasattr(value, "year")]
    content["triggers"] = server.rows(
        "SELECT trigger_name, action_order FROM information_schema.triggers"
        f" WHERE trigger_schema='{database}' ORDER BY trigger_name"
    )
    return content


@pytest.mark.parametrize("form", ["wire", "sql"])
@pytest.mark.parametrize("infile", [True, False], ids=["infile", "insert"])
def test_every_definition_and_every_row_comes_back(
    mysql: MariaDB, odd: str, store: str, form: str, infile: bool
) -> None:
    mysql.rows(f"SET GLOBAL local_infile={int(infile)}")
    before = content(mysql, odd)
    assert len(before) > 40
    record = holdfast.backup(mysql.url(odd), store=store, options={"format": form})
    holdfast.restore(record.id, mysql.url("copy"), store=store)
    assert content(mysql, "copy") == before
    holdfast.restore(record.id, mysql.url("copy"), store=store, replace=True)
    assert content(mysql, "copy") == before
    assert content(mysql, odd) == before
    assert not [name for (name,) in mysql.rows("SHOW DATABASES") if "holdfast" in str(name)]


@pytest.mark.parametrize("form", ["wire", "sql"])
def test_the_commands_of_the_guide_restore_by_hand(
    mysql: MariaDB, odd: str, store: str, tmp_path: Path, form: str
) -> None:
    record = holdfast.backup(mysql.url(odd), store=store, options={"format": form})
    text = Path(record.path, "RESTORE.md").read_text()
    script = "\n".join(block.partition("```")[0] for block in text.split("```sh\n")[1:]).replace("TARGET_DB", "copy")
    (tmp_path / ".my.cnf").write_text(f"[client]\nsocket={mysql.socket}\nuser=root\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/mysql").symlink_to("/usr/bin/mariadb")
    path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=record.path, env={"HOME": str(tmp_path), "PATH": path}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert content(mysql, "copy") == content(mysql, odd)


def test_the_position_and_the_gtid_are_recorded(mysql: MariaDB, odd: str, store: str) -> None:
    import msgspec

    record = holdfast.backup(mysql.url(odd), store=store)
    point = msgspec.json.decode(Path(record.path, "backup_manifest.json").read_bytes())["consistency_point"]
    assert point["by"] == "global lock"
    assert point["file"].startswith("binlog.")
    assert point["position"] > 0
    assert point["gtid"] == "".join(str(mysql.rows("SELECT @@global.gtid_executed")[0][0]).split())


@pytest.mark.parametrize("query", ["?ssl_mode=disabled", "?ssl_mode=required", ""])
def test_caching_sha2_works_with_and_without_tls(mysql: MariaDB, odd: str, store: str, query: str) -> None:
    mysql.rows("CREATE USER sha@'%' IDENTIFIED WITH caching_sha2_password BY 'p@ss/w:rd'")
    try:
        mysql.rows("GRANT ALL ON *.* TO sha@'%'")
        mysql.rows("FLUSH PRIVILEGES")  # empties the cache: the first contact has to prove more
        url = mysql.url(odd, user="sha", password="p%40ss%2Fw%3Ard", query=query)
        assert holdfast.backup(url, store=store).state == "complete"
    finally:
        mysql.rows("DROP USER sha@'%'")


def test_without_reload_the_tables_are_locked(mysql: MariaDB, odd: str, store: str) -> None:
    mysql.rows("CREATE USER few@'%' IDENTIFIED BY 'x'")
    mysql.rows("CREATE ROLE reading")
    try:
        mysql.rows(f"GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES ON {odd}.* TO reading")
        mysql.rows("GRANT SHOW_ROUTINE ON *.* TO reading")
        mysql.rows("GRANT reading TO few@'%'")
        mysql.rows("SET DEFAULT ROLE reading TO few@'%'")
        record = holdfast.backup(mysql.url(odd, user="few", password="x"), store=store, jobs=2)
        assert any("position in the binary log" in warning for warning in record.warnings)
        mysql.rows("REVOKE TRIGGER ON odd.* FROM reading")
        with pytest.raises(holdfast.CredentialsError, match=r"triggers \(TRIGGER\)$"):
            holdfast.backup(mysql.url(odd, user="few", password="x"), store=store)
    finally:
        mysql.rows("DROP USER few@'%'")
        mysql.rows("DROP ROLE reading")


def test_accounts_come_along(mysql: MariaDB, odd: str, store: str) -> None:
    mysql.rows("CREATE USER keep@'10.%' IDENTIFIED BY 'x' ATTRIBUTE '{\"a\": 1}'")
    mysql.rows("CREATE ROLE reading")
    mysql.rows("GRANT SELECT ON odd.* TO reading")
    mysql.rows("GRANT reading TO keep@'10.%'")
    mysql.rows("SET DEFAULT ROLE reading TO keep@'10.%'")
    try:
        record = holdfast.backup(mysql.url(odd), store=store, options={"users": True})
        queries = ("SHOW GRANTS FOR keep@'10.%'", "SHOW GRANTS FOR reading", "SHOW CREATE USER keep@'10.%'")
        with mysql.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET print_identified_with_as_hex=ON")

            def accounts() -> list[object]:
                rows = []
                for query in queries:
                    cursor.execute(query)
                    rows.append(cursor.fetchall())
                return rows

            before = accounts()
            cursor.execute("DROP USER keep@'10.%'")
            cursor.execute("DROP ROLE reading")
            holdfast.restore(record.id, mysql.url("copy"), store=store, options={"users": True})
            assert accounts() == before
    finally:
        mysql.rows("DROP USER IF EXISTS keep@'10.%'")
        mysql.rows("DROP ROLE IF EXISTS reading")


def test_a_drill_finds_what_was_there(mysql: MariaDB, odd: str, tmp_path: Path) -> None:
    from holdfast.api import DumpRequest
    from holdfast_mysql.plugin import plugin

    class Held:
        def __init__(self, name: str, data: bytes) -> None:
            self.data, self.stream = data, Stream(name=name, size=len(data))

        def chunks(self) -> Iterator[bytes]:
            yield self.data

        def spool(self) -> Path:
            raise NotImplementedError

    engine = Registry().engine("mysql")
    options = engine.options({})
    with engine.dump(DumpRequest(url=mysql.url(odd), scratch=tmp_path, options=options, jobs=2, proof=True)) as session:
        streams = {stream.name: b"".join(map(bytes, session.read(stream))) for stream in session.streams}
        recorded, facts = session.proof(), session.facts()
    assert recorded is not None
    opened = plugin.holdfast_scratch(
        "mysql", ScratchRequest(id="x", scratch=tmp_path, into=mysql.url(), options=options, jobs=2, facts=facts.hints)
    )
    assert opened is not None
    with opened as scratch:
        request = RestoreRequest(
            url=scratch.url, scratch=tmp_path, facts=facts.hints, options=options, drill=True,
            streams=tuple(Stream(name=name, size=len(data)) for name, data in streams.items()),
        )  # fmt: skip
        with engine.restore(request) as restoring:
            for step in sorted(restoring.steps, key=lambda step: step.phase):
                restoring.load(step, Held(step.stream, streams[step.stream]))
            restoring.commit()
        assert scratch.check() == []
        assert scratch.proof(recorded) == recorded


def test_a_drill_names_every_change_and_nothing_else(mysql: MariaDB, store: str) -> None:
    """Every change that MySQL can hold, all made to one restored database; without them its drill passes."""
    changes = mysql_mutations.known("mysql")
    assert len(changes) > 250
    result = mysql_mutations.drill_of_all(mysql, changes, store)
    assert_named(result, "table column_added")
    expected = {place for change in changes for place in change.differing}
    assert {(difference.kind, difference.name) for difference in result.differences} == expected


def test_a_drill_needs_no_keyring_where_new_tables_are_encrypted_by_default(mysql: MariaDB, store: str) -> None:
    mysql.rows("CREATE DATABASE plain")
    mysql.rows("CREATE TABLE t(id INT PRIMARY KEY)", database="plain")
    record = holdfast.backup(mysql.url("plain"), store=store)
    mysql.rows("SET GLOBAL default_table_encryption=ON")
    try:
        assert holdfast.drill(record, store=store, into=mysql.url("")).state == "proven"
    finally:
        mysql.rows("SET GLOBAL default_table_encryption=OFF")
        mysql.rows("DROP DATABASE plain")


@pytest.mark.parametrize("way", ["mysql to mariadb", "mariadb to mysql"])
@pytest.mark.parametrize("form", ["wire", "sql"])
def test_what_both_products_know_goes_from_one_to_the_other(
    mysql: MariaDB, mariadb: MariaDB, store: str, way: str, form: str
) -> None:
    """The default collations of each stand in for those of the other; rows and objects are the same."""
    source, target = (mysql, mariadb) if way == "mysql to mariadb" else (mariadb, mysql)
    with source.connect() as connection, connection.cursor() as cursor:
        for statement in (
            "CREATE DATABASE shop CHARACTER SET utf8mb4",
            "USE shop",
            "CREATE TABLE t(id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(50), n DECIMAL(10,2), d DATETIME(3), b BLOB)",
            "ALTER TABLE t ADD e ENUM('a','b'), ADD j JSON, ADD f FLOAT, ADD KEY (v)",
            "INSERT INTO t VALUES (1, 'ünï 😀', 1.50, '2024-01-01 00:00:00.123', 0x00ff, 'b', '{\"a\": 1}', 0.1)",
            "INSERT INTO t(id) VALUES (2)",
            "CREATE VIEW v AS SELECT id, v FROM t",
            "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.v = UPPER(NEW.v)",
            "CREATE PROCEDURE p(a INT) SELECT a",
        ):
            cursor.execute(statement)
    try:
        record = holdfast.backup(source.url("shop"), store=store, options={"format": form})
        holdfast.restore(record.id, target.url("shop"), store=store, options={"definer": "current"})
        query = "SELECT id, v, n, d, HEX(b), e, JSON_EXTRACT(j, '$.a'), f+0e0 FROM shop.t"
        assert list(map(list, target.rows(query))) == list(map(list, source.rows(query)))
        target.rows("INSERT INTO t(v) VALUES ('x')", database="shop")
        assert target.rows("SELECT v FROM shop.v WHERE id=3") == [("X",)]
    finally:
        for server in (mysql, mariadb):
            server.rows("DROP DATABASE IF EXISTS shop")


def test_what_the_other_product_does_not_know_is_named_before_anything_is_touched(
    mysql: MariaDB, mariadb: MariaDB, odd: str, store: str
) -> None:
    record = holdfast.backup(mysql.url(odd), store=store)
    with pytest.raises(holdfast.UnsafeError, match=r"collation .*type vector \(loose_vectors.v, vectors.v\)") as caught:
        holdfast.restore(record.id, mariadb.url("odd"), store=store)
    assert caught.value.exit_code == 16
    mariadb.rows("CREATE DATABASE shop")
    try:
        made = ["SEQUENCE s", "TABLE u(u UUID, i INET6)", "TABLE a(a INT) ENGINE=Aria"]
        for what in [*made, "TABLE h(a INT) WITH SYSTEM VERSIONING"]:
            mariadb.rows(f"CREATE {what}", database="shop")
        record = holdfast.backup(mariadb.url("shop"), store=store)
        with pytest.raises(holdfast.UnsafeError) as caught:
            holdfast.restore(record.id, mysql.url("copy"), store=store)
        for part in (
            "engine Aria (a)",
            "sequence (s)",
            "system versioning (h)",
            "type inet6 (u.i)",
            "type uuid (u.u)",
        ):
            assert part in caught.value.message
        assert not mysql.rows("SELECT 1 FROM information_schema.schemata WHERE schema_name='copy'")
    finally:
        mariadb.rows("DROP DATABASE shop")


def test_ddl_waits_and_writers_do_not(mysql: MariaDB, odd: str, tmp_path: Path) -> None:
    import pymysql

    from holdfast.api import DumpRequest

    engine = Registry().engine("mysql")
    request = DumpRequest(url=mysql.url(odd), scratch=tmp_path, options=engine.options({}), jobs=1)
    with mysql.connect(odd) as other, other.cursor() as cursor, engine.dump(request) as session:
        cursor.execute("INSERT INTO parents VALUES (9, 'z')")
        cursor.execute("SET lock_wait_timeout=1")
        for statement in ("ALTER TABLE parents ADD x INT", "CREATE TABLE fresh(a INT)", "TRUNCATE log"):
            with pytest.raises(pymysql.err.OperationalError, match="1205"):
                cursor.execute(statement)
        for stream in session.streams:
            for _ in session.read(stream):
                pass
        assert session.facts().hints["rows"]["data/parents"] == ["parents", 1]


def test_a_right_that_is_revoked_for_one_database_does_not_count(mysql: MariaDB, odd: str, store: str) -> None:
    """With partial_revokes: the lists of that database are empty, and nothing says so."""
    mysql.rows("SET GLOBAL partial_revokes=ON")
    mysql.rows("CREATE USER partly@'%'")
    try:
        mysql.rows("GRANT SELECT, TRIGGER, EVENT, SHOW VIEW ON *.* TO partly@'%'")
        mysql.rows(f"REVOKE TRIGGER, EVENT ON {odd}.* FROM partly@'%'")
        with pytest.raises(holdfast.CredentialsError, match=r"triggers \(TRIGGER\), events \(EVENT\)"):
            holdfast.backup(mysql.url(odd, user="partly"), store=store)
    finally:
        mysql.rows("DROP USER partly@'%'")
        mysql.rows("SET GLOBAL partial_revokes=OFF")


def test_kinds_are_left_out(mysql: MariaDB, store: str) -> None:
    mysql.rows("CREATE DATABASE kinds")
    try:
        mysql.rows("CREATE TABLE p (id INT PRIMARY KEY)", database="kinds")
        mysql.rows("CREATE TABLE c (id INT, p INT, CONSTRAINT f FOREIGN KEY (p) REFERENCES p (id))", database="kinds")
        mysql.rows("CREATE VIEW v AS SELECT id FROM c", database="kinds")
        mysql.rows("CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1", database="kinds")
        record = holdfast.backup(mysql.url("kinds"), store=store, exclude_kinds=["view", "event", "foreign_key"])
        assert holdfast.drill(record.id, store=store, into=mysql.url()).state == "proven"
        holdfast.restore(record.id, mysql.url("kinds"), store=store, replace=True)
        assert {name for (name,) in mysql.rows("SHOW TABLES", database="kinds")} == {"c", "p"}
        assert "CONSTRAINT" not in str(mysql.rows("SHOW CREATE TABLE c", database="kinds"))
        assert mysql.rows("SHOW EVENTS", database="kinds") == []
    finally:
        mysql.rows("DROP DATABASE kinds")


@pytest.mark.parametrize("form", ["wire", "sql"])
def test_labels_defaults_and_literals_of_every_character_set_come_back(mysql: MariaDB, store: str, form: str) -> None:
    mysql.rows("CREATE DATABASE lettered")
    try:
        with mysql.connect("lettered") as connection, connection.cursor() as cursor:
            for charset, (char, code) in {**CHARSETS, **ONLY_MYSQL}.items():
                for statement in statements(charset, char, code):
                    cursor.execute(statement)
        record = holdfast.backup(mysql.url("lettered"), store=store, options={"format": form})
        result = holdfast.drill(record.id, store=store, into=mysql.url())
        assert (result.state, result.problems) == ("proven", ())
    finally:
        mysql.rows("DROP DATABASE lettered")


def test_json_that_prints_otherwise_is_told_of_and_is_no_damage(mysql: MariaDB, store: str) -> None:
    """A decimal number is a double once it was read as text."""
    mysql.rows("CREATE DATABASE numbers")
    try:
        for statement in (
            "CREATE TABLE keyed(id INT PRIMARY KEY, j JSON)",
            "CREATE TABLE loose(j JSON)",
            "CREATE TABLE same(id INT PRIMARY KEY, j JSON)",
            "INSERT INTO keyed VALUES (1, CAST(1.50 AS JSON)), (2, '{\"a\": 1.5}'), (3, NULL)",
            "INSERT INTO loose VALUES (JSON_OBJECT('a', 100.10))",
            "INSERT INTO same VALUES (1, '[1e20, -0.0, 1.5]'), (2, JSON_OBJECT('d', CAST('2020-01-01' AS DATE)))",
        ):
            mysql.rows(statement, database="numbers")
        record = holdfast.backup(mysql.url("numbers"), store=store)
        told = [warning.partition(" with")[0] for warning in record.warnings if "JSON" in warning]
        assert told == ["column keyed.j has 1 JSON value", "column loose.j has 1 JSON value"]
        result = holdfast.drill(record.id, store=store, into=mysql.url())
        assert (result.state, result.problems) == ("proven", ())
    finally:
        mysql.rows("DROP DATABASE numbers")
