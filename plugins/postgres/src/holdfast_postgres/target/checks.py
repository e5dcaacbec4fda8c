"""Everything about a target that can be known before it is touched."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import CredentialsError, HoldfastError, ObjectKind, RestoreRequest, UnsafeError, quote_name
from holdfast_postgres.catalog import USER_SCHEMA, first_column
from holdfast_postgres.errors import some_names
from holdfast_postgres.hints import Hints
from holdfast_postgres.options import PostgresOptions
from holdfast_postgres.session import Server
from holdfast_postgres.target.extensions import check_extensions
from holdfast_postgres.unfinished import Remnant

_ROLES = "SELECT rolname FROM pg_catalog.pg_roles"
_OTHERS = """
SELECT rolname FROM pg_catalog.pg_roles WHERE rolname = ANY (%s) AND NOT pg_catalog.pg_has_role(oid, 'MEMBER')
"""
# Those on INSERT.
_TRIGGERS = f"""
SELECT format('%%s on %%s.%%s', t.tgname, n.nspname, c.relname) FROM pg_catalog.pg_trigger t
JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND t.tgtype & 4 <> 0 AND t.tgenabled::text = ANY (%s) AND {USER_SCHEMA} ORDER BY 1
"""


@dataclass(frozen=True, kw_only=True)
class Adjustments:
    """What a restore has to do otherwise than asked, with the warnings about it."""

    no_owner: bool = False
    no_privileges: bool = False
    no_tablespaces: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def arguments(self) -> list[str]:
        """The same for pg_restore."""
        options = (
            ("--no-owner", self.no_owner),
            ("--no-privileges", self.no_privileges),
            ("--no-tablespaces", self.no_tablespaces),
        )
        return [option for option, wanted in options if wanted]

    def adding(self, warning: str, **changes: bool) -> Self:
        """The same with another warning, and with these fields changed."""
        return replace(self, warnings=(*self.warnings, warning), **changes)


def continues(request: RestoreRequest) -> bool:
    """Whether a restore goes on after what the server refuses."""
    options: PostgresOptions = request.options
    return options.on_error == "continue" or request.allow_damaged


def check_version(server: Server, hints: Hints, options: PostgresOptions) -> None:
    """Refuse a server that is older than the dumped one, unless `older_server` allows it."""
    if server.major < hints.major and not options.older_server:
        raise UnsafeError(
            f"the backup was made from PostgreSQL {hints.major}, the target is {server.version}, which may not know "
            "all of it",
            hint="restore into a newer server, or use -o older_server=true to try",
        )


def needs_of_selection(hints: Hints) -> Hints:
    """The hints for a restore of a selection, of which only the archive tells what it needs.

    What is missing for it is found as it is made, in a database of its own.
    """
    return msgspec.structs.replace(hints, selected=True, owners=[], grantees=[], tablespaces=[])


def check_needs(
    connection: "Connection[TupleRow]", server: Server, hints: Hints, request: RestoreRequest, *, into: bool
) -> Adjustments:
    """Look for the extensions, roles and tablespaces that the dump names.

    What is missing is an error, or an adjustment where the restore can do without, as in a drill and where it goes on
    after errors. `into` says that the database of this connection is restored into.
    """
    options: PostgresOptions = request.options
    if hints.data_only:
        return _check_rows(connection, server, options)
    # Of a selection only the archive tells which it needs.
    checked = not (hints.selected or continues(request) or ObjectKind.EXTENSION in request.exclude_kinds)
    warnings = check_extensions(connection, hints, into=into) if checked else []
    adjustments = Adjustments(no_owner=options.no_owner, no_privileges=options.no_privileges, warnings=tuple(warnings))
    if options.globals and hints.globals and not request.drill:
        return adjustments  # the restore makes roles and tablespaces first
    lenient = request.drill or continues(request)
    adjustments = _check_roles(connection, hints, adjustments, lenient=lenient)
    if not server.superuser and not adjustments.no_owner:
        adjustments = _check_membership(connection, server, hints, adjustments, lenient=lenient)
    return _check_tablespaces(connection, hints, adjustments)


def _check_roles(
    connection: "Connection[TupleRow]", hints: Hints, adjustments: Adjustments, *, lenient: bool
) -> Adjustments:
    known = set(first_column(connection, _ROLES))
    owners = [] if adjustments.no_owner else [name for name in hints.owners if name not in known]
    grantees = [] if adjustments.no_privileges else [name for name in hints.grantees if name not in known]
    missing = sorted({*owners, *grantees})
    if not missing:
        return adjustments
    if lenient or hints.selected:
        return adjustments.adding(
            f"the target has no role {some_names(missing)}: ownership and privileges are not restored",
            no_owner=adjustments.no_owner or bool(owners),
            no_privileges=adjustments.no_privileges or bool(grantees),
        )
    hint = "create them, or use -o globals=true if the backup holds them"
    if hints.format != "plain":
        hint += "; or use -o no_owner=true -o no_privileges=true to leave ownership and privileges out"
    raise HoldfastError(
        f"the target has no role {some_names(missing)}, which owns objects of the backup or has privileges in it",
        hint=hint,
    )


def _check_tablespaces(connection: "Connection[TupleRow]", hints: Hints, adjustments: Adjustments) -> Adjustments:
    known = set(first_column(connection, "SELECT spcname FROM pg_catalog.pg_tablespace"))
    missing = [name for name in hints.tablespaces if name not in known]
    if not missing:
        return adjustments
    warning = f"the target has no tablespace {some_names(missing)}: its objects go to the default one"
    return adjustments.adding(warning, no_tablespaces=True)


def check_policies(connection: "Connection[TupleRow]", hints: Hints) -> None:
    """Refuse a server that lacks a role of a policy, which cannot be made without it, as an owner can be left out."""
    known = set(first_column(connection, _ROLES))
    missing = [name for name in hints.policy_roles if name not in known]
    if missing and not (hints.selected or hints.data_only):
        raise HoldfastError(
            f"the server has no role {some_names(missing)}, which policies of the backup name",
            hint="create it there with CREATE ROLE … NOLOGIN, or use -o globals=true if the backup holds its roles",
        )


def _check_rows(connection: "Connection[TupleRow]", server: Server, options: PostgresOptions) -> Adjustments:
    """Rows alone have no owner and no rights; which triggers they fire in the existing tables is a warning."""
    why = "they are ENABLE ALWAYS or REPLICA" if server.superuser else "only a superuser can disable them"
    firing = first_column(connection, _TRIGGERS, (["A", "R"] if server.superuser else ["A", "O"],))
    return Adjustments(
        no_owner=options.no_owner,
        no_privileges=options.no_privileges,
        warnings=(f"these triggers fire as rows are loaded, since {why}: {some_names(firing)}",) if firing else (),
    )


def _check_membership(
    connection: "Connection[TupleRow]", server: Server, hints: Hints, adjustments: Adjustments, *, lenient: bool
) -> Adjustments:
    """A role can give objects only to roles that it is a member of."""
    others = first_column(connection, _OTHERS, (hints.owners,))
    if not others or hints.selected:
        return adjustments
    if lenient:
        return adjustments.adding(
            f"role {quote_name(server.role)} is no member of {some_names(others)}: ownership is not restored",
            no_owner=True,
        )
    raise CredentialsError(
        f"role {quote_name(server.role)} cannot give objects to {some_names(others)}, since it is not a member",
        hint="restore as a superuser, or use -o no_owner=true to leave ownership out",
    )


# Those of other roles are for what these make themselves; functions have rights of PUBLIC by themselves.
_DEFAULT_RIGHTS = """
SELECT DISTINCT CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'routines'
        WHEN 'T' THEN 'types' ELSE 'schemas' END
    || coalesce(' in schema ' || n.nspname, '') || ' to ' || coalesce(r.rolname, 'PUBLIC')
FROM pg_catalog.pg_default_acl d
CROSS JOIN LATERAL (
    SELECT grantee FROM pg_catalog.aclexplode(d.defaclacl)
    EXCEPT SELECT grantee FROM pg_catalog.aclexplode(pg_catalog.acldefault(d.defaclobjtype, d.defaclrole))
) a
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace
LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
WHERE d.defaclrole = current_user::pg_catalog.regrole AND (a.grantee = 0 OR r.oid IS NOT NULL)
ORDER BY 1
"""


def default_rights(connection: "Connection[TupleRow]", server: Server) -> list[str]:
    """A warning of what the database of this connection gives others on all that the role makes, restored or not."""
    rights = first_column(connection, _DEFAULT_RIGHTS)
    whose = f"default privileges of role {quote_name(server.role)} in the target"
    what = f"also hold for what is restored, and give rights that the backup may not: on {some_names(rights)}"
    return [f"{whose} {what}"] if rights else []


_OWNER = """
SELECT rolsuper OR pg_catalog.pg_has_role(datdba, 'MEMBER'), pg_catalog.pg_get_userbyid(datdba)
FROM pg_catalog.pg_database, pg_catalog.pg_roles
WHERE datname = pg_catalog.current_database() AND rolname = current_user
"""


def check_owner(connection: "Connection[TupleRow]", name: str) -> None:
    """Refuse to replace the database of that name as a role that could not rename it at the end."""
    for may, owner in connection.execute(_OWNER):
        if not may:
            raise CredentialsError(
                f"database {quote_name(name)} belongs to {quote_name(owner)}: only its owner may replace it",
                hint="restore as that role, as a member of it or as a superuser, or into another database",
            )


def check_space(connection: "Connection[TupleRow]", hints: Hints) -> None:
    """Compare the size of the source with what is free, where the server's disk is on this machine."""
    if not hints.size or hints.selected:
        return
    row = connection.execute(
        "SELECT pg_catalog.current_setting('data_directory', true), pg_catalog.inet_server_addr() IS NULL "
        "OR host(pg_catalog.inet_server_addr()) IN ('127.0.0.1', '::1') "
        "WHERE pg_catalog.pg_has_role('pg_read_all_settings', 'MEMBER')"
    ).fetchone()
    if row is None or not row[0] or not row[1]:
        return
    try:
        disk = os.statvfs(row[0])
    except OSError:
        return  # another machine's folder behind a forwarded port, or one that we may not see
    free = disk.f_bavail * disk.f_frsize
    if free < hints.size and disk.f_blocks:  # a mount of a cloud's storage has no number of them, and none free
        raise HoldfastError(
            f"not enough space for the target: the source took {hints.size} bytes, "
            f"{free} are free in {quote_name(row[0])}",
            hint="make room, or use --select to restore a part",
        )


def refuse_content(
    names: Sequence[str],
    name: str,
    remnant: Remnant | None,
    *,
    hint: str = "use --replace to put the backup in its place once all of it is restored",
) -> None:
    """Refuse a database of that name that holds something, and say of what kind it is."""
    if not names:
        return
    what = f"{remnant.describe(name)}; it" if remnant else f"database {quote_name(name)} is not empty: it"
    if remnant and remnant.sessions:
        hint = f"wait until they have ended; if the restore was killed, {hint}"
    raise UnsafeError(f"{what} holds {some_names(names, 3)}", hint=hint)
