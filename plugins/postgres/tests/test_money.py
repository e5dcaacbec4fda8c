"""Amounts of the type money are the same wherever they are restored, whatever the locale of either server."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.servers.locales import foreign_money
from support.servers.pgbouncer import pgbouncer
from support.servers.postgres import PostgresServer, find_programs, running
from support.sweeps import swept

import holdfast
from holdfast.api import UnreachableError

_SETUP = (
    "CREATE DOMAIN price AS money DEFAULT 2.5::numeric::money CHECK (VALUE >= 0.25::numeric::money)",
    "CREATE TABLE bill (id int PRIMARY KEY, sum money DEFAULT (-1234.5)::numeric::money, prices price[], tip price)",
    """INSERT INTO bill SELECT n, (n * 1234.567 - 99999)::numeric::money, ARRAY[n::numeric::money], 7::numeric::money
        FROM generate_series(1, 3000) n""",
    "INSERT INTO bill (id) VALUES (0)",
    "CREATE VIEW dear AS SELECT id FROM bill WHERE sum > 1000.125::numeric::money",
)
# The number that an amount is, whatever the locale says of its point.
_CONTENT = """
SELECT count(*), sum(hashtextextended(encode(cash_send(sum), 'hex') || coalesce(encode(cash_send(tip), 'hex'), ''), 0))
FROM bill
"""


@pytest.fixture(scope="module")
def foreign() -> Iterator[PostgresServer]:
    """A server that writes amounts as no other does."""
    programs = find_programs()
    patch = pytest.MonkeyPatch()
    with foreign_money(programs, patch) as name, running(programs, settings=f"lc_monetary = '{name}'\n") as server:
        yield server


@pytest.fixture
def bills(foreign: PostgresServer) -> Iterator[str]:
    """A database with amounts on that server."""
    with foreign.database() as name:
        foreign.execute(name, *_SETUP)
        assert foreign.value(name, "SELECT sum FROM bill WHERE id = 1").startswith("-X98.764,")
        yield name


@pytest.mark.sweep(2)
@pytest.mark.parametrize("options", swept({}, {"large_table": "0"}, {"format": "plain"}, long=[{"format": "custom"}]))
def test_amounts_go_from_one_locale_to_another_and_back(
    foreign: PostgresServer, bills: str, server: PostgresServer, database: str, store: str, options: dict[str, str]
) -> None:
    """Backup, drill on the other server, restore there, and the same from there."""
    record = holdfast.backup(foreign.url(bills), store=store, proof=True, options=options)
    assert holdfast.drill(record.id, store=store, into=server.url("")).state == "proven"
    assert holdfast.drill(record.id, store=store, into=foreign.url("")).state == "proven"
    holdfast.restore(record.id, server.url(database), store=store)
    assert server.rows(database, _CONTENT) == foreign.rows(bills, _CONTENT)
    assert server.value(database, "SELECT sum FROM bill WHERE id = 0") == "-$12,345.00"  # of three decimals
    back = holdfast.backup(server.url(database), store=store, proof=True, options=options)
    assert holdfast.drill(back.id, store=store, into=foreign.url("")).state == "proven"


def test_amounts_are_put_into_a_database_whose_locale_is_another(
    foreign: PostgresServer, bills: str, store: str
) -> None:
    """By a restore of one table, in which a scratch database and the target have not the same."""
    record = holdfast.backup(foreign.url(bills), store=store)
    content = foreign.rows(bills, _CONTENT)
    foreign.execute("postgres", f"ALTER DATABASE {bills} SET lc_monetary TO 'C'")
    foreign.execute(bills, "UPDATE bill SET sum = 0::money")
    holdfast.restore(record.id, foreign.url(bills), store=store, select=["bill", "dear"], replace=True)
    assert foreign.rows(bills, _CONTENT) == content


def test_the_commands_by_hand_restore_amounts(foreign: PostgresServer, bills: str, store: str) -> None:
    """RESTORE.md names the locale in which they are written."""
    hand = f"{bills}_hand"
    record = holdfast.backup(foreign.url(bills), store=store, codec="none", options={"large_table": "0"})
    text = Path(record.path, "RESTORE.md").read_text().replace("TARGET_DB", hand)
    assert "lc_monetary=C" in text
    script = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    programs = os.environ.get("HOLDFAST_PG_BINDIR") or foreign.run.folder  # another version is in the matrix
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "PGHOST": "127.0.0.1", "PGUSER": "postgres"}
    environment["PGPORT"] = str(foreign.port)
    told = "does not know transaction_timeout" in text  # by a pg_restore newer than the server, and no other error
    done = subprocess.run(
        ["sh", "-uc" if told else "-euc", script],
        check=False,
        cwd=record.path,
        env=environment,
        capture_output=True,
        text=True,
    )
    errors = [line for line in done.stderr.splitlines() if "ERROR:" in line]
    assert [line for line in errors if not told or '"transaction_timeout"' not in line] == []
    assert done.returncode == 0 or told, done.stderr
    assert foreign.rows(hand, _CONTENT) == foreign.rows(bills, _CONTENT)


def test_amounts_behind_a_pooler_are_written_as_its_sessions_do(
    foreign: PostgresServer, bills: str, server: PostgresServer, database: str, store: str
) -> None:
    """Options cannot be given there: the backup says the locale, and a server that has it not refuses it."""
    with pgbouncer(foreign, "session") as pool:
        record = holdfast.backup(pool.url(bills), store=store, proof=True, options={"large_table": "0"})
        assert holdfast.drill(record.id, store=store, into=pool.url("")).state == "proven"
        assert holdfast.drill(record.id, store=store, into=foreign.url("")).state == "proven"
    direct = holdfast.backup(foreign.url(bills), store=store)
    refused = pytest.raises(UnreachableError, match="lc_monetary = C")
    with pgbouncer(foreign, "session") as pool, foreign.database() as target, refused:
        holdfast.restore(direct.id, pool.url(target), store=store)
    with pgbouncer(server, "session") as pool:  # whose C.UTF-8 writes amounts as C does
        holdfast.restore(direct.id, pool.url(database), store=store)
    assert server.rows(database, _CONTENT) == foreign.rows(bills, _CONTENT)


def test_a_database_without_amounts_needs_no_locale(server: PostgresServer, database: str, store: str) -> None:
    """Nor do the functions of an extension that takes them."""
    server.execute(database, "CREATE TABLE t (a int)")
    record = holdfast.backup(server.url(database), store=store)
    assert "lc_monetary" not in Path(record.path, "RESTORE.md").read_text()
