"""What somebody changed of an extension's members is named in a backup; what its own script made is not."""

import contextlib

import psycopg
from support.servers.postgres import PostgresServer

import holdfast
from holdfast_postgres.dump.extension_members import changed_members

# Not those of other languages, which a package alone may bring.
_AVAILABLE = "SELECT name FROM pg_available_extensions WHERE NOT name ~ '^(pl|.*_pl|adminpack)' ORDER BY name"
_CHANGES = {
    "COMMENT ON FUNCTION crypt(text, text) IS 'x'": "comment on function public.crypt(text,text)",
    "ALTER FUNCTION hmac(text, text, text) OWNER TO {role}": "owner of function public.hmac(text,text,text)",
    "CREATE OR REPLACE FUNCTION gen_salt(text) RETURNS text LANGUAGE sql AS 'SELECT $1'":
        "definition of function public.gen_salt(text)",
    "ALTER FUNCTION digest(text, text) SET search_path TO public": "definition of function public.digest(text,text)",
    "COMMENT ON EXTENSION plpgsql IS 'ours'": "comment on extension plpgsql",
    "COMMENT ON TYPE citext IS 'x'": "comment on type public.citext",
    "ALTER TYPE citext OWNER TO {role}": "owner of type public.citext",
    "CREATE FUNCTION own() RETURNS int LANGUAGE sql AS 'SELECT 1'": "",
    "ALTER EXTENSION citext ADD FUNCTION own()": "all of function public.own()",
    # These are in a dump, or change nothing.
    "GRANT EXECUTE ON FUNCTION decrypt(bytea, bytea, text) TO {role}": "",
    "COMMENT ON EXTENSION citext IS 'ours'": "",
}  # fmt: skip


def changed(server: PostgresServer, database: str) -> list[str]:
    """What is said of all members."""
    with server.connect(database) as connection:
        connection.execute("SET search_path TO ''")
        return changed_members(connection)


def test_members_of_extensions_as_their_scripts_made_them_are_not_named(server: PostgresServer, database: str) -> None:
    with server.connect(database) as connection:
        for (name,) in connection.execute(_AVAILABLE).fetchall():
            # A package may list names that are there for upgrades alone, and have no script.
            with contextlib.suppress(psycopg.errors.InvalidParameterValue):
                connection.execute(f'CREATE EXTENSION IF NOT EXISTS "{name}" CASCADE'.encode())
    assert changed(server, database) == []


def test_changed_members_of_extensions_are_named(server: PostgresServer, role: str, database: str, store: str) -> None:
    server.execute(database, "CREATE EXTENSION pgcrypto", "CREATE EXTENSION citext")
    for statement in _CHANGES:
        server.execute(database, statement.format(role=role))
    assert changed(server, database) == sorted(filter(None, _CHANGES.values()))
    (warning,) = holdfast.backup(server.url(database), store=store).warnings
    assert "not in the backup" in warning
    server.execute(database, "DROP EXTENSION pgcrypto", "DROP EXTENSION citext")


def test_a_trusted_extension_of_a_lesser_role_is_as_its_script_made_it(
    server: PostgresServer, role: str, database: str
) -> None:
    """Its members belong to the superuser of initdb."""
    server.execute("postgres", f"GRANT CREATE ON DATABASE {database} TO {role}")
    server.execute(database, "GRANT CREATE ON SCHEMA public TO PUBLIC")
    with server.connect(database, user=role) as connection:
        connection.execute("CREATE EXTENSION citext")
    assert changed(server, database) == []
    server.execute(database, "DROP EXTENSION citext")
