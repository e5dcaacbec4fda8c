"""What a server must have before a database can be restored there as it was: recorded with each dump."""

from typing import TYPE_CHECKING

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.catalog import USER_SCHEMA, first_column
from holdfast_postgres.hints import DatabaseHint

if TYPE_CHECKING:
    from holdfast_postgres.selection.backup_scope import BackupScope

_DATABASE = "SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()"
# The objects of a selection that roles own or may use.
_TAKEN = """
SELECT 'pg_catalog.pg_class'::regclass AS class, oid FROM pg_catalog.pg_class WHERE oid = ANY (%s)
UNION ALL SELECT 'pg_catalog.pg_policy'::regclass, oid FROM pg_catalog.pg_policy WHERE polrelid = ANY (%s)
UNION ALL SELECT 'pg_catalog.pg_namespace'::regclass, oid FROM pg_catalog.pg_namespace WHERE nspname = ANY (%s)
UNION ALL SELECT 'pg_catalog.pg_proc'::regclass, p.oid FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = ANY (%s)
UNION ALL SELECT 'pg_catalog.pg_type'::regclass, t.oid FROM pg_catalog.pg_type t
    JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = ANY (%s)
"""
# What an extension brings, or it itself, is given to nobody by a dump.
_OF_EXTENSION = """
EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.deptype = 'e' AND e.classid = {classid} AND e.objid = {objid})
"""
_OWN_DEPENDENCY = f"""
NOT (d.deptype = 'o' AND (
    d.classid = 'pg_catalog.pg_extension'::regclass OR {_OF_EXTENSION.format(classid="d.classid", objid="d.objid")}))
"""
# Of all grants each role once, by one look at them all, and its name by the server's cache: a join would compare each
# with all roles. Without OFFSET the name would be looked up and compared for each grant. `{taken}` limits them to a
# selection.
_ROLES = f"""
SELECT r.name, r.deptype::text FROM (
    SELECT pg_catalog.pg_get_userbyid(d.refobjid) AS name, d.deptype FROM (
        SELECT d.refobjid, d.deptype FROM pg_catalog.pg_shdepend d
        WHERE d.dbid = ({_DATABASE}) AND d.refclassid = 'pg_catalog.pg_authid'::regclass
            AND d.deptype IN ('o', 'a', 'r') AND {_OWN_DEPENDENCY} {{taken}}
        GROUP BY d.refobjid, d.deptype OFFSET 0
    ) d
) r WHERE r.name !~ '^pg_' ORDER BY 1
"""
_OF_SELECTION = f"AND (d.classid, d.objid) IN (SELECT o.class, o.oid FROM ({_TAKEN}) o)"
# Dependencies on the superuser that initdb made are pinned and recorded nowhere.
_BOOTSTRAP_ROLE = f"""
SELECT r.rolname FROM pg_catalog.pg_roles r WHERE r.oid = 10 AND EXISTS (
    SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relowner = 10 AND {USER_SCHEMA}
            AND NOT {_OF_EXTENSION.format(classid="'pg_catalog.pg_class'::regclass", objid="c.oid")}
    UNION ALL SELECT FROM pg_catalog.pg_proc c JOIN pg_catalog.pg_namespace n ON n.oid = c.pronamespace
        WHERE c.proowner = 10 AND {USER_SCHEMA}
            AND NOT {_OF_EXTENSION.format(classid="'pg_catalog.pg_proc'::regclass", objid="c.oid")}
    UNION ALL SELECT FROM pg_catalog.pg_namespace n WHERE n.nspowner = 10 AND {USER_SCHEMA}
            AND NOT {_OF_EXTENSION.format(classid="'pg_catalog.pg_namespace'::regclass", objid="n.oid")})
"""
_TABLESPACES = f"""
SELECT DISTINCT s.spcname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_tablespace s ON s.oid = c.reltablespace WHERE {USER_SCHEMA} AND s.spcname <> 'pg_global' ORDER BY 1
"""
# PostgreSQL 15.20 keeps a random pg_attver with each column, which its own pg_dump hides and that of 18 writes out.
_FOREIGN_OPTIONS = f"""
SELECT DISTINCT split_part(o, '=', 1) FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, unnest(a.attoptions) o
WHERE {USER_SCHEMA} AND o NOT LIKE 'n_distinct%' ORDER BY 1
"""
# Where sessions of this database look for names: by its own setting, then by those of roles in it, and by the default.
_PATHS = f"""
SELECT pg_catalog.substring(c.setting, length('search_path=') + 1) AS path FROM (
    SELECT s.setdatabase, s.setrole, unnest(s.setconfig) AS setting FROM pg_catalog.pg_db_role_setting s
    WHERE s.setdatabase IN (0, ({_DATABASE}))) c
WHERE c.setting LIKE 'search\\_path=_%' ORDER BY c.setrole, c.setdatabase DESC, 1
"""
_DEFAULT_PATH = "SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'search_path'"
_MOST_PATHS = 10  # where each role has its own, that of an object is the schema it is in
_EXTENSIONS = "SELECT extname FROM pg_catalog.pg_extension WHERE extname <> 'plpgsql' ORDER BY 1"


def read_requirements(connection: "Connection[TupleRow]", scope: "BackupScope | None") -> dict[str, list[str]]:
    """Extensions, roles and tablespaces, by the names of the fields of `Hints`: of the whole, or of a selection."""
    roles = _roles(connection, scope)
    owners = roles["o"] + first_column(connection, _BOOTSTRAP_ROLE)
    extensions = first_column(connection, _EXTENSIONS)
    if scope is not None:
        extensions = [name for name in extensions if name in scope.extensions]
    return {
        "extensions": extensions,
        "owners": sorted(set(owners)),
        "grantees": sorted({*roles["a"], *roles["r"]}),
        "policy_roles": roles["r"],
        "tablespaces": first_column(connection, _TABLESPACES),
    }


# An index is no entry of an archive where it is a constraint's, and that entry does not say what the index needs.
_OF_CONSTRAINTS = """
SELECT k.oid::int8, o.class::regclass::text, o.oid::int8 FROM pg_catalog.pg_constraint k CROSS JOIN LATERAL (
    SELECT d.refclassid AS class, d.refobjid AS oid FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = k.conindid AND d.deptype = 'n'
    UNION SELECT 'pg_catalog.pg_operator'::regclass, unnest(k.conexclop)
) o
WHERE k.contype IN ('p', 'u', 'x') AND o.oid >= 16384 AND o.class <> 'pg_catalog.pg_class'::regclass
ORDER BY 1, 2, 3
"""


def needs_of_constraints(connection: "Connection[TupleRow]") -> list[tuple[int, str, int]]:
    """What the indexes of constraints need, by OIDs: the constraint, and catalog and OID of the object."""
    return [(constraint, catalog, oid) for constraint, catalog, oid in connection.execute(_OF_CONSTRAINTS)]


def _roles(connection: "Connection[TupleRow]", scope: "BackupScope | None") -> dict[str, list[str]]:
    """Roles by how objects depend on them: `o` for owners, `a` for rights, `r` for policies."""
    if scope is None:
        rows = connection.execute(_ROLES.format(taken=""))
    else:
        relations, schemas = sorted(scope.relations), sorted(scope.schemas)
        rows = connection.execute(_ROLES.format(taken=_OF_SELECTION), (relations, relations, schemas, schemas, schemas))
    roles: dict[str, list[str]] = {"o": [], "a": [], "r": []}
    for name, kind in rows:
        roles[kind].append(name)
    return roles


def source_path(connection: "Connection[TupleRow]") -> str:
    """The schemas in which sessions of the database look for names that have none, as a search_path."""
    paths = list(dict.fromkeys([*first_column(connection, _PATHS), *first_column(connection, _DEFAULT_PATH)]))
    return ", ".join(path for path in (paths if len(paths) <= _MOST_PATHS else paths[:1]) if path)


def foreign_column_options(connection: "Connection[TupleRow]") -> list[str]:
    """Options of columns that only this server's own version knows."""
    return first_column(connection, _FOREIGN_OPTIONS)


def database_hint(connection: "Connection[TupleRow]", major: int) -> tuple[DatabaseHint, int]:
    """How this database was made, and how many bytes it takes."""
    provider, locale, rules = "'c'", "NULL", "NULL"
    if major >= 15:
        provider, locale = "datlocprovider::text", "daticulocale"
    if major >= 16:
        rules = "daticurules"
    if major >= 17:
        locale = "datlocale"
    row = connection.execute(
        f"SELECT pg_catalog.pg_encoding_to_char(encoding), datcollate, datctype, {provider}, {locale}, {rules}, "
        "(SELECT spcname FROM pg_catalog.pg_tablespace s WHERE s.oid = dattablespace AND spcname <> 'pg_default'), "
        "pg_catalog.pg_database_size(oid) FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()"
    ).fetchone()
    assert row is not None  # noqa: S101 (we are connected to it)
    encoding, collate, ctype, provider, locale, rules, tablespace, size = row
    hint = DatabaseHint(
        encoding=encoding,
        collate=collate,
        ctype=ctype,
        provider=provider,
        locale=locale,
        rules=rules,
        tablespace=tablespace or "",
    )
    return hint, size
