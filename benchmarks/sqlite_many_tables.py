"""SQLite with very many small tables: how times grow with their number, beside those of the `sqlite3` shell.

The shell's times grow with the square: at each definition SQLite looks through all that are there before.
"""

import argparse
import sqlite3
from contextlib import closing
from pathlib import Path

from benchmarks.measure import PROGRAM, Contender, run, workplace


def _fill(path: Path, tables: int) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        for number in range(tables):
            table = f"t{number}"
            connection.execute(f"CREATE TABLE {table}(id INTEGER PRIMARY KEY, a TEXT NOT NULL, b)")
            connection.execute(f"INSERT INTO {table}(a, b) VALUES ('x', 1), ('y', NULL)")
            connection.execute(f"CREATE INDEX {table}_a ON {table}(a)")
            connection.execute(
                f"CREATE TRIGGER {table}_i AFTER INSERT ON {table} "
                f"BEGIN UPDATE {table} SET b = 1 WHERE id = new.id; END"
            )
        connection.execute("COMMIT")


def _contenders(folder: Path, tables: int) -> list[Contender]:
    """What is timed, in the order in which each finds what those before it have left."""
    source, script, store = folder / "app.db", folder / "app.sql", folder / "store"
    _fill(source, tables)
    names = [f"t{number}" for number in range(tables)]
    drops = "".join(f"DROP TABLE {name};\n" for name in names)
    merge = folder / "merge.sql"
    ours = [PROGRAM, "backup", "-q", f"sqlite:///{source}", "--store", str(store)]
    restore = [PROGRAM, "restore", "-q", "--store", str(store)]

    def remove(name: str) -> None:
        (folder / name).unlink(missing_ok=True)

    def write_merge() -> None:
        definitions = script.read_text().partition("BEGIN TRANSACTION;")[2]
        merge.write_text(f"BEGIN;\n{drops}{definitions}")

    return [
        Contender(name="sqlite3 .dump", command=f"sqlite3 {source} .dump > {script}"),
        Contender(
            name="sqlite3 < script", command=f"sqlite3 {folder}/peer.db < {script}", prepare=lambda: remove("peer.db")
        ),
        Contender(
            name="sqlite3, all dropped and made", command=f"sqlite3 {folder}/peer.db < {merge}", prepare=write_merge
        ),
        Contender(name="backup", command=[*ours, "--name", "image"]),
        Contender(name="backup --check full", command=[*ours, "--name", "image", "--check", "full"]),
        Contender(name="backup -o format=sql", command=[*ours, "--name", "sql", "-o", "format=sql"]),
        Contender(name="drill", command=[PROGRAM, "drill", "-q", "image/latest", "--store", str(store)]),
        Contender(name="restore", command=[*restore, "image/latest", f"sqlite:///{folder}/image.db", "--replace"]),
        Contender(
            name="restore of format=sql",
            command=[*restore, "sql/latest", f"sqlite:///{folder}/sql.db"],
            prepare=lambda: remove("sql.db"),
        ),
        Contender(
            name="restore --select '*' --replace",
            command=[*restore, "image/latest", f"sqlite:///{folder}/image.db", "--select", "*", "--replace"],
        ),
    ]


def main(arguments: list[str]) -> None:
    """Measure the curves."""
    parser = argparse.ArgumentParser(prog="benchmarks sqlite_many_tables")
    parser.add_argument("--tables", type=int, nargs="+", default=[1000, 5000, 20000])
    options = parser.parse_args(arguments)
    print("\nmany small tables, each with an index and a trigger (one run)")
    for tables in options.tables:
        with workplace() as folder:
            for contender in _contenders(folder, tables):
                sample = run(contender)
                print(
                    f"{tables:6} tables: {contender.name:30} {sample.wall:7.2f} s, {sample.cpu:7.2f} s of CPU, "
                    f"{sample.rss:4.0f} MB",
                    flush=True,
                )
