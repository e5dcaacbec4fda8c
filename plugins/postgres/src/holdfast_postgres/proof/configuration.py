"""The rows that extensions leave to dumps: in a proof as far as two databases have the same version of them."""

from collections.abc import Collection, Iterable, Sequence

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import ObjectProof
from holdfast_postgres.errors import some_names
from holdfast_postgres.proof.rows import TABLE
from holdfast_postgres.proof.values import object_name
from holdfast_postgres.special_extensions import MODES

Name = tuple[str, str]

# A trigger of the extension may make other rows of those that are loaded: BEFORE, for each row, on INSERT.
_TABLES = """
SELECT n.nspname, c.relname, e.extname, e.extversion, coalesce(u.condition, '')
FROM pg_catalog.pg_extension e, unnest(e.extconfig, e.extcondition) AS u(oid, condition)
JOIN pg_catalog.pg_class c ON c.oid = u.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND e.extname <> ALL (%s) AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND t.tgtype & 7 = 7 AND t.tgenabled <> 'D')
ORDER BY 1, 2
"""


class ConfigurationSetting(msgspec.Struct, frozen=True, array_like=True):
    """One table of an extension in a proof, with the version of the extension."""

    schema: str
    name: str
    extension: str
    version: str


def read_configuration(
    connection: "Connection[TupleRow]",
) -> tuple[list[ConfigurationSetting], dict[Name, str]]:
    """The tables whose rows a restore brings back as they were, and the condition of each for these rows."""
    settings: list[ConfigurationSetting] = []
    conditions: dict[Name, str] = {}
    for schema, name, extension, version, condition in connection.execute(_TABLES, (list(MODES),)):
        settings.append(ConfigurationSetting(schema, name, extension, version))
        conditions[(schema, name)] = condition
    return settings, conditions


def comparable_tables(
    recorded: Sequence[ConfigurationSetting], there: Collection[ConfigurationSetting]
) -> tuple[list[ConfigurationSetting], list[ConfigurationSetting], list[str]]:
    """Those that can be compared, those that cannot, and a warning of what that is.

    An extension that is missing is a difference of its own, or was left out with a warning of its own.
    """
    equal = [setting for setting in recorded if setting in there]
    others = [setting for setting in recorded if setting not in there]
    known = {setting.extension for setting in there}
    names = sorted({setting.extension for setting in others} & known)
    warnings = (
        [f"rows not compared, since the server has other versions: of extension {some_names(names)}"] if names else []
    )
    return equal, others, warnings


def as_recorded(objects: Iterable[ObjectProof], settings: Iterable[ConfigurationSetting]) -> list[ObjectProof]:
    """What was recorded of these tables."""
    names = {object_name(setting.schema, setting.name) for setting in settings}
    return [proof for proof in objects if proof.kind == TABLE and proof.name in names]
