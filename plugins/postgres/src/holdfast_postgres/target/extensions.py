"""The extensions of a backup at a target: whether its server has them, in which version, and where they are."""

from collections.abc import Collection

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import HoldfastError, UnsafeError, quote_name
from holdfast_postgres import special_extensions
from holdfast_postgres.catalog import first_column
from holdfast_postgres.errors import some_names
from holdfast_postgres.hints import ExtensionHint, Hints

_AVAILABLE = "SELECT name, default_version FROM pg_catalog.pg_available_extensions"
_INSTALLED = """
SELECT e.extname, e.extversion, n.nspname FROM pg_catalog.pg_extension e
JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
"""


def check_extensions(connection: "Connection[TupleRow]", hints: Hints, *, into: bool) -> list[str]:
    """Refuse a server that lacks an extension; returns warnings of those that it has otherwise.

    `into` says that the database of this connection is restored into: what is installed there stays as it is.
    """
    check_available(connection, hints.extensions)
    defaults: dict[str, str] = dict(connection.execute(_AVAILABLE).fetchall())
    installed = {name: (version, schema) for name, version, schema in connection.execute(_INSTALLED) if into}
    _check_special(connection, hints)
    others: list[str] = []
    warnings: list[str] = []
    for extension in hints.installed:
        version, schema = installed.get(extension.name, (defaults.get(extension.name), extension.schema))
        if schema != extension.schema:
            warnings.append(_other_schema(extension, schema))
        if version not in (None, extension.version):
            others.append(f"{quote_name(extension.name)} {extension.version} (here {version})")
    if others:
        warnings.append(f"the target has other versions of extensions than the backup: {', '.join(others)}")
    return warnings


def _check_special(connection: "Connection[TupleRow]", hints: Hints) -> None:
    """Refuse a server that cannot make an extension with a mode for restores in the version of the backup."""
    for extension in special_extensions.with_modes(hints.installed):
        query = "SELECT version FROM pg_catalog.pg_available_extension_versions WHERE name = %s"
        versions = [row[0] for row in connection.execute(query, (extension.name,))]
        if extension.version not in versions:
            raise HoldfastError(
                f"the rows of extension {quote_name(extension.name)} need its version {extension.version}; the target "
                f"has {some_names(versions)}",
                hint="install that version there, and update it after the restore",
            )


def check_available(connection: "Connection[TupleRow]", names: Collection[str]) -> None:
    """Refuse a server that lacks one of these extensions."""
    available = {name for name, _ in connection.execute(_AVAILABLE)}
    missing = [name for name in names if name not in available]
    if missing:
        raise HoldfastError(
            f"the server of the target does not have the extension {some_names(missing)}",
            hint="install its package on that server",
        )


def installed_extensions(connection: "Connection[TupleRow]") -> set[str]:
    """The extensions of a database."""
    return set(first_column(connection, "SELECT extname FROM pg_catalog.pg_extension"))


def _other_schema(extension: ExtensionHint, schema: str) -> str:
    """A warning that an extension lies elsewhere; an error where what is restored names it."""
    name = quote_name(extension.name)
    where = (
        f"the target has extension {name} in schema {quote_name(schema)}, the backup in {quote_name(extension.schema)}"
    )
    if extension.used or extension.configuration:
        raise UnsafeError(
            f"{where}, where tables or routines of the backup expect it",
            hint="move it with ALTER EXTENSION … SET SCHEMA, or drop it there: the restore makes it",
        )
    return f"{where}: it stays there"
