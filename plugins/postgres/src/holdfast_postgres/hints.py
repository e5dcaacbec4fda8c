"""What a dump leaves for its restore, in the manifest: checked when it comes back, since a manifest can be forged."""

from collections.abc import Mapping
from typing import Any

import msgspec

from holdfast.api import IntegrityError
from holdfast_postgres.implied_operators import Meaning
from holdfast_postgres.options import Format
from holdfast_postgres.session import quoted


class LargeTableHint(msgspec.Struct, frozen=True, kw_only=True):
    """One table whose rows are in streams of their own, one for each part.

    `root` is the partitioned table of a partition whose rows may belong into another partition in another database.
    """

    schema: str
    table: str
    columns: list[str]
    binary: bool
    streams: list[str]
    root: tuple[str, str] | None = None

    def copy_in(self, into: tuple[str, str] | None = None) -> str:
        """The statement that loads the rows of one stream from standard input, into the table or another."""
        columns = ", ".join(quoted(column) for column in self.columns)
        name = quoted(*(into or (self.schema, self.table)))
        return f"COPY {name} ({columns}) FROM STDIN{' (FORMAT binary)' if self.binary else ''}"


class ExtensionHint(msgspec.Struct, frozen=True, kw_only=True):
    """One extension of the source: its `configuration` are the tables and sequences whose rows pg_dump writes.

    `used` says that something which is no extension's depends on it; `undivided` are tables whose rows it keeps in
    places that a selection cannot follow. `constraints` are those whose indexes need it, by schema and as pg_dump names
    them, table and constraint; None where the backup was made before that was recorded.
    """

    name: str
    version: str
    schema: str
    used: bool = True
    undivided: list[tuple[str, str]] = []
    configuration: list[tuple[str, str]] = []
    constraints: list[tuple[str, str]] | None = None


class DatabaseHint(msgspec.Struct, frozen=True, kw_only=True):
    """How the source database was made; `provider` is c, i or b, as in pg_database.

    `tablespace` is that of the database, empty for pg_default.
    """

    encoding: str
    collate: str
    ctype: str
    provider: str = "c"
    locale: str | None = None
    rules: str | None = None
    tablespace: str = ""


class Hints(msgspec.Struct, frozen=True, kw_only=True):
    """`major` is the server's version, `client` that of pg_dump; `size` the bytes that the database took.

    `archive`, `sequences`, `globals` and `properties` are the names of streams, empty where there is none; `passwords`
    tells whether the roles of `globals` have theirs. The rows of `large_object_tables` refer to large objects.
    `extensions` are the names of those that are needed, `installed` tells more of them. `ordered` says that rows of the
    archive may be refused as long as those of other tables are not there. `money` is the locale in which amounts are
    written, empty where there are none. `search_path` are the schemas in which sessions of the source look for names.
    `meanings` are the operators of definitions that mean some without naming them. `needed` are the relations that a
    selection did not name, and that came because something of it needs them. `constraint_needs` are what the indexes of
    constraints need: the OID of the constraint, and catalog and OID of the object; None as with `constraints`.
    """

    format: Format
    major: int
    client: int
    database: DatabaseHint
    size: int = 0
    archive: str = ""
    sequences: str = ""
    globals: str = ""
    passwords: bool = True
    properties: str = ""
    schema_only: bool = False
    data_only: bool = False
    selected: bool = False
    needed: list[tuple[str, str]] = []
    money: str = ""
    search_path: str = ""
    exclude_kinds: list[str] = []
    ordered: bool = False
    large_tables: list[LargeTableHint] = []
    large_object_tables: list[tuple[str, str]] = []
    extensions: list[str] = []
    installed: list[ExtensionHint] = []
    constraint_needs: list[tuple[int, str, int]] | None = None
    meanings: list[Meaning] = []
    owners: list[str] = []
    grantees: list[str] = []
    policy_roles: list[str] = []
    tablespaces: list[str] = []

    @property
    def configuration(self) -> dict[str, list[tuple[str, str]]]:
        """The tables and sequences that each extension leaves to the dump."""
        return {extension.name: extension.configuration for extension in self.installed}

    def as_data(self) -> dict[str, Any]:
        """Plain data for the manifest."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return data


# msgspec learns a class safely in one thread alone, as that which imports this: see `holdfast.decodable`.
_KNOWN = msgspec.json.Decoder(Hints)


def read_hints(facts: Mapping[str, Any]) -> Hints:
    """Take the hints of a manifest, or raise `IntegrityError` if they are not such."""
    try:
        return msgspec.convert(dict(facts), Hints)
    except msgspec.ValidationError as error:
        raise IntegrityError(f"the manifest's hints are not those of a PostgreSQL dump: {error}") from error
