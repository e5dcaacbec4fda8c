"""Operators that a definition means but does not name, and that an empty search_path does not find.

`IS DISTINCT FROM`, `NULLIF`, `CASE x WHEN`, `JOIN … USING` and comparisons of rows are printed without the schema of
their operator. pg_dump's scripts run with an empty search_path: there such a definition is refused, as of `hstore`, or
gets another meaning, as of `citext`, which then compares as text does. So those that mean operators outside of
pg_catalog are made under a search_path of their own (`dump.definition_changes`), and what a restore made is looked at.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

Place = tuple[int, int]
"""An object: the OIDs of its catalog and its own."""
Title = tuple[str, str]

_ROUTINES = ("function", "procedure", "aggregate")

# Only the pg_depend of operators outside of pg_catalog has rows: those in it are pinned. A definition may be printed
# within another, as a CHECK in CREATE TABLE: `bearers` have all of these.
_DEFINITIONS = """
WITH outside AS MATERIALIZED (
    SELECT o.oid, n.nspname FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
    WHERE n.nspname <> 'pg_catalog'
), used AS MATERIALIZED (
    SELECT d.classid, d.objid, jsonb_object_agg(o.oid, o.nspname) AS schemas,
        array_agg(o.oid::regoperator::text ORDER BY o.oid::regoperator::text COLLATE "C") AS operators
    FROM outside o JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_operator'::regclass
        AND d.refobjid = o.oid AND d.deptype = 'n'
    WHERE d.classid = ANY (ARRAY['pg_catalog.pg_rewrite', 'pg_catalog.pg_attrdef', 'pg_catalog.pg_constraint',
            'pg_catalog.pg_class', 'pg_catalog.pg_policy', 'pg_catalog.pg_trigger', 'pg_catalog.pg_proc',
            'pg_catalog.pg_statistic_ext', 'pg_catalog.pg_type']::regclass[])
    GROUP BY d.classid, d.objid
), tree AS MATERIALIZED (
    SELECT u.*, CASE WHEN w.rulename = '_RETURN' THEN w.ev_class END AS view, a.adrelid, k.conrelid, k.contypid,
        (SELECT x.oid FROM pg_catalog.pg_constraint x WHERE x.conindid = i.indexrelid AND x.contype = 'x') AS exclusion,
        concat(w.ev_qual, w.ev_action, a.adbin, k.conbin, i.indexprs, i.indpred, p.polqual, p.polwithcheck, t.tgqual,
            f.proargdefaults, to_jsonb(f) ->> 'prosqlbody', to_jsonb(s) ->> 'stxexprs',
            y.typdefaultbin, r.partexprs) AS text
    FROM used u
    LEFT JOIN pg_catalog.pg_rewrite w ON u.classid = 'pg_catalog.pg_rewrite'::regclass AND w.oid = u.objid
    LEFT JOIN pg_catalog.pg_attrdef a ON u.classid = 'pg_catalog.pg_attrdef'::regclass AND a.oid = u.objid
    LEFT JOIN pg_catalog.pg_constraint k ON u.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = u.objid
    LEFT JOIN pg_catalog.pg_index i ON u.classid = 'pg_catalog.pg_class'::regclass AND i.indexrelid = u.objid
    LEFT JOIN pg_catalog.pg_partitioned_table r ON u.classid = 'pg_catalog.pg_class'::regclass AND r.partrelid = u.objid
    LEFT JOIN pg_catalog.pg_policy p ON u.classid = 'pg_catalog.pg_policy'::regclass AND p.oid = u.objid
    LEFT JOIN pg_catalog.pg_trigger t ON u.classid = 'pg_catalog.pg_trigger'::regclass AND t.oid = u.objid
    LEFT JOIN pg_catalog.pg_proc f ON u.classid = 'pg_catalog.pg_proc'::regclass AND f.oid = u.objid
    LEFT JOIN pg_catalog.pg_statistic_ext s ON u.classid = 'pg_catalog.pg_statistic_ext'::regclass AND s.oid = u.objid
    LEFT JOIN pg_catalog.pg_type y ON u.classid = 'pg_catalog.pg_type'::regclass AND y.oid = u.objid
)
SELECT t.schemas, t.operators, t.text, (
    SELECT json_agg(json_build_array(b.catalog::oid::int8, b.oid::int8, a.type, a.object_names, a.object_args,
        (SELECT json_build_array(s.nspname, y.typname) FROM pg_catalog.pg_type y
            JOIN pg_catalog.pg_namespace s ON s.oid = y.typnamespace
            WHERE b.catalog = 'pg_catalog.pg_type'::regclass AND y.oid = b.oid)) ORDER BY b.place)
    FROM (VALUES (1, t.classid::regclass, t.objid), (2, 'pg_catalog.pg_class'::regclass, t.view),
        (2, 'pg_catalog.pg_class'::regclass, t.adrelid), (2, 'pg_catalog.pg_class'::regclass, t.conrelid),
        (2, 'pg_catalog.pg_type'::regclass, t.contypid), (2, 'pg_catalog.pg_constraint'::regclass, t.exclusion)
    ) b(place, catalog, oid), LATERAL pg_catalog.pg_identify_object_as_address(b.catalog, b.oid, 0) a WHERE b.oid > 0)
FROM tree t
WHERE t.text ~ '{(DISTINCTEXPR|NULLIFEXPR|CASETESTEXPR|ROWCOMPAREEXPR|SUBLINK) |:usingClause \\('
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
        WHERE e.classid = t.classid AND e.objid = t.objid AND e.deptype = 'e')
ORDER BY t.classid, t.objid
"""

# In the words of PostgreSQL's outfuncs.c, where braces and brackets in names stand behind a backslash.
_ALONE = r"\{(?:DISTINCTEXPR|NULLIFEXPR) :opno (\d+)"
# The first argument is the value after CASE, perhaps in a conversion.
_CASE = (
    r"\{CASEWHEN :expr \{OPEXPR :opno (\d+)(?: :\w+ [^\s{(]+)*? :args \("
    r"(?:\{\w+(?: :\w+ [^\s{(]+)*? :args? \(?)*\{CASETESTEXPR "
)
_ROWS = r"\{ROWCOMPAREEXPR :\w+ \d+ :opnos \(o ([\d ]+)\)"
_COLUMNS_OF_QUERY = r"\{SUBLINK :subLinkType \d :subLinkId \d+ :testexpr (?=\{BOOLEXPR )"
_JOINED = r":usingClause \((?:[^()\\]|\\.)*\)(?: :join_using_alias (?:<>|\{(?:[^{}\\]|\\.)*\}))? :quals (?=\{)"
_OPERATOR = r"\{OPEXPR :opno (\d+)"
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)


class Meaning(msgspec.Struct, frozen=True, kw_only=True):
    """What one definition means: its address as `pg_get_object_address` takes it, and operators.

    These are all that it has outside of pg_catalog.
    """

    kind: str
    names: list[str]
    arguments: list[str] = []
    operators: list[str]

    @property
    def label(self) -> str:
        """Kind and name for messages."""
        if self.kind == "rule" and self.names[-1] == "_RETURN":
            return f"view {'.'.join(self.names[:-1])}"
        arguments = f"({', '.join(self.arguments)})" if self.kind in _ROUTINES else ""
        return f"{self.kind} {'.'.join(self.names)}{arguments}"


class Implied(msgspec.Struct, frozen=True, kw_only=True):
    """One definition that means operators without naming them.

    pg_dump may write it at several `addresses`, such as a CHECK in a CREATE TABLE, in a script under `titles`: schema
    and name. `schemas` are those of the operators that are not named. `unreadable` tells that PostgreSQL prints it
    with an operator that its other columns have not.
    """

    meaning: Meaning
    addresses: tuple[Place, ...]
    titles: tuple[Title, ...]
    schemas: tuple[str, ...]
    unreadable: bool = False


def read_implied(connection: "Connection[TupleRow]") -> list[Implied]:
    """The definitions that mean operators outside of pg_catalog without naming them; the search_path is empty."""
    result = []
    for known, operators, tree, addresses in connection.execute(_DEFINITIONS.encode()):
        schemas = {int(number): schema for number, schema in known.items()}
        meant = list(_meant(tree))
        implied = {schemas[number] for numbers in meant for number in numbers if number in schemas}
        if implied:
            _, _, kind, names, arguments, _ = addresses[0]
            result.append(
                Implied(
                    meaning=Meaning(kind=kind, names=names, arguments=arguments, operators=operators),
                    addresses=tuple((catalog, oid) for catalog, oid, *_ in addresses),
                    titles=tuple(_title(*address) for _, _, *address in addresses),
                    schemas=tuple(sorted(implied)),
                    unreadable=any(_is_unreadable(numbers, schemas) for numbers in meant),
                )
            )
    return result


def _title(kind: str, names: list[str], arguments: list[str], of_type: list[str] | None) -> Title:
    """Schema and name above a section of pg_dump's script."""
    schema, *rest = of_type or names
    name = " ".join(rest).replace("\n", " ")
    return schema, f"{name}({', '.join(arguments)})" if kind in _ROUTINES else name


def _is_unreadable(numbers: Sequence[int], schemas: Mapping[int, str]) -> bool:
    """Whether the first of several operators, which alone is printed, is printed with a schema that is not theirs."""
    first = schemas.get(numbers[0])
    return first is not None and any(schemas.get(number) != first for number in numbers)


def _meant(tree: str) -> Iterator[list[int]]:
    """The operators in a parse tree that are printed without a schema; of several in one place only the first is."""
    for pattern in (_ALONE, _CASE):
        yield from ([int(number)] for number in re.findall(pattern, tree))
    for numbers in re.findall(_ROWS, tree):
        yield [int(number) for number in numbers.split()]
    for match in re.finditer(_COLUMNS_OF_QUERY, tree):
        yield _operators(tree, match.end())
    for match in re.finditer(_JOINED, tree):
        yield from ([number] for number in _operators(tree, match.end()))


def _operators(tree: str, start: int) -> list[int]:
    """All operators of the node that begins at this place."""
    depth = 0
    for brace in _BRACE.finditer(tree, start):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if not depth:
            return [int(number) for number in re.findall(_OPERATOR, tree[start : brace.end()])]
    return []
