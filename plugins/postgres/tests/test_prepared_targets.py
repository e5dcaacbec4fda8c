"""What counts as empty: targets that somebody has prepared with extensions, and rows that extensions bring."""

from collections.abc import Iterator

import pytest
from support.servers.postgres import PostgresServer

import holdfast
from holdfast.api import CredentialsError, HoldfastError, UnsafeError

_PREPARED = (
    "CREATE SCHEMA extensions",
    "CREATE EXTENSION hstore SCHEMA extensions",
    "GRANT USAGE ON SCHEMA extensions TO PUBLIC",
)


@pytest.mark.sweep(1)
@pytest.mark.parametrize("kind", ["parallel", "plain"])
def test_a_schema_for_extensions_is_no_content(
    server: PostgresServer, database: str, target: str, store: str, kind: str, *, bare: bool
) -> None:
    """The backup makes the same schema, which is there; and a failed restore leaves it as it was."""
    if bare:
        return
    for name in (database, target):
        server.execute(name, *_PREPARED)
    server.execute(
        database,
        "CREATE TABLE extensions.inside (a int)",
        "CREATE TABLE orders (id int, h extensions.hstore)",
        "INSERT INTO orders VALUES (1, 'a=>1')",
        "CREATE FUNCTION here(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN "
        f"IF current_database() <> '{database}' THEN RAISE 'not here'; END IF; RETURN 1; END $$",
        "CREATE INDEX cannot ON orders (here(id))",
    )
    failing = holdfast.backup(server.url(database), store=store, options={"format": kind})
    before = server.text(target)
    with pytest.raises(HoldfastError, match="not here"):
        holdfast.restore(failing.id, server.url(target), store=store)
    assert server.text(target) == before
    assert server.value(target, "SELECT count(*) FROM pg_extension WHERE extname = 'hstore'") == 1
    server.execute(database, "DROP INDEX cannot")
    record = holdfast.backup(server.url(database), store=store, options={"format": kind})
    done = holdfast.restore(record.id, server.url(target), store=store)
    assert done.warnings == ()
    assert server.text(target) == server.text(database)


def test_an_owner_restores_beside_a_schema_for_extensions_that_is_not_theirs(
    server: PostgresServer, owned: tuple[str, str], store: str, role: str, *, bare: bool
) -> None:
    """As hosters prepare a database: the backup makes the schema, where the owner of the target can make nothing."""
    if bare:
        return
    database, target = owned
    for name in owned:
        server.execute(name, *_PREPARED)
    server.execute(database, "CREATE TABLE orders (id int, h extensions.hstore)", f"ALTER TABLE orders OWNER TO {role}")
    record = holdfast.backup(server.url(database), store=store)
    options = {"no_owner": "true", "no_privileges": "true"}
    holdfast.restore(record.id, server.url(target, role), store=store, options=options)
    assert server.relations(target) == {"public.orders"}


def test_rows_come_beside_those_of_an_extension(
    server: PostgresServer, database: str, target: str, store: str, *, bare: bool
) -> None:
    """Those it brings are no content, also those of its configuration that pg_dump leaves out; a failure keeps them."""
    if bare:
        return
    for name in (database, target):
        server.execute(
            name,
            "CREATE EXTENSION hstore",
            "CREATE TABLE lookup (id int PRIMARY KEY)",
            "ALTER EXTENSION hstore ADD TABLE lookup",
            "INSERT INTO lookup SELECT generate_series(1, 20)",
            "CREATE TABLE settings (id int PRIMARY KEY, brought bool)",
            "ALTER EXTENSION hstore ADD TABLE settings",
            "UPDATE pg_extension SET extconfig = ARRAY['settings'::regclass::oid], "
            "extcondition = ARRAY['WHERE NOT brought'] WHERE extname = 'hstore'",
            "INSERT INTO settings VALUES (1, true)",
            "CREATE TABLE orders (id int PRIMARY KEY CHECK (id < 100))",
        )
    server.execute(
        database, "INSERT INTO orders SELECT generate_series(1, 50)", "INSERT INTO settings VALUES (2, false)"
    )
    record = holdfast.backup(server.url(database), store=store, options={"data_only": "true"})
    server.execute(target, "ALTER TABLE orders ADD CONSTRAINT few CHECK (id < 20)")
    with pytest.raises(HoldfastError):
        holdfast.restore(record.id, server.url(target), store=store)
    counts = "SELECT (SELECT count(*) FROM lookup), (SELECT count(*) FROM settings), (SELECT count(*) FROM orders)"
    assert server.rows(target, counts) == [(20, 1, 0)]
    server.execute(target, "ALTER TABLE orders DROP CONSTRAINT few")
    holdfast.restore(record.id, server.url(target), store=store)
    assert server.rows(target, counts) == [(20, 2, 50)]
    with pytest.raises(UnsafeError, match=r"public\.orders"):
        holdfast.restore(record.id, server.url(target), store=store)


_FAILS = (
    "CREATE TABLE app.orders AS SELECT 1 AS id",
    """
    CREATE FUNCTION app.here(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
    IF current_setting('here.fails', true) IS DISTINCT FROM 'no' THEN RAISE 'not here'; END IF; RETURN 1; END $$
    """,
)


@pytest.fixture
def owned(server: PostgresServer, role: str) -> Iterator[tuple[str, str]]:
    """Two databases that go before the role does, the second of them the role's own."""
    with server.database() as source, server.database() as target:
        server.execute(target, f"ALTER DATABASE {target} OWNER TO {role}")
        yield source, target


@pytest.mark.sweep(1)
@pytest.mark.parametrize("superuser", [True, False])
def test_an_empty_schema_is_no_content(
    server: PostgresServer, owned: tuple[str, str], store: str, role: str, *, superuser: bool
) -> None:
    """As a hoster makes one for the application; a failed restore leaves it as it was."""
    database, target = owned
    server.execute(
        database,
        f"CREATE SCHEMA app AUTHORIZATION {role}",
        "COMMENT ON SCHEMA app IS 'of the backup'",
        "GRANT USAGE ON SCHEMA app TO PUBLIC",
        *_FAILS,
        *(f"ALTER {what} OWNER TO {role}" for what in ("TABLE app.orders", "FUNCTION app.here(int)")),
        "SET here.fails TO no; CREATE INDEX cannot ON app.orders (app.here(id))",
    )
    server.execute(
        target,
        f"CREATE SCHEMA app AUTHORIZATION {role if not superuser else 'postgres'}",
        "GRANT USAGE ON SCHEMA app TO pg_monitor WITH GRANT OPTION",
        "COMMENT ON SCHEMA app IS 'yours'",
    )
    url = server.url(target) if superuser else server.url(target, role)
    failing = holdfast.backup(server.url(database), store=store)
    before = server.text(target)
    with pytest.raises(HoldfastError, match="not here"):
        holdfast.restore(failing.id, url, store=store)
    assert server.text(target) == before
    server.execute(database, "DROP INDEX app.cannot")
    record = holdfast.backup(server.url(database), store=store)
    holdfast.restore(record.id, url, store=store)
    assert server.value(target, "SELECT count(*) FROM app.orders") == 1
    assert server.value(target, "SELECT obj_description('app'::regnamespace)") == "of the backup"
    with pytest.raises(UnsafeError, match=r"app\.orders"):
        holdfast.restore(record.id, url, store=store)


def test_what_only_a_hoster_can_have_put_there_is_no_content(
    server: PostgresServer, owned: tuple[str, str], store: str, role: str
) -> None:
    """Event triggers of a superuser, with their functions in a schema where the role can make nothing."""
    database, target = owned
    hoster = (
        "CREATE SCHEMA _hoster",
        "CREATE FUNCTION _hoster.looks() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "CREATE TABLE _hoster.log (a int)",
        "CREATE EVENT TRIGGER hoster ON ddl_command_end EXECUTE FUNCTION _hoster.looks()",
        "CREATE PUBLICATION hoster",
    )
    server.execute(target, *hoster)
    server.execute(
        database,
        "CREATE TABLE orders AS SELECT 1 AS id",
        f"ALTER TABLE orders OWNER TO {role}",
    )
    record = holdfast.backup(server.url(database), store=store)
    before = server.text(target)
    with pytest.raises(UnsafeError, match="_hoster"):
        holdfast.restore(record.id, server.url(target), store=store)
    holdfast.restore(record.id, server.url(target, role), store=store)
    assert server.value(target, "SELECT count(*) FROM orders") == 1
    server.execute(target, "DROP TABLE orders")
    assert server.text(target) == before


@pytest.mark.parametrize("merged", [False, True])
def test_rights_that_the_target_gives_by_default_are_named(
    server: PostgresServer, database: str, target: str, role: str, store: str, *, merged: bool
) -> None:
    """As hosters have them for roles of an API: what the source kept from these would be theirs without a word."""
    server.execute(database, "CREATE TABLE secret (a int)")
    server.execute(
        target,
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {role}",
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {role} GRANT SELECT ON SEQUENCES TO postgres",
        *(("CREATE TABLE other ()",) if merged else ()),
    )
    record = holdfast.backup(server.url(database), store=store)
    result = holdfast.restore(record.id, server.url(target), store=store, select=("secret",) if merged else ())
    (warning,) = result.warnings
    assert warning.endswith(f"rights that the backup may not: on 'tables in schema public to {role}'")
    whole = holdfast.restore(record.id, server.url(target), store=store, replace=True)
    assert whole.warnings == ()
    assert server.value(target, f"SELECT has_table_privilege('{role}', 'secret', 'SELECT')") is False


# A hoster's own schema, in which the tables of the customer use a function and a table.
_HOSTED = """
CREATE SCHEMA auth; GRANT USAGE ON SCHEMA auth TO PUBLIC;
CREATE TABLE auth.users (id int PRIMARY KEY); INSERT INTO auth.users VALUES (1), (2);
CREATE FUNCTION auth.uid() RETURNS int LANGUAGE sql AS 'SELECT {user}';
"""


@pytest.mark.sweep(3)
@pytest.mark.parametrize("holds_more", [False, True], ids=["empty", "more"])
@pytest.mark.parametrize("at", ["backup", "restore"])
def test_a_selection_asks_for_nothing_in_the_schemas_of_a_hoster(
    server: PostgresServer, owned: tuple[str, str], store: str, role: str, at: str, *, holds_more: bool, bare: bool
) -> None:
    """What it needs there stays as it is, and an extension that it does not need is only missed."""
    database, target = owned
    server.execute(target, _HOSTED.format(user=7))
    server.execute(
        database,
        _HOSTED.format(user=8),
        "SELECT" if bare else "CREATE EXTENSION pg_buffercache",
        "CREATE TABLE orders (id serial, owner int DEFAULT auth.uid() REFERENCES auth.users)",
        "CREATE VIEW emails AS SELECT id FROM auth.users",
        "INSERT INTO orders (owner) VALUES (1)",
    )
    if holds_more:
        server.execute(target, f"SET ROLE {role}; CREATE TABLE there (a int)")
    select = ("public",)
    backup = holdfast.backup(server.url(database), store=store, select=select if at == "backup" else ())
    done = holdfast.restore(
        backup.id,
        server.url(target, role),
        store=store,
        select=select if at == "restore" else (),
        options={"no_owner": "true"},
    )
    said = "\n".join(done.warnings)
    assert ("function auth.uid()" in said, "extension pg_buffercache: permission denied" in said) == (
        not holds_more,
        at == "backup" and not bare,
    ), said
    assert server.relations(target) >= {"public.orders", "public.emails"}
    assert server.rows(target, "SELECT count(*), auth.uid() FROM auth.users") == [(2, 7)]
    assert server.rows(target, "INSERT INTO orders (owner) VALUES (2) RETURNING id") == [(2,)]


def test_a_hosters_schema_that_is_selected_itself_is_refused(
    server: PostgresServer, owned: tuple[str, str], store: str, role: str
) -> None:
    database, target = owned
    for name in owned:
        server.execute(name, _HOSTED.format(user=7))
    backup = holdfast.backup(server.url(database), store=store, select=("auth",))
    with pytest.raises(CredentialsError, match="permission denied for schema auth"):
        holdfast.restore(backup.id, server.url(target, role), store=store)


def test_a_merge_says_nothing_of_what_the_target_has(
    server: PostgresServer, owned: tuple[str, str], store: str, role: str
) -> None:
    """Made beside it, a schema or type belongs to the role; in the target it stays whose it is."""
    database, target = owned
    for name in owned:
        server.execute(
            name,
            f"CREATE SCHEMA sales; GRANT ALL ON SCHEMA sales TO {role}; CREATE TABLE sales.other (a int)",
            "CREATE TYPE sales.state AS ENUM ('open'); COMMENT ON TYPE sales.state IS 'of an order'",
            "CREATE FUNCTION sales.next(a int) RETURNS int LANGUAGE sql AS 'SELECT 7'",
            f"ALTER SCHEMA sales OWNER TO guarded; GRANT USAGE ON TYPE sales.state TO {role} WITH GRANT OPTION",
        )
    server.execute(
        database,
        "CREATE TABLE sales.orders (s sales.state DEFAULT 'open', n int DEFAULT sales.next(1))",
        f"ALTER TABLE sales.orders OWNER TO {role}; ALTER TABLE sales.other OWNER TO {role}",
    )
    backup = holdfast.backup(server.url(database), store=store)
    done = holdfast.restore(backup.id, server.url(target, role), store=store, select=("sales.orders",))
    assert done.warnings == ()
    server.execute(target, "DROP TABLE sales.orders; DROP FUNCTION sales.next")
    done = holdfast.restore(backup.id, server.url(target, role), store=store, select=("sales.orders",))
    assert [text.partition(": must")[0] for text in done.warnings] == [
        "not restored: owner of function 'sales.next(a integer)'"
    ]
