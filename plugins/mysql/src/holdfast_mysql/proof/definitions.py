"""Definitions as digests, each with the settings it was made under and without the name of its database."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from hashlib import sha256

from holdfast.api import ObjectProof
from holdfast_mysql.definitions.null_tests import without_repeated_tests
from holdfast_mysql.definitions.renaming import rename_database
from holdfast_mysql.definitions.rewrite import (
    disabled,
    trigger_moment,
    with_definer,
    with_quoted_definer,
    without_comments,
    without_counter,
)
from holdfast_mysql.definitions.script import Statement


def definition_proofs(
    statements: Iterable[Statement], database: str, numbers: Mapping[str, int], *, definers: bool
) -> list[ObjectProof]:
    """A digest of every definition, with the settings it was made under, and without the name of its database.

    That of a trigger holds the name of the one before it, for those of one moment fire in an order; `statements` has
    them in that order. That of a table holds the next number of its AUTO_INCREMENT column, but only if the largest
    one is in `numbers`: an UPDATE may have gone beyond the server's counter, which goes along when rows are restored.
    Without `definers` they do not count: whoever restores takes their place.
    """
    statements = list(statements)
    names = frozenset(name for statement in statements for name in (statement.name, statement.table))
    last: dict[tuple[str, str], str] = {}
    proofs = []
    for statement in statements:
        body = rename_database(statement, old=database, new="", objects=names)
        body = _comparable(statement, body, numbers)
        if not definers:
            # As much space as there was around the clause is left by it.
            body = b" ".join(with_definer(replace(statement, body=body), "strip").split(None, 1))
        settings = "\0".join([*statement.settings(), statement.collation if statement.kind != "view" else ""])
        if statement.kind == "trigger":
            moment = (statement.table, trigger_moment(statement))
            settings += f"\0after {last[moment]}" if moment in last else ""
            last[moment] = statement.name
        digest = sha256(settings.encode() + b"\0" + body).hexdigest()
        proofs.append(ObjectProof(kind=statement.kind, name=statement.name, digest=digest))
    return proofs


def _comparable(statement: Statement, body: bytes, numbers: Mapping[str, int]) -> bytes:
    """A definition without what differs between a database and its exact copy."""
    if statement.kind == "event":
        return disabled(Statement(kind="event", name="", body=body, sql_mode=statement.sql_mode))
    if statement.kind == "view":
        return without_repeated_tests(statement, body)
    if statement.kind == "trigger":
        return with_quoted_definer(body, statement)
    if statement.kind == "table":
        body, counter = without_counter(without_comments(body))
        if statement.name in numbers:
            body += f"\0next {max(counter, numbers[statement.name] + 1)}".encode()
    return body


def database_proof(statement: Statement) -> ObjectProof:
    """A digest of what a database says of itself: character set and collation of new tables, and its comment."""
    settings = f"ALTER DATABASE CHARACTER SET {statement.extra['charset']} COLLATE {statement.collation}"
    text = f"{settings}\0{statement.extra['comment']}".encode(errors="surrogateescape")
    return ObjectProof(kind="database", name="defaults", digest=sha256(text).hexdigest())
