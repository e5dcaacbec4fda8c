"""The collations of parameters of routines, as the server keeps them besides their text."""

from holdfast_mysql.session import Session


def parameter_collations(session: Session, database: str) -> dict[tuple[str, str], list[str]]:
    """By kind and name of each routine of MySQL those of its parameters in their order, empty for what is no text.

    MariaDB keeps none: there each call has its own.
    """
    if not session.server.mysql_since(8, 0, 11):
        return {}
    collations: dict[tuple[str, str], list[str]] = {}
    for kind, name, collation in session.texts(
        "SELECT routine_type, specific_name, collation_name FROM information_schema.parameters"
        f" WHERE {session.is_named('specific_schema', database)} AND ordinal_position>0"
        " ORDER BY routine_type, specific_name, ordinal_position"
    ):
        collations.setdefault((kind.lower(), name), []).append(collation)
    return collations
