"""Which entries of an archive a database gets that holds other objects: what it has already stays as it is there."""

import re
from collections.abc import Collection, Sequence

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.formats.archive import Entry
from holdfast_postgres.selection.archive_entries import DEPENDENT, RELATIONS, is_part_of, owned_sequences
from holdfast_postgres.selection.descendants import Name

_SAYINGS = {"COMMENT", "ACL", "SECURITY LABEL"}
_PARTS = {"TRIGGER", "RULE", "POLICY", "FK CONSTRAINT"}  # named TABLE NAME
_BY_SCHEMA = (
    "SELECT FROM {} JOIN pg_catalog.pg_namespace n ON n.oid = {} WHERE n.nspname::text = w.schema AND {}::text = w.tag"
)
_TYPE = _BY_SCHEMA.format("pg_catalog.pg_type t", "t.typnamespace", "t.typname")
_ROUTINE = _BY_SCHEMA.format(
    "pg_catalog.pg_proc p", "p.pronamespace", "p.proname || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')'"
)
# Those of a name are told apart by what their definitions say: see `_tag`.
_CLASS = _BY_SCHEMA.format(
    "pg_catalog.pg_opclass c JOIN pg_catalog.pg_am a ON a.oid = c.opcmethod",
    "c.opcnamespace",
    "c.opcname || ' ' || a.amname",
)
_FAMILY = _BY_SCHEMA.format(
    "pg_catalog.pg_opfamily f JOIN pg_catalog.pg_am a ON a.oid = f.opfmethod",
    "f.opfnamespace",
    "f.opfname || ' ' || a.amname",
)
_OPERATOR = _BY_SCHEMA.format(
    "pg_catalog.pg_operator o",
    "o.oprnamespace",
    "concat_ws(' ', o.oprname, pg_catalog.format_type(nullif(o.oprleft, 0), NULL), '/', "
    "pg_catalog.format_type(nullif(o.oprright, 0), NULL))",
)
_CAST = """
SELECT FROM pg_catalog.pg_cast c WHERE w.tag = pg_catalog.format('CAST (%%s AS %%s)',
    pg_catalog.format_type(c.castsource, NULL), pg_catalog.format_type(c.casttarget, NULL))
"""
_MAPPING = """
SELECT FROM pg_catalog.pg_user_mappings m
WHERE w.tag = pg_catalog.format('USER MAPPING %%s SERVER %%s', m.usename, m.srvname)
"""
_METHOD = re.compile(r" USING (\S+?)[\s;]")
_OPERANDS = re.compile(r"^    (LEFT|RIGHT)ARG = (.*?),?$", re.MULTILINE)
# How to find out whether an object w that is no relation is there.
_EXISTS = {
    "SCHEMA": "SELECT FROM pg_catalog.pg_namespace WHERE nspname::text = w.tag",
    "EXTENSION": "SELECT FROM pg_catalog.pg_extension WHERE extname::text = w.tag",
    "PROCEDURAL LANGUAGE": "SELECT FROM pg_catalog.pg_language WHERE lanname::text = w.tag",
    "PUBLICATION": "SELECT FROM pg_catalog.pg_publication WHERE pubname::text = w.tag",
    "EVENT TRIGGER": "SELECT FROM pg_catalog.pg_event_trigger WHERE evtname::text = w.tag",
    "SERVER": "SELECT FROM pg_catalog.pg_foreign_server WHERE srvname::text = w.tag",
    "FOREIGN DATA WRAPPER": "SELECT FROM pg_catalog.pg_foreign_data_wrapper WHERE fdwname::text = w.tag",
    **dict.fromkeys(("TYPE", "DOMAIN", "SHELL TYPE"), _TYPE),
    **dict.fromkeys(("FUNCTION", "PROCEDURE", "AGGREGATE"), _ROUTINE),
    "COLLATION": _BY_SCHEMA.format("pg_catalog.pg_collation c", "c.collnamespace", "c.collname"),
    "CONVERSION": _BY_SCHEMA.format("pg_catalog.pg_conversion c", "c.connamespace", "c.conname"),
    "OPERATOR": _OPERATOR,
    "OPERATOR CLASS": _CLASS,
    "OPERATOR FAMILY": _FAMILY,
    "CAST": _CAST,
    "ACCESS METHOD": "SELECT FROM pg_catalog.pg_am WHERE amname::text = w.tag",
    "USER MAPPING": _MAPPING,
    "TEXT SEARCH PARSER": _BY_SCHEMA.format("pg_catalog.pg_ts_parser p", "p.prsnamespace", "p.prsname"),
    "TEXT SEARCH TEMPLATE": _BY_SCHEMA.format("pg_catalog.pg_ts_template t", "t.tmplnamespace", "t.tmplname"),
    "TEXT SEARCH CONFIGURATION": _BY_SCHEMA.format("pg_catalog.pg_ts_config c", "c.cfgnamespace", "c.cfgname"),
    "TEXT SEARCH DICTIONARY": _BY_SCHEMA.format("pg_catalog.pg_ts_dict c", "c.dictnamespace", "c.dictname"),
}
_ROUTINES = ("FUNCTION", "PROCEDURE")
_SETTINGS = {"ENCODING", "STDSTRINGS", "SEARCHPATH"}


def entries_to_make(
    connection: "Connection[TupleRow]",
    entries: Sequence[Entry],
    kept: Collection[Name],
    *,
    schemas: Collection[str] | None = None,
    dropped: Collection[tuple[str, str]] = (),
) -> list[Entry]:
    """All but the relations that are `kept` and the other objects that the target has already, with what is on them.

    Those are looked for in these `schemas` alone if some are given. Routines that are `dropped` before, by schema and
    signature, count as not there.
    """
    relations = {entry.id: entry for entry in entries if entry.kind in RELATIONS}
    left = {number for number, entry in relations.items() if (entry.schema, entry.tag) in kept}
    left |= {number for number, table in owned_sequences(entries, relations).items() if table in left}
    connection.execute("SET search_path TO ''")
    there = _existing(connection, [entry for entry in entries if schemas is None or _schema(entry) in schemas])
    if dropped:
        there -= {entry.id for entry in entries if entry.kind in _ROUTINES and (entry.schema, entry.tag) in dropped}
    not_made = left | there
    made = [entry for entry in entries if entry.id not in not_made and not _is_on(entry, left, there, relations)]
    not_made = {entry.id for entry in entries} - {entry.id for entry in made}
    return [entry for entry in made if entry.kind != "INDEX ATTACH" or not_made.isdisjoint(entry.needs)]


def _tag(entry: Entry) -> str:
    """Its name, with what tells it from others of that name."""
    if entry.kind in ("OPERATOR CLASS", "OPERATOR FAMILY"):
        method = _METHOD.search(entry.definition)
        return f"{entry.tag} {method[1].strip(chr(34))}" if method else entry.tag
    if entry.kind == "OPERATOR":
        operands = dict(_OPERANDS.findall(entry.definition))
        return " ".join(word for word in (entry.tag, operands.get("LEFT"), "/", operands.get("RIGHT")) if word)
    return entry.tag


def _schema(entry: Entry) -> str:
    """The schema that it is in, or that it makes."""
    return entry.tag if entry.kind == "SCHEMA" else entry.schema


def _existing(connection: "Connection[TupleRow]", entries: Sequence[Entry]) -> set[int]:
    """The ids of those that the target has, by one query for each way to look for them."""
    existing = {entry.id for entry in entries if entry.kind in ("DATABASE", "DATABASE PROPERTIES")}
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.kind in _EXISTS:
            groups.setdefault(_EXISTS[entry.kind], []).append(entry)
    for exists, group in groups.items():
        query = f"""
            SELECT w.id FROM unnest(%s::int8[], %s::text[], %s::text[]) w(id, schema, tag) WHERE EXISTS ({exists})
        """
        columns = ([entry.id for entry in group], [entry.schema for entry in group], [_tag(entry) for entry in group])
        existing |= {number for (number,) in connection.execute(query, columns)}
    return existing


def _is_on(entry: Entry, left: set[int], there: set[int], relations: dict[int, Entry]) -> bool:
    """Whether it is said of, or a part of, something that is not made."""
    if entry.kind in _SETTINGS or entry.kind not in DEPENDENT:
        return False
    if entry.kind in _SAYINGS:
        return not (left.isdisjoint(entry.needs) and there.isdisjoint(entry.needs))
    tables = [need for need in entry.needs if need in relations]
    if entry.kind == "TABLE ATTACH":
        # At the end, when the partition has its own indexes: to a table that has some it would be given others.
        return not left.isdisjoint(tables)
    if entry.kind == "CHECK CONSTRAINT" and not tables:  # of a domain, which stays as it is there
        return not there.isdisjoint(entry.needs)
    if entry.kind in _PARTS:
        tables = [need for need in tables if is_part_of(entry, relations[need])]
    return bool(tables) and all(need in left for need in tables)
