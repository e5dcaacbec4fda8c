"""What belongs to a database besides its content: owner, limits, privileges, comment and settings."""

from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import UnsafeError, quote_name
from holdfast_postgres.session import literal, quoted

# Values of these are lists of quoted names already, as the catalog keeps them.
_LISTS = {
    "search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries",
    "shared_preload_libraries", "unix_socket_directories",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Properties:
    """What belongs to a database besides its content; `statements` give it to one whose name is put in."""

    tablespace: str
    comment: str | None
    statements: tuple[str, ...]


_NAME = "\0"  # stands for the new database in a statement; no SQL holds it


def read_properties(connection: "Connection[TupleRow]", name: str) -> Properties:
    """Owner, limits, privileges, comment and settings of a database."""
    row = connection.execute(
        """
        SELECT d.oid, pg_catalog.pg_get_userbyid(d.datdba), d.datconnlimit, d.datistemplate, s.spcname,
            pg_catalog.shobj_description(d.oid, 'pg_database'), d.datacl IS NOT NULL
        FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace s ON s.oid = d.dattablespace WHERE d.datname = %s
        """,
        (name,),
    ).fetchone()
    if row is None:
        raise UnsafeError(f"database {quote_name(name)} was removed by another session meanwhile")
    oid, owner, limit, template, tablespace, comment, granted = row
    statements = [f"ALTER DATABASE {_NAME} OWNER TO {quoted(owner)}"]
    if limit != -1:
        statements.append(f"ALTER DATABASE {_NAME} CONNECTION LIMIT {limit}")
    if template:
        statements.append(f"ALTER DATABASE {_NAME} IS_TEMPLATE true")
    if granted:
        statements += _grants(connection, oid, owner)
    statements += _settings(connection, oid)
    return Properties(tablespace=tablespace, comment=comment, statements=tuple(statements))


def _grants(connection: "Connection[TupleRow]", oid: int, owner: str) -> list[str]:
    statements = [f"REVOKE ALL ON DATABASE {_NAME} FROM PUBLIC", f"REVOKE ALL ON DATABASE {_NAME} FROM {quoted(owner)}"]
    query = """
        SELECT CASE WHEN a.grantee = 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(a.grantee) END,
            a.privilege_type, a.is_grantable
        FROM pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) a WHERE d.oid = %s
    """
    for grantee, privilege, grantable in connection.execute(query, (oid,)):
        to = "PUBLIC" if grantee is None else quoted(grantee)
        option = " WITH GRANT OPTION" if grantable else ""
        statements.append(f"GRANT {privilege} ON DATABASE {_NAME} TO {to}{option}")
    return statements


def _settings(connection: "Connection[TupleRow]", oid: int) -> list[str]:
    query = """
        SELECT CASE WHEN s.setrole = 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(s.setrole) END, unnest(s.setconfig)
        FROM pg_catalog.pg_db_role_setting s WHERE s.setdatabase = %s
    """
    statements = []
    for role, setting in connection.execute(query, (oid,)):
        name, _, value = setting.partition("=")
        given = value if name in _LISTS and value.strip() else literal(value)
        what = f"DATABASE {_NAME}" if role is None else f"ROLE {quoted(role)} IN DATABASE {_NAME}"
        statements.append(f"ALTER {what} SET {_quoted_setting(name)} TO {given}")
    return statements


def _quoted_setting(name: str) -> str:
    """The name of a setting, whose parts (`app.tenant`) are quoted each."""
    return quoted(*name.split("."))


def set_properties(connection: "Connection[TupleRow]", name: str, wanted: Properties) -> None:
    """Give a database the properties of another."""
    for statement in wanted.statements:
        connection.execute(statement.replace(_NAME, quoted(name)))
