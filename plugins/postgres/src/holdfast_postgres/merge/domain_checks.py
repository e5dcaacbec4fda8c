"""CHECKs of domains that a target has already, and that rows of a selection break as they do in the source.

They are NOT VALID where the rows come from. A domain of the target stays as it is, and its CHECKs hold for every row
that comes: so they are taken away for the rows of the selection, in the transaction that loads them, and made again.
"""

from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.session import quoted

_CHECKS = """
SELECT n.nspname, y.typname, k.conname, k.convalidated, pg_catalog.pg_get_constraintdef(k.oid)
FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_type y ON y.oid = k.contypid
JOIN pg_catalog.pg_namespace n ON n.oid = y.typnamespace WHERE k.contype = 'c' ORDER BY k.oid
"""


@dataclass(frozen=True, kw_only=True)
class DomainCheck:
    """A CHECK of a domain of the target; `valid` says that all of its rows keep it."""

    domain: tuple[str, str]
    name: str
    valid: bool
    definition: str

    @property
    def drop(self) -> str:
        """The statement that drops it."""
        return f"ALTER DOMAIN {quoted(*self.domain)} DROP CONSTRAINT {quoted(self.name)}"

    @property
    def add(self) -> str:
        """The statement that adds it again, for rows to come."""
        definition = self.definition.removesuffix(" NOT VALID")
        return f"ALTER DOMAIN {quoted(*self.domain)} ADD CONSTRAINT {quoted(self.name)} {definition} NOT VALID"

    @property
    def label(self) -> str:
        """What it is called in messages."""
        return f"{'.'.join(self.domain)}.{self.name}"


def broken_checks(staged: "Connection[TupleRow]", target: "Connection[TupleRow]") -> list[DomainCheck]:
    """Those of the target that what was restored beside it has as NOT VALID."""
    staged.execute("SET search_path TO ''")
    target.execute("SET search_path TO ''")
    broken = {(check.domain, check.name) for check in _read(staged) if not check.valid}
    return [check for check in _read(target) if (check.domain, check.name) in broken] if broken else []


def _read(connection: "Connection[TupleRow]") -> list[DomainCheck]:
    return [
        DomainCheck(domain=(schema, domain), name=name, valid=valid, definition=definition)
        for schema, domain, name, valid, definition in connection.execute(_CHECKS)
    ]
