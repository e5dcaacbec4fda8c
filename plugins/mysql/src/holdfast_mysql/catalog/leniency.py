"""What a database holds only because its server was lenient, as the setting that it takes to make it again.

A restore relaxes its own session; where it may not, it names the setting, and what asks for it, before it begins.
"""

from collections.abc import Iterator, Mapping, Sequence

from holdfast.api import ObjectKind
from holdfast_mysql.catalog.long_keys import ROW_FORMAT, tables_with_long_keys
from holdfast_mysql.catalog.selection import Selection
from holdfast_mysql.catalog.tables import Table, without_elsewhere
from holdfast_mysql.session import Session, literal

TRUST = "log_bin_trust_function_creators=ON"
FORCED_KEYS = "innodb_force_primary_key=OFF"
LOOSE_KEYS = "restrict_fk_on_non_standard_key=OFF"
_KEYLESS = ("sql_require_primary_key=OFF", "sql_generate_invisible_primary_key=OFF")

# The unique keys of a table: name, and whole columns in their order.
_Keys = dict[str, tuple[str, ...]]


def needed_settings(
    session: Session, database: str, selection: Selection, tables: Sequence[Table]
) -> Iterator[tuple[str, str]]:
    """Each need, such as `setting sql_require_primary_key=OFF`, with the name of what of the selection has it."""
    names = {table.name for table in tables}
    own = f"table_schema={literal(database)} AND {without_elsewhere(session, database)}"
    unique = _unique_keys(session, own)
    for table in tables:
        if "PRIMARY" not in unique.get(table.name, {}):
            yield from ((f"setting {setting}", table.name) for setting in _KEYLESS)
            if table.engine.lower() == "innodb" and table.name not in unique:
                yield f"setting {FORCED_KEYS}", table.name
        if any(column.type == "timestamp" for column in table.columns):
            yield "setting explicit_defaults_for_timestamp=ON", table.name
    for name in _loose_foreign_keys(session, database, own, unique) if selection.has(ObjectKind.FOREIGN_KEY) else ():
        if name in names:
            yield f"setting {LOOSE_KEYS}", name
    for name in tables_with_long_keys(session, own, tables):
        yield f"setting {ROW_FORMAT}", name
    for name in _untrusted_functions(session, database) if selection.routines else ():
        yield f"setting {TRUST}", name


def _untrusted_functions(session: Session, database: str) -> Iterator[str]:
    """Functions that no account may make under a binary log, unless the server trusts their creators."""
    rows = session.texts(
        "SELECT routine_name FROM information_schema.routines"
        f" WHERE routine_schema={literal(database)} AND routine_type='FUNCTION' AND is_deterministic='NO'"
        " AND sql_data_access IN ('CONTAINS SQL', 'MODIFIES SQL DATA') ORDER BY routine_name"
    )
    return (name for (name,) in rows)


def _unique_keys(session: Session, where: str) -> dict[str, _Keys]:
    """The unique keys of each table that fits; a prefix of a column is none."""
    unique: dict[str, dict[str, tuple[str, ...]]] = {}
    for table, key, column, prefix in session.texts(
        "SELECT table_name, index_name, column_name, sub_part FROM information_schema.statistics"
        f" WHERE {where} AND non_unique=0"
        " ORDER BY table_name, index_name, seq_in_index"
    ):
        keys = unique.setdefault(table, {})
        keys[key] = (*keys.get(key, ()), f"{column}({prefix})" if prefix else column.casefold())
    return unique


def _loose_foreign_keys(session: Session, database: str, where: str, unique: Mapping[str, _Keys]) -> Iterator[str]:
    """Tables with a foreign key that leads to columns which are not, in their order, a unique key of the database."""
    references: dict[tuple[str, str, str], tuple[str, ...]] = {}
    for table, key, schema, parent, column in session.texts(
        "SELECT table_name, constraint_name, referenced_table_schema, referenced_table_name, referenced_column_name"
        " FROM information_schema.key_column_usage"
        f" WHERE {where} AND referenced_table_name IS NOT NULL"
        " ORDER BY table_name, constraint_name, ordinal_position"
    ):
        if schema == database:
            reference = (table, key, parent)
            references[reference] = (*references.get(reference, ()), column.casefold())
    for (table, _, parent), columns in references.items():
        if columns not in unique.get(parent, {}).values():
            yield table
