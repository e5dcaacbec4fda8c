"""Names as the server tells them apart: by case, or not at all (lower_case_table_names)."""

from collections.abc import Callable, Iterator

import pytest
from support.servers.mariadb import MariaDB, running_mariadb

import holdfast


def test_databases_that_differ_by_case_have_nothing_of_each_other(
    mariadb: MariaDB, new_name: Callable[[], str], store: str
) -> None:
    """MariaDB compares names without case where it lists objects."""
    lower, target = new_name(), new_name()
    upper = lower.upper()
    for name, letter in ((lower, "a"), (upper, "b")):
        mariadb.rows(f"CREATE DATABASE {name}")
        for statement in (
            f"TABLE {letter}(id INT PRIMARY KEY)",
            f"VIEW v{letter} AS SELECT 1",
            f"PROCEDURE p{letter}() SELECT 1",
            f"FUNCTION f{letter}() RETURNS INT DETERMINISTIC RETURN 1",
            f"TRIGGER t{letter} BEFORE INSERT ON {letter} FOR EACH ROW SET @a = 1",
            f"EVENT e{letter} ON SCHEDULE EVERY 1 DAY DO SELECT 1",
            f"SEQUENCE s{letter}",
        ):
            mariadb.rows(f"CREATE {statement}", database=name)
    try:
        record = holdfast.backup(mariadb.url(lower), store=store)
        holdfast.restore(record.id, mariadb.url(target), store=store)
        assert mariadb.rows(f"SHOW TABLES FROM {target}") == [("a",), ("sa",), ("va",)]
        assert [name for (name, *_) in mariadb.rows(f"SHOW TRIGGERS FROM {target}")] == ["ta"]
        routines = "SELECT routine_name FROM information_schema.routines WHERE routine_schema='{}' ORDER BY 1"
        assert mariadb.rows(routines.format(target)) == [("fa",), ("pa",)]
        mariadb.rows(f"DROP DATABASE {target}")
        holdfast.restore(record.id, mariadb.url(upper), store=store, replace=True)
        assert mariadb.rows(f"SHOW TABLES FROM {lower}") == [("a",), ("sa",), ("va",)]
        assert mariadb.rows(f"SHOW TABLES FROM {upper}") == [("a",), ("sa",), ("va",)]
        assert holdfast.drill(record.id, store=store, into=mariadb.url()).state == "proven"
    finally:
        mariadb.rows(f"DROP DATABASE IF EXISTS {upper}")


@pytest.fixture(scope="module")
def folding() -> Iterator[MariaDB]:
    """A server that has all names in lower case."""
    with running_mariadb("--lower-case-table-names=1", "--local-infile=ON", "--skip-ssl") as server:
        yield server


def make_shop(server: MariaDB) -> None:
    """A database whose names are in both cases, and whose objects write them as it comes."""
    server.rows("CREATE DATABASE shop")
    for statement in (
        "CREATE TABLE Customers(Id INT PRIMARY KEY, Name VARCHAR(20))",
        "CREATE TABLE Orders(Id INT AUTO_INCREMENT PRIMARY KEY, Cust INT, FOREIGN KEY (Cust) REFERENCES Customers(Id))",
        "CREATE TABLE Loose(a INT) ENGINE=Aria",
        "CREATE SEQUENCE Numbers",
        "INSERT INTO Customers VALUES (1, 'a'), (2, 'b')",
        "INSERT INTO Orders VALUES (0, 1)",
        "CREATE VIEW Names AS SELECT Id, Name FROM Customers",
        "CREATE VIEW `Top` AS SELECT Id FROM Names",
        "CREATE TRIGGER Upper BEFORE INSERT ON Customers FOR EACH ROW SET NEW.Name = UPPER(NEW.Name)",
        "CREATE FUNCTION Many() RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM Customers)",
        "CREATE PROCEDURE Everything() SELECT Customers.Id FROM Customers JOIN shop.Orders ON Cust = Customers.Id",
        "CREATE EVENT Daily ON SCHEDULE EVERY 1 DAY DO DELETE FROM Orders",
    ):
        server.rows(statement, database="shop")


@pytest.mark.parametrize("form", ["wire", "sql"])
@pytest.mark.parametrize("way", ["into lower case", "out of lower case"])
def test_names_go_both_ways(mariadb: MariaDB, folding: MariaDB, store: str, form: str, way: str) -> None:
    """Rows, names and references are as the target's server has them, and a drill there is proven."""
    source, target = (mariadb, folding) if way == "into lower case" else (folding, mariadb)
    make_shop(source)
    try:
        record = holdfast.backup(source.url("shop"), store=store, options={"format": form})
        result = holdfast.drill(record.id, store=store, into=target.url())
        assert (result.state, result.problems) == ("proven", ())
        assert "lower case" in str(result.warnings)
        holdfast.restore(record.id, target.url("shop"), store=store)
        relations = ["customers", "loose", "names", "numbers", "orders", "top"]
        assert sorted(str(name) for (name,) in target.rows("SHOW TABLES FROM shop")) == relations
        target.rows("INSERT INTO customers VALUES (3, 'c')", database="shop")
        assert target.rows("SELECT * FROM customers", database="shop") == [(1, "a"), (2, "b"), (3, "C")]
        assert target.rows("CALL shop.Everything()") == [(1,)]
        assert target.rows("SELECT shop.Many(), (SELECT COUNT(*) FROM shop.top)") == [(3, 3)]
        selected = "Customers" if source is mariadb else "customers"
        holdfast.restore(record.id, target.url("shop"), store=store, replace=True, select=(selected,))
        assert target.rows("SELECT Id FROM shop.customers") == [(1,), (2,)]
        assert [name for (name, *_) in target.rows("SHOW TRIGGERS FROM shop")] == ["Upper"]
        holdfast.restore(record.id, target.url("shop"), store=store, replace=True)
        assert sorted(str(name) for (name,) in target.rows("SHOW TABLES FROM shop")) == relations
    finally:
        for server in (mariadb, folding):
            server.rows("DROP DATABASE IF EXISTS shop")


def test_names_that_are_one_to_the_server_are_refused(
    mariadb: MariaDB, folding: MariaDB, database: str, store: str
) -> None:
    for name in ("t", "T", "u"):
        mariadb.rows(f"CREATE TABLE {database}.{name}(a INT)")
    record = holdfast.backup(mariadb.url(database), store=store)
    with pytest.raises(holdfast.UnsafeError, match="T and t are one name"):
        holdfast.restore(record.id, folding.url("target"), store=store)
    assert folding.rows("SHOW DATABASES LIKE 'target'") == []
