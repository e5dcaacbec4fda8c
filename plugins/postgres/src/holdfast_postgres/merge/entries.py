"""Which entries of the archive of what was restored beside the target are made in the target."""

from collections.abc import Collection, Sequence

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.formats.archive import Entry
from holdfast_postgres.merge.relations import Name
from holdfast_postgres.selection.archive_entries import DEPENDENT, RELATIONS, is_part_of, owned_sequences

_SAYINGS = {"COMMENT", "ACL", "SECURITY LABEL"}
_PARTS = {"TRIGGER", "RULE", "POLICY", "FK CONSTRAINT"}  # named TABLE NAME
_BY_SCHEMA = "SELECT FROM {} JOIN pg_catalog.pg_namespace n ON n.oid = {} WHERE n.nspname = %(schema)s AND {} = %(tag)s"
_TYPE = _BY_SCHEMA.format("pg_catalog.pg_type t", "t.typnamespace", "t.typname")
_ROUTINE = _BY_SCHEMA.format(
    "pg_catalog.pg_proc p", "p.pronamespace", "p.proname || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')'"
)
# How to find out whether an object that is no relation is there.
_EXISTS = {
    "SCHEMA": "SELECT FROM pg_catalog.pg_namespace WHERE nspname = %(tag)s",
    "EXTENSION": "SELECT FROM pg_catalog.pg_extension WHERE extname = %(tag)s",
    "PROCEDURAL LANGUAGE": "SELECT FROM pg_catalog.pg_language WHERE lanname = %(tag)s",
    "PUBLICATION": "SELECT FROM pg_catalog.pg_publication WHERE pubname = %(tag)s",
    "EVENT TRIGGER": "SELECT FROM pg_catalog.pg_event_trigger WHERE evtname = %(tag)s",
    "SERVER": "SELECT FROM pg_catalog.pg_foreign_server WHERE srvname = %(tag)s",
    "FOREIGN DATA WRAPPER": "SELECT FROM pg_catalog.pg_foreign_data_wrapper WHERE fdwname = %(tag)s",
    **dict.fromkeys(("TYPE", "DOMAIN", "SHELL TYPE"), _TYPE),
    **dict.fromkeys(("FUNCTION", "PROCEDURE", "AGGREGATE"), _ROUTINE),
    "COLLATION": _BY_SCHEMA.format("pg_catalog.pg_collation c", "c.collnamespace", "c.collname"),
    "TEXT SEARCH CONFIGURATION": _BY_SCHEMA.format("pg_catalog.pg_ts_config c", "c.cfgnamespace", "c.cfgname"),
    "TEXT SEARCH DICTIONARY": _BY_SCHEMA.format("pg_catalog.pg_ts_dict c", "c.dictnamespace", "c.dictname"),
}
_SETTINGS = {"ENCODING", "STDSTRINGS", "SEARCHPATH"}


def entries_to_make(
    connection: "Connection[TupleRow]", entries: Sequence[Entry], kept: Collection[Name]
) -> list[Entry]:
    """All but the relations that are `kept` and the other objects that the target has already, with what is on them."""
    relations = {entry.id: entry for entry in entries if entry.kind in RELATIONS}
    left = {number for number, entry in relations.items() if (entry.schema, entry.tag) in kept}
    left |= {number for number, table in owned_sequences(entries, relations).items() if table in left}
    connection.execute("SET search_path TO ''")
    there = {entry.id for entry in entries if _exists(connection, entry)}
    return [entry for entry in entries if entry.id not in left | there and not _is_on(entry, left, there, relations)]


def _exists(connection: "Connection[TupleRow]", entry: Entry) -> bool:
    query = _EXISTS.get(entry.kind)
    if query is None:
        return entry.kind in ("DATABASE", "DATABASE PROPERTIES")
    return connection.execute(query, {"schema": entry.schema, "tag": entry.tag}).fetchone() is not None


def _is_on(entry: Entry, left: set[int], there: set[int], relations: dict[int, Entry]) -> bool:
    """Whether it is said of, or a part of, something that is not made."""
    if entry.kind in _SETTINGS or entry.kind not in DEPENDENT:
        return False
    if entry.kind in _SAYINGS:
        return not (left | there).isdisjoint(entry.needs)
    tables = [need for need in entry.needs if need in relations]
    if entry.kind in _PARTS:
        tables = [need for need in tables if is_part_of(entry, relations[need])]
    return bool(tables) and all(need in left for need in tables)
