"""An extension of our own, put among those of a server: it keeps rows as others do that no package brings everywhere.

`kind_number` takes only kinds that there is a row of, as pcpoint of pointcloud does; of `kind` the rows of users are
configuration, with their sequence, as spatial_ref_sys of PostGIS; `chapter` and `book` refer to each other from the
moment they are made, as the catalog of TimescaleDB does; rows of `note` are nobody's configuration, as pglogical's.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from support.servers.postgres import PostgresServer

_CONTROL = """
comment = 'rows of its own'
default_version = '{version}'
relocatable = false
"""
_SCRIPT = """
CREATE TABLE @extschema@.kind (id serial PRIMARY KEY, name text NOT NULL, built_in boolean NOT NULL DEFAULT false);
INSERT INTO @extschema@.kind (name, built_in) VALUES ('plain', true);
SELECT pg_catalog.pg_extension_config_dump('@extschema@.kind', 'WHERE NOT built_in');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.kind_id_seq', '');
CREATE FUNCTION @extschema@.is_kind(int) RETURNS boolean LANGUAGE sql IMMUTABLE
    AS 'SELECT EXISTS (SELECT FROM @extschema@.kind WHERE id = $1)';
CREATE DOMAIN @extschema@.kind_number AS int CHECK (@extschema@.is_kind(VALUE));
CREATE TABLE @extschema@.chapter (id int PRIMARY KEY, book int NOT NULL);
CREATE TABLE @extschema@.book (id int PRIMARY KEY, first int NOT NULL REFERENCES @extschema@.chapter);
ALTER TABLE @extschema@.chapter ADD FOREIGN KEY (book) REFERENCES @extschema@.book;
SELECT pg_catalog.pg_extension_config_dump('@extschema@.chapter', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.book', '');
CREATE TABLE @extschema@.note (t text);
INSERT INTO @extschema@.note VALUES ('of the extension itself');
"""
_UPDATE = "INSERT INTO @extschema@.note VALUES ('of the update')"


class OwnExtension:
    """The files of one; `name` is its name, that of no other."""

    def __init__(self, server: PostgresServer) -> None:
        self.name = f"holdfast_{secrets.token_hex(4)}"
        share = server.value("postgres", "SELECT setting FROM pg_config WHERE name = 'SHAREDIR'")
        root = server.run.root
        folder = Path(share) if root is None else root / share.lstrip("/")
        self._control = folder / "extension" / f"{self.name}.control"
        self._scripts = {
            folder / "extension" / f"{self.name}--1.0.sql": _SCRIPT,
            folder / "extension" / f"{self.name}--1.0--1.1.sql": _UPDATE,
        }

    def install(self, version: str = "1.0", *, more: str = "") -> None:
        """Put its files there, with this as the version that CREATE EXTENSION takes, and `more` in its script."""
        if not os.access(self._control.parent, os.W_OK):
            raise RuntimeError(
                f"an extension of our own cannot be put into {self._control.parent}: run the tests as a user who may, "
                "or name the programs of a server of your own in HOLDFAST_TEST_PG_BINDIR"
            )
        for path, text in {**self._scripts, self._control: _CONTROL.format(version=version)}.items():
            written = path.with_suffix(".new")
            written.write_text(text + more if path.stem.endswith("--1.0") else text)
            written.replace(path)  # servers of other workers read the folder, too

    def remove(self) -> None:
        """Remove its files."""
        for path in (self._control, *self._scripts):
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def own_extension(server: PostgresServer) -> Iterator[OwnExtension]:
    """The extension, available on a server for the length of a block.

    Best of a session: a server that reads the folder just then says that an extension whose file has gone is missing.
    """
    extension = OwnExtension(server)
    extension.install()
    try:
        yield extension
    finally:
        extension.remove()


MODE = """
CREATE FUNCTION @extschema@.own_pre_restore() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET own.restoring = on', current_database()); END $$;
CREATE FUNCTION @extschema@.own_post_restore() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    EXECUTE format('ALTER DATABASE %I RESET own.restoring', current_database()); END $$;
CREATE FUNCTION @extschema@.guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF current_setting('own.restoring', true) IS DISTINCT FROM 'on' THEN RAISE 'not in the mode for a restore'; END IF;
    RETURN new; END $$;
CREATE TRIGGER guard BEFORE INSERT ON @extschema@.book FOR EACH ROW EXECUTE FUNCTION @extschema@.guard();
"""
"""As TimescaleDB: rows of its tables are taken only between two calls."""

PLACE = """
DO $$ BEGIN
    IF current_database() <> current_setting('own.place', true) THEN RAISE 'not in this database'; END IF; END $$;
"""
"""As pg_cron: one database of the server alone may have it."""


def rows_of_users(extension: str, schema: str = "public", *, guarded: bool = False) -> tuple[str, ...]:
    """The statements that make the extension in a schema, and rows in its tables; `guarded` is one with a mode."""
    circle = (
        f"BEGIN; ALTER TABLE {schema}.chapter DISABLE TRIGGER ALL; INSERT INTO {schema}.chapter VALUES (1, 7);"
        f"INSERT INTO {schema}.book VALUES (7, 1); ALTER TABLE {schema}.chapter ENABLE TRIGGER ALL; COMMIT"
    )
    return (
        f"CREATE EXTENSION {extension} SCHEMA {schema}",
        f"INSERT INTO {schema}.kind (name) SELECT 'kind ' || i FROM generate_series(2, 5) i",
        f"SET own.restoring = {'on' if guarded else 'off'}",
        circle,
    )
