"""Everything about a target that can be known before it is touched."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import CredentialsError, HoldfastError, UnsafeError, quote_name
from holdfast_postgres.catalog import USER_SCHEMA, strings
from holdfast_postgres.errors import some_names
from holdfast_postgres.hints import Hints
from holdfast_postgres.options import PostgresOptions
from holdfast_postgres.session import Server

_AVAILABLE = "SELECT name FROM pg_catalog.pg_available_extensions"
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
class Findings:
    """What a restore has to do otherwise than asked, and what to say about it."""

    no_owner: bool
    no_privileges: bool
    no_tablespaces: bool
    warnings: tuple[str, ...]


def check_version(server: Server, hints: Hints, options: PostgresOptions) -> None:
    """Refuse a server that is older than the dumped one, unless told otherwise."""
    if server.major < hints.major and not options.older_server:
        raise UnsafeError(
            f"the backup was made from PostgreSQL {hints.major}, the target is {server.version}, which may not know "
            "all of it",
            hint="restore into a newer server, or try with -o older_server=true",
        )


def check_needs(
    connection: "Connection[TupleRow]", server: Server, hints: Hints, options: PostgresOptions, *, drill: bool
) -> Findings:
    """Look for the extensions, roles and tablespaces that the dump names; what is missing is an error or a finding."""
    if hints.data_only:
        return _check_rows(connection, server, options)
    warnings: list[str] = []
    _check_extensions(connection, hints)
    no_owner, no_privileges = options.no_owner, options.no_privileges
    known = set(strings(connection, _ROLES))
    owners = [] if no_owner else [name for name in hints.owners if name not in known]
    grantees = [] if no_privileges else [name for name in hints.grantees if name not in known]
    missing = sorted({*owners, *grantees})
    made = options.globals and hints.globals and not drill
    if missing and not made:
        if not drill and not hints.selected:
            way = "create them, or restore with -o globals=true if the backup holds them"
            if hints.format != "plain":
                way += "; -o no_owner=true -o no_privileges=true leaves ownership and rights out"
            raise HoldfastError(
                f"the target has no role {some_names(missing)}, which own objects of the backup or have rights in it",
                hint=way,
            )
        warnings.append(f"the target has no role {some_names(missing)}: ownership and rights are not restored")
        no_owner, no_privileges = no_owner or bool(owners), no_privileges or bool(grantees)
    if not server.superuser and not no_owner and not made:
        no_owner = _check_membership(connection, server, hints, drill=drill, warnings=warnings)
    spaces = set(strings(connection, "SELECT spcname FROM pg_catalog.pg_tablespace"))
    without = [name for name in hints.tablespaces if name not in spaces]
    if without and not made:
        warnings.append(f"the target has no tablespace {some_names(without)}: all goes to the default one")
    return Findings(
        no_owner=no_owner,
        no_privileges=no_privileges,
        no_tablespaces=bool(without) and not made,
        warnings=tuple(warnings),
    )


def check_policies(connection: "Connection[TupleRow]", hints: Hints) -> None:
    """Refuse a server that lacks a role of a policy, which cannot be made without it, as an owner can be left out."""
    known = set(strings(connection, _ROLES))
    missing = [name for name in hints.policy_roles if name not in known]
    if missing and not (hints.selected or hints.data_only):
        raise HoldfastError(
            f"the server has no role {some_names(missing)}, which policies of the backup name",
            hint="CREATE ROLE … NOLOGIN there, or restore with -o globals=true if the backup holds its roles",
        )


def _check_rows(connection: "Connection[TupleRow]", server: Server, options: PostgresOptions) -> Findings:
    """Rows alone have no owner and no rights; what they set off in the tables that are there has to be told."""
    why = "they are ENABLE ALWAYS or REPLICA" if server.superuser else "only a superuser can keep them from it"
    firing = strings(connection, _TRIGGERS, (["A", "R"] if server.superuser else ["A", "O"],))
    return Findings(
        no_owner=options.no_owner,
        no_privileges=options.no_privileges,
        no_tablespaces=False,
        warnings=(f"these triggers fire as the rows come in, since {why}: {some_names(firing)}",) if firing else (),
    )


def _check_extensions(connection: "Connection[TupleRow]", hints: Hints) -> None:
    available = set(strings(connection, _AVAILABLE))
    missing = [name for name in hints.extensions if name not in available]
    if missing and not hints.selected:
        raise HoldfastError(
            f"the server of the target does not have the extension {some_names(missing)}",
            hint="install its package on that server",
        )


def _check_membership(
    connection: "Connection[TupleRow]", server: Server, hints: Hints, *, drill: bool, warnings: list[str]
) -> bool:
    """A role can give objects only to roles that it is a member of; returns whether ownership is to be left out."""
    others = strings(connection, _OTHERS, (hints.owners,))
    if not others or hints.selected:
        return False
    if drill:
        warnings.append(
            f"role {quote_name(server.role)} is no member of {some_names(others)}: ownership is not restored"
        )
        return True
    raise CredentialsError(
        f"role {quote_name(server.role)} cannot give objects to {some_names(others)}, since it is no member of that",
        hint="restore as a superuser, or with -o no_owner=true",
    )


def check_space(connection: "Connection[TupleRow]", hints: Hints) -> None:
    """Compare the size of the source with what is free, where the server's disk is ours to look at."""
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
        found = os.statvfs(row[0])
    except OSError:
        return  # another machine's folder behind a forwarded port, or one that we may not see
    free = found.f_bavail * found.f_frsize
    if free < hints.size:
        raise HoldfastError(
            f"not enough space for the target: the source took {hints.size} bytes, "
            f"{free} are free in {quote_name(row[0])}",
            hint="make room, or restore a part with --select",
        )


def refuse_content(
    names: Sequence[str],
    where: str,
    *,
    hint: str = "--replace puts the backup in its place once all of it is restored",
) -> None:
    """Refuse a target that holds something."""
    if names:
        raise UnsafeError(f"{where} is not empty: it holds {some_names(names, 3)}", hint=hint)
