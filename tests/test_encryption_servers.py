"""Encrypted backups of servers: the same as of SQLite, with many streams, and by hand with the server's own client."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.servers.mariadb import MariaDB, mariadb
from support.servers.postgres import PostgresServer, postgres_server

import holdfast
from holdfast.errors import CredentialsError, IntegrityError

__all__ = ["mariadb", "postgres_server"]


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "me"
    subprocess.run(["age-keygen", "-o", str(path)], check=True, capture_output=True)
    return path


def recipient(identity: Path) -> str:
    return subprocess.run(
        ["age-keygen", "-y", str(identity)], check=True, capture_output=True, text=True
    ).stdout.strip()


def encrypted(url: str, store: Path, identity: Path, **options: object) -> Path:
    """Make a backup, drill it, and see that the store names none of what is planted; returns its folder."""
    record = holdfast.backup(url, store=str(store), name="nightly", recipients=(recipient(identity),), options=options)
    assert holdfast.drill("latest", store=str(store), into=url, identity=str(identity)).state == "proven"
    assert all(result.passed for result in holdfast.verify(store=str(store), read_data=True, identity=str(identity)))
    for file in store.rglob("*"):
        data = file.read_bytes().lower() if file.is_file() else b""
        assert not [word for word in (b"zebra", b"giraffe", b"okapi") if word in data or word.hex().encode() in data]
    return store / "nightly" / record.id


def by_hand(folder: Path, identity: Path, database: str, environment: dict[str, str]) -> None:
    """Run what RESTORE.md says, and then what it has decrypted says, on the system's own path."""
    for page, name, value in (("RESTORE.md", "IDENTITY", str(identity)), ("INSTRUCTIONS.md", "TARGET_DB", database)):
        blocks = re.findall(r"^```sh\n(.*?)^```$", (folder / page).read_text(), re.DOTALL | re.MULTILINE)
        script = "".join(blocks).replace(name, value)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()


def check_swapped_blobs(folder: Path, store: Path, identity: Path, target: str) -> None:
    """Two blobs of one backup change places: both open, and neither is what it should be."""
    first, second = sorted(folder.glob("b*.age"))[:2]
    kept = first.read_bytes()
    shutil.copy(second, first)
    second.write_bytes(kept)
    with pytest.raises(IntegrityError):
        holdfast.restore("latest", target, store=str(store), identity=str(identity))


def test_postgresql(postgres_server: PostgresServer, tmp_path: Path, identity: Path) -> None:
    with postgres_server.database() as okapi, postgres_server.database() as other, postgres_server.database() as hand:
        postgres_server.execute(
            okapi,
            "CREATE TABLE zebra (id int PRIMARY KEY, giraffe text)",
            "INSERT INTO zebra SELECT n, md5(n::text) FROM generate_series(1, 5000) n",
            "CREATE TABLE zebra_more AS SELECT * FROM zebra",
        )
        query = "SELECT count(*), sum(hashtext(giraffe)) FROM zebra"
        original = postgres_server.rows(okapi, query)
        folder = encrypted(postgres_server.url(okapi), tmp_path / "store", identity, format="parallel", large_table="0")
        with pytest.raises(CredentialsError):
            holdfast.restore("latest", postgres_server.url(other), store=str(tmp_path / "store"))
        assert not postgres_server.relations(other)
        holdfast.restore("latest", postgres_server.url(other), store=str(tmp_path / "store"), identity=str(identity))
        assert postgres_server.rows(other, query) == original
        postgres_server.drop(hand)
        by_hand(
            Path(shutil.copytree(folder, tmp_path / "rescued")),
            identity,
            hand,
            {
                "PATH": f"{postgres_server.run.folder}:/usr/bin:/bin",
                "PGHOST": "127.0.0.1",
                "PGPORT": str(postgres_server.port),
                "PGUSER": "postgres",
            },
        )
        assert postgres_server.rows(hand, query) == original
        postgres_server.drop(other)
        postgres_server.create(other)
        check_swapped_blobs(folder, tmp_path / "store", identity, postgres_server.url(other))
        assert not postgres_server.relations(other)


def test_mariadb(mariadb: MariaDB, tmp_path: Path, identity: Path) -> None:
    databases = ("okapi", "okapi_other", "okapi_hand")
    for name in databases:
        mariadb.rows(f"CREATE DATABASE {name}")
    try:
        mariadb.rows("CREATE TABLE zebra (id int PRIMARY KEY, giraffe text)", database="okapi")
        mariadb.rows("INSERT INTO zebra SELECT seq, md5(seq) FROM seq_1_to_5000", database="okapi")
        mariadb.rows("CREATE TABLE zebra_more (id int PRIMARY KEY, giraffe text)", database="okapi")
        query = "SELECT count(*), sum(crc32(giraffe)) FROM zebra"
        original = mariadb.rows(query, database="okapi")
        folder = encrypted(mariadb.url("okapi"), tmp_path / "store", identity)
        target = mariadb.url("okapi_other")
        with pytest.raises(CredentialsError):
            holdfast.restore("latest", target, store=str(tmp_path / "store"))
        assert mariadb.rows("SHOW TABLES", database="okapi_other") == []
        holdfast.restore("latest", target, store=str(tmp_path / "store"), identity=str(identity))
        assert mariadb.rows(query, database="okapi_other") == original
        mariadb.rows("DROP DATABASE okapi_hand")
        (tmp_path / ".my.cnf").write_text(f"[client]\nsocket={mariadb.socket}\nuser=root\nskip-ssl\n")
        rescued = Path(shutil.copytree(folder, tmp_path / "rescued"))
        by_hand(rescued, identity, "okapi_hand", {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
        assert mariadb.rows(query, database="okapi_hand") == original
        mariadb.rows("DROP DATABASE okapi_other")
        mariadb.rows("CREATE DATABASE okapi_other")
        check_swapped_blobs(folder, tmp_path / "store", identity, target)
        assert mariadb.rows("SHOW TABLES", database="okapi_other") == []
    finally:
        for name in databases:
            mariadb.rows(f"DROP DATABASE IF EXISTS {name}")
