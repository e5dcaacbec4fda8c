"""The commands that restore a backup by hand, and the decoder that lies in it."""

import re
import shlex
from collections.abc import Mapping, Sequence
from importlib.resources import files as package_files

from holdfast_mysql.catalog.computing import SUBTRACTION, assignments, computing_again
from holdfast_mysql.catalog.tables import Table
from holdfast_mysql.definitions.script import SQL_MODE, Statement
from holdfast_mysql.session import Server

DECODER = "decode_rows.py"
_SUBTRACTION = re.compile(rb"(?:GENERATED ALWAYS AS|CHECK|PARTITION BY|KEY)\b[^\n]* - ")


def files() -> dict[str, bytes]:
    """The files that a backup of rows holds besides its streams."""
    return {DECODER: package_files("holdfast_mysql.rows").joinpath(DECODER).read_bytes()}


def subtracts(body: bytes) -> bool:
    """Whether a table can need NO_UNSIGNED_SUBTRACTION: for what it computes, divides or checks it by."""
    return b"unsigned" in body and _SUBTRACTION.search(body) is not None


def steps(
    server: Server, database: Statement, units: Sequence[str], *, wire: bool, broken: bool, signed: bool,
    computed: Sequence[tuple[Table, Mapping[str, str]]],
) -> tuple[str, ...]:  # fmt: skip
    """Lines of shell; the account comes from the client's option file."""
    client = "mariadb" if server.mariadb else "mysql"
    run = f"{client} --comments --binary-mode --default-character-set=utf8mb4 --max-allowed-packet=1G TARGET_DB"
    create = f"CHARACTER SET {database.extra['charset']} COLLATE {database.collation}"
    # In the line that sets the sql_mode of a script; nothing is changed in rows.
    mode = f"LC_ALL=C sed '1,9s/^SET NAMES utf8mb4, sql_mode=.{SQL_MODE}/&,{SUBTRACTION}/' | "
    into = f"{mode}{run}" if signed else run
    lines = [f"{client} -e 'CREATE DATABASE `TARGET_DB` {create}'"]
    if not server.mariadb:
        lines.append(
            f"# if InnoDB's strict mode refuses a table: {client} -e 'SET GLOBAL innodb_strict_mode=OFF' first"
        )
    if wire:
        lines.append(f"{{decode:schema}} | {into}")
        lines += [f"{{decode:{name}}} | python3 {DECODER} | {into}" for name in units]
        lines.append(f"{{decode:objects}} | {run}")
    else:
        lines.append(f"{{decode:script}} | {into}")
    for table, settings in computed:
        # Stored columns that are others in a session without these settings.
        written = [column.name for column in table.columns if not column.generated]
        sql = f"SET {assignments(settings)}; {computing_again(server, table.name, written, settings)}"
        lines.append(f"{client} -e {shlex.quote(sql)} TARGET_DB")
    if broken:
        # The server takes none whose tables are missing: the client says so of each, and goes on.
        lines.append(f"{{decode:broken}} | {run.replace(client, f'{client} --force', 1)}")
    return tuple(lines)
