"""What a database of MySQL or MariaDB holds, as the server tells it, and the same by the product's own dump program."""

import os
import re
import subprocess

from support.servers.mariadb import MariaDB

Place = tuple[str, str]
_RELATIONS = "SELECT table_type, table_name FROM information_schema.tables WHERE table_schema='{}'"
_OTHERS = (
    "SELECT routine_type, routine_name FROM information_schema.routines WHERE routine_schema='{0}'"
    " UNION ALL SELECT 'TRIGGER', trigger_name FROM information_schema.triggers WHERE trigger_schema='{0}'"
    " UNION ALL SELECT 'EVENT', event_name FROM information_schema.events WHERE event_schema='{0}'"
)
# MySQL adds them each time that a view with INTERSECT is made.
_ADDED = re.compile(r"(?: and )?\((?:[^()]|\((?:[^()]|\([^()]*\))*\))* is not null\)")
_WORDS = {"BASE TABLE": "TABLE", "SYSTEM VERSIONED": "TABLE"}


def contents(server: MariaDB, database: str) -> dict[Place, list[str]]:
    """Kind and name of each object, and what SHOW CREATE says of it, without times of creation."""
    read: dict[Place, list[str]] = {}
    with server.connect(database) as connection, connection.cursor() as cursor:
        names = []
        for query in (_RELATIONS, _OTHERS):
            cursor.execute(query.format(database))
            names += list(cursor.fetchall())
        for told, name in names:
            word = _WORDS.get(told, told)
            cursor.execute(f"SHOW CREATE {word} `{name.replace('`', '``')}`")
            row = [str(value) for value in cursor.fetchone() or () if not hasattr(value, "year")]
            if word == "TABLE":
                cursor.execute(f"SELECT COUNT(*) FROM `{name.replace('`', '``')}`")
                row.append(str(cursor.fetchone()))
            if word == "VIEW" and " intersect " in row[1]:
                row[1] = _ADDED.sub("", row[1])
            read[word.lower(), name] = row
    return read


def native_copy(server: MariaDB, source: str, target: str, *, product: str) -> None:
    """Copy a database by the product's own programs, going on behind what they cannot make."""
    root = os.environ.get(f"HOLDFAST_TEST_{product.upper()}_ROOT", "")
    where = ["chroot", root] if root else []
    login = ["--no-defaults", f"--socket={server.socket.removeprefix(root)}", "--user=root", "--force"]
    login += ["--skip-ssl"] if product == "mariadb" else ["--ssl-mode=DISABLED"]
    names = {"mariadb": ("mariadb-dump", "mariadb"), "mysql": ("mysqldump", "mysql")}[product]
    dump = [*where, names[0], *login, "--routines", "--events", "--triggers", "--hex-blob", "--skip-dump-date", source]
    text = subprocess.run(dump, capture_output=True, check=False).stdout
    load = [*where, names[1], *login, "--binary-mode", f"--database={target}"]
    subprocess.run(load, input=text, capture_output=True, check=False)


def drop_lost(server: MariaDB, database: str, *, product: str) -> set[Place]:
    """Drop what the product's own dump does not bring back, which no restore could; returns what that is."""
    copy = f"{database}_native"
    server.rows(f"CREATE DATABASE {copy}")
    try:
        native_copy(server, database, copy, product=product)
        lost = {place for place, _ in set(_counted(server, database)) - set(_counted(server, copy))}
        with server.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute("SET foreign_key_checks=0")
            for kind, name in lost:
                cursor.execute(f"DROP {kind.upper()} IF EXISTS `{name.replace('`', '``')}`")
        return lost
    finally:
        server.rows(f"DROP DATABASE {copy}")


def _counted(server: MariaDB, database: str) -> list[tuple[Place, object]]:
    """Each object, a table with the number of its rows."""
    counted = []
    for kind, name in _names(server, database):
        query = f"SELECT COUNT(*) FROM `{name.replace('`', '``')}`"
        counted.append(((kind, name), server.rows(query, database=database)[0][0] if kind == "table" else None))
    return counted


def _names(server: MariaDB, database: str) -> list[Place]:
    return [
        (_WORDS.get(str(kind), str(kind)).lower(), str(name))
        for query in (_RELATIONS, _OTHERS)
        for kind, name in server.rows(query.format(database))
    ]
