"""The proof: what the snapshot held, computed by the server, and computed again from a restored database."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import HoldfastError, IntegrityError, ObjectProof, Proof, quote_name
from holdfast_postgres.catalog import SequenceState, Table
from holdfast_postgres.errors import translate_errors
from holdfast_postgres.parallel import Sessions
from holdfast_postgres.proof.comparable import Comparable, comparable_definitions, has_public
from holdfast_postgres.proof.configuration import (
    ConfigurationSetting,
    as_recorded,
    comparable_tables,
    read_configuration,
)
from holdfast_postgres.proof.definitions import prove_comments, prove_definitions, read_definitions
from holdfast_postgres.proof.generated import with_generated
from holdfast_postgres.proof.partitions import with_moved_rows
from holdfast_postgres.proof.printed import pack_texts
from holdfast_postgres.proof.rows import (
    STORED,
    TABLE,
    TableSetting,
    computed_columns,
    prove_tables,
    table_sizes,
    wide_columns,
)
from holdfast_postgres.proof.values import prove_large_objects, prove_sequence, read_sequences
from holdfast_postgres.special_extensions import PLACES

METHOD = "postgresql-rows-1"
DEFAULT_UP_TO = 32 << 20  # bytes: two seeds cost about 10 ms a MB, and a small dump takes half a second anyway

GROUPED = 5000  # objects from which one entry stands for a kind in a schema, to keep the manifest small

OpenSession = Callable[[], "Connection[TupleRow]"]


class ProofSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What it takes to repeat a proof: in the manifest as `proof.settings`.

    `texts` are those of parse trees (`printed`), None in a proof of Holdfast 0.1; `public` tells whether there is a
    schema of that name; `placed` are the extensions, with their schemas, that one database of a server alone may have.
    `configuration` are the tables of extensions; `stored` are tables digested a second time, without the columns that
    functions of the user's compute.
    """

    major: int
    tables: list[TableSetting]
    sequences: list[tuple[str, str]] = []
    definitions: bool = False
    grouped: bool = False
    large_objects: bool = False
    texts: str | None = None
    public: bool = True
    placed: dict[str, str] = {}
    configuration: list[ConfigurationSetting] = []
    stored: list[TableSetting] = []


# msgspec learns a class safely in one thread alone, as that which imports this: see `holdfast.decodable`.
_KNOWN = msgspec.json.Decoder(ProofSettings)


@dataclass(frozen=True, kw_only=True)
class ProofScope:
    """What the dump holds and a proof therefore covers."""

    tables: tuple[Table, ...]
    configuration: frozenset[tuple[str, str]]
    sequences: tuple[SequenceState, ...]
    definitions: bool
    large_objects: bool


def record_proof(scope: ProofScope, open_session: OpenSession, *, major: int, jobs: int) -> Proof:
    """Compute the proof of a dump; `open_session` gives a session in its snapshot, one for each of `jobs` threads."""
    with translate_errors("cannot compute the proof"), open_session() as connection:
        wide = wide_columns(connection, scope.tables)
        tables = [TableSetting(table.schema, table.name, wide.get(table.oid, [])) for table in scope.tables]
        computed = computed_columns(connection, scope.tables)
        stored = [
            TableSetting(table.schema, table.name, wide.get(table.oid, []), computed[table.oid])
            for table in scope.tables
            if table.oid in computed
        ]
        known, conditions = read_configuration(connection)
        configuration = [setting for setting in known if (setting.schema, setting.name) in scope.configuration]
        proven = [*tables, *(TableSetting(setting.schema, setting.name) for setting in configuration), *stored]
        sizes = table_sizes(connection, proven)
        others: list[ObjectProof] = []
        definitions = read_definitions(connection, major) if scope.definitions else []
        grouped = len(definitions) >= GROUPED
        if scope.definitions:
            others = [*prove_definitions(definitions, grouped=grouped), prove_comments(connection)]
        if scope.large_objects:
            others.append(prove_large_objects(connection))
        rows = prove_tables(proven, sizes, Sessions(connection, open_session, jobs), conditions)
    missing = [table for table, proof in zip(proven, rows, strict=True) if proof is None]
    if missing:
        raise HoldfastError(f"table {quote_name(missing[0].name)} vanished from the snapshot")
    sequences = [
        prove_sequence(sequence.schema, sequence.name, sequence.last_value, sequence.is_called)
        for sequence in scope.sequences
    ]
    settings = ProofSettings(
        major=major,
        tables=tables,
        sequences=[(sequence.schema, sequence.name) for sequence in scope.sequences],
        definitions=scope.definitions,
        grouped=grouped,
        large_objects=scope.large_objects,
        texts=pack_texts(definitions) if scope.definitions else None,
        public=has_public(definitions),
        placed={
            entry.name: entry.portable for entry in definitions if entry.kind == "extension" and entry.name in PLACES
        },
        configuration=configuration,
        stored=stored,
    )
    objects = (*(proof for proof in rows if proof is not None), *sequences, *others)
    return Proof(method=METHOD, objects=objects, settings=msgspec.to_builtins(settings))


def repeat_proof(recorded: Proof, open_session: OpenSession, *, major: int, jobs: int) -> tuple[Proof, list[str]]:
    """Compute a recorded proof anew in another database, with warnings of what could not be compared.

    What is not there is left out.
    """
    try:
        settings = msgspec.convert(dict(recorded.settings), ProofSettings)
    except msgspec.ValidationError as error:
        raise IntegrityError(f"the proof's settings are not those of a PostgreSQL proof: {error}") from error
    others: list[ObjectProof] = []
    warnings: list[str] = []
    with translate_errors("cannot compute the proof"), open_session() as connection:
        if settings.definitions:
            comparable = Comparable(
                recorded=recorded.objects,
                texts=settings.texts,
                grouped=settings.grouped,
                public=settings.public,
                same_major=major == settings.major,
                placed=settings.placed,
            )
            definitions, warnings = comparable_definitions(connection, major, comparable)
            others = [*definitions, prove_comments(connection)]
        if settings.large_objects:
            others.append(prove_large_objects(connection))
        sequences = read_sequences(connection, settings.sequences)
        known, conditions = read_configuration(connection)
        configuration, unknown, unlike = comparable_tables(settings.configuration, known)
        tables = [*settings.tables, *(TableSetting(setting.schema, setting.name) for setting in configuration)]
        digested = [*tables, *settings.stored]
        sizes = table_sizes(connection, digested)
        proofs = prove_tables(digested, sizes, Sessions(connection, open_session, jobs), conditions)
    others += as_recorded(recorded.objects, unknown)
    rows = with_moved_rows(proofs[: len(tables)], tables, _of_kind(recorded, TABLE), open_session)
    stored = with_moved_rows(proofs[len(tables) :], settings.stored, _of_kind(recorded, STORED), open_session)
    rows, computed = with_generated(rows, tables, recorded.objects, stored, open_session)
    objects = (*(proof for proof in (*rows, *stored) if proof is not None), *sequences, *others)
    proof = Proof(method=METHOD, objects=objects, settings=recorded.settings)
    return proof, [*warnings, *unlike, *computed]


def _of_kind(proof: Proof, kind: str) -> list[ObjectProof]:
    return [entry for entry in proof.objects if entry.kind == kind]
