"""Foreign keys of MySQL between columns of other character sets or collations, which it keeps and does not make."""

from collections.abc import Collection

from holdfast_mysql.session import Session, literal


def unlike_keys(session: Session, database: str) -> dict[str, tuple[str, str]]:
    """Such foreign keys of a database by their names, each with its table and the one that it leads to."""
    if session.server.mariadb:
        return {}
    rows = session.texts(
        "SELECT DISTINCT k.constraint_name, k.table_name, k.referenced_table_name"
        " FROM information_schema.key_column_usage k"
        " JOIN information_schema.columns c ON c.table_schema = k.table_schema AND c.table_name = k.table_name"
        " AND c.column_name = k.column_name"
        " JOIN information_schema.columns p ON p.table_schema = k.referenced_table_schema"
        " AND p.table_name = k.referenced_table_name AND p.column_name = k.referenced_column_name"
        f" WHERE k.table_schema = {literal(database)} AND c.collation_name <> p.collation_name ORDER BY 1"
    )
    return {name: (table, parent) for name, table, parent in rows}


def names_among(keys: dict[str, tuple[str, str]], tables: Collection[str]) -> list[str]:
    """The keys whose tables are some of these."""
    return [name for name, ends in keys.items() if set(ends) & set(tables)]
