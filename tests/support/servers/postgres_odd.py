"""A database with one of every kind of object that pg_dump knows, with names and rows that need care."""

from pathlib import Path

from support.servers.postgres import PostgresServer

_SCRIPT = Path(__file__).with_suffix(".sql")
_SINCE_18 = _SCRIPT.with_stem("postgres_odd_18")
_ROLES = (
    'CREATE ROLE "odd ""owner"" ü"',
    "CREATE ROLE odd_reader",
    "CREATE ROLE odd_writer LOGIN PASSWORD 'secret-of-odd'",
)
# The wheel of PostgreSQL 16 has no contrib modules and is built without libxml.
_BARE = {
    "CREATE EXTENSION hstore;": "",
    "CREATE EXTENSION citext SCHEMA public;": "",
    "store hstore": "store text",
    "insensitive citext": "insensitive text",
    "xml xml": "xml text",
}


def make_roles(server: PostgresServer) -> None:
    """Make the roles that own or may use something in the odd database."""
    server.execute("postgres", *_ROLES)


def has_contrib(server: PostgresServer) -> bool:
    """Whether the server has contrib modules; of those that are packaged, all but the wheel's do."""
    return bool(server.rows("postgres", "SELECT FROM pg_available_extensions WHERE name = 'hstore'"))


def odd_script(*servers: PostgresServer) -> str:
    """The statements that make the database on each of these servers."""
    script = _SCRIPT.read_text()
    if not all(has_contrib(server) for server in servers):
        for text, instead in _BARE.items():
            script = script.replace(text, instead)
    if all(
        server.value("postgres", "SELECT current_setting('server_version_num')::int >= 180000") for server in servers
    ):
        script += _SINCE_18.read_text()
    return script
