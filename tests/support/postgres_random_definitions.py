"""Random definitions of a PostgreSQL database: conditions of every form, in objects of every kind that holds one."""

# ruff: noqa: E501 (a statement a line)
import random
from dataclasses import dataclass

from support.postgres_random_forms import (
    BODIES,
    CONDITIONS,
    EXTENSION_COLUMNS,
    EXTENSION_CONDITIONS,
    EXTENSION_QUERIES,
    QUERIES,
)

COLUMNS = """
    id int, a int, b bigint, s varchar(20), x text, c char(5), d date, ts timestamp, tz timestamptz, n numeric(10,2),
    f double precision, r real, i interval, j jsonb, arr int[], words varchar(9)[], e mood, m money, o boolean, u uuid,
    "odd ""name" int, net inet, bits bit(4), span int4range
"""
EXTENSIONS = tuple(f"CREATE EXTENSION {name}" for name in ("citext", "hstore", "ltree"))
SHARED = (
    "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')",
    "CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE FUNCTION steady(v varchar) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT length(v)'",
)


@dataclass(frozen=True, kw_only=True)
class Made:
    """One object: where a proof has it, and the statements that make and drop it."""

    kind: str
    name: str
    make: str
    drop: str

    @property
    def place(self) -> tuple[str, str]:
        """Kind and name in a proof."""
        return f"definition of {self.kind}", self.name


class Generator:
    """Draws definitions; every seed draws the same ones. With `extensions` half of them are over types of these."""

    def __init__(self, seed: int, *, extensions: bool = False) -> None:
        self._chance = random.Random(seed)
        self._extensions = extensions
        self.columns = f"{COLUMNS}, {EXTENSION_COLUMNS}" if extensions else COLUMNS
        self._ways = [getattr(self, name) for name in sorted(dir(self)) if name.startswith("make_")]

    def draw(self, number: int, table: str) -> tuple[Made, Made]:
        """A definition over a table, and the same with one change that cannot be printed alike."""
        limit = self._chance.randrange(1000)
        condition = self.condition()
        join, sign = self._chance.choice(["AND", "OR"]), self._chance.choice(["<>", "<", ">="])
        forms = [(join, sign, limit)]
        other = {"AND": "OR", "OR": "AND"}[join]
        forms.append(self._chance.choice([(join, sign, limit + 1), (other, sign, limit), (join, "=", limit)]))
        way = self._chance.choice(self._ways)
        state = self._chance.getstate()
        made = []
        for place, (join, sign, value) in enumerate(forms):
            self._chance.setstate(state)
            made.append(way(f"r{number}", table, f"({condition}) {join} a {sign} {value}", limit * 10 + place))
        return made[0], made[1]

    def condition(self, depth: int = 2) -> str:
        """A condition over the columns."""
        while True:
            text = self._choice(CONDITIONS, EXTENSION_CONDITIONS)
            if "{p}" not in text and "{q}" not in text:
                return text.replace("{{", "{").replace("}}", "}")
            if depth:
                return text.replace("{p}", self.condition(depth - 1)).replace("{q}", self.condition(depth - 1))

    def _choice(self, forms: list[str], of_extensions: list[str]) -> str:
        return self._chance.choice(of_extensions if self._extensions and self._chance.random() < 0.5 else forms)

    def query(self, table: str, condition: str) -> str:
        """A query with the condition in it, at its end if nowhere else."""
        text = self._choice(QUERIES, EXTENSION_QUERIES).replace("{{", "{").replace("}}", "}")
        where = text.replace("{t}", table).replace("{p}", f"({condition})")
        return (
            where
            if "{p}" in text
            else f"SELECT * FROM ({where}) z WHERE EXISTS (SELECT FROM {table} WHERE {condition})"
        )

    def make_check(self, name: str, table: str, condition: str, number: int) -> Made:
        """On a table."""
        state = self._chance.choice(["", "", "NO INHERIT", "NOT VALID", "NOT ENFORCED"])
        return Made(kind="constraint", name=f"public.{table}.{name}",
                    make=f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({condition}) {state}",
                    drop=f"ALTER TABLE {table} DROP CONSTRAINT {name}")  # fmt: skip

    def make_domain(self, name: str, table: str, condition: str, number: int) -> Made:
        """On a domain over a composite value, whose fields stand for the columns."""
        base, value = self._chance.choice([("varchar(10)", "'a'"), ("text", "'b'"), ("char(3)", "'c'")])
        check = f"VALUE IN ({value}, 'z') AND length(VALUE) <> {number}"
        return Made(kind="constraint", name=f"public.{name}.{name}",
                    make=f"CREATE DOMAIN {name} AS {base} CONSTRAINT {name} CHECK ({check})",
                    drop=f"DROP DOMAIN {name}")  # fmt: skip

    def make_default(self, name: str, table: str, condition: str, number: int) -> Made:
        """Of a column, in a table of its own."""
        text = f"CASE WHEN now() > '2020-01-01' AND 'a'::varchar IN ('b', 'c') THEN {number} ELSE 2.5 END"
        return Made(kind="table", name=f"public.{name}", make=f"CREATE TABLE {name} (v numeric(9,3) DEFAULT {text})",
                    drop=f"DROP TABLE {name}")  # fmt: skip

    def make_generated(self, name: str, table: str, condition: str, number: int) -> Made:
        """A generated column, in a table of its own."""
        stored = self._chance.choice(["STORED", "VIRTUAL"])
        return Made(kind="table", name=f"public.{name}",
                    make=f"CREATE TABLE {name} ({self.columns}, made boolean GENERATED ALWAYS AS ({condition}) {stored})",
                    drop=f"DROP TABLE {name}")  # fmt: skip

    def make_index(self, name: str, table: str, condition: str, number: int) -> Made:
        """Over an expression, or of a part of the rows."""
        form = self._chance.choice(
            ["(({c}))", "(a) WHERE {c}", "USING hash (({c}))", "(lower(x), (coalesce(s, x)), b DESC) WHERE {c}"]
        )
        return Made(kind="index", name=f"public.{name}", make=f"CREATE INDEX {name} ON {table} {form.format(c=condition)}",
                    drop=f"DROP INDEX {name}")  # fmt: skip

    def make_exclusion(self, name: str, table: str, condition: str, number: int) -> Made:
        """A constraint with an index, an expression and a condition."""
        return Made(kind="constraint", name=f"public.{table}.{name}",
                    make=f"ALTER TABLE {table} ADD CONSTRAINT {name} EXCLUDE ((coalesce(a, 1) + id) WITH =) WHERE ({condition})",
                    drop=f"ALTER TABLE {table} DROP CONSTRAINT {name}")  # fmt: skip

    def make_policy(self, name: str, table: str, condition: str, number: int) -> Made:
        """For readers or writers."""
        form = self._chance.choice(
            ["USING ({c})", "FOR INSERT WITH CHECK ({c})", "FOR UPDATE USING (true) WITH CHECK ({c})"]
        )
        return Made(kind="policy", name=f"public.{table}.{name}", make=f"CREATE POLICY {name} ON {table} {form.format(c=condition)}",
                    drop=f"DROP POLICY {name} ON {table}")  # fmt: skip

    def make_trigger(self, name: str, table: str, condition: str, number: int) -> Made:
        """With a condition of the new row."""
        event = self._chance.choice(["BEFORE INSERT", "AFTER UPDATE OF a", "BEFORE UPDATE OR INSERT"])
        text = f"(NEW.s IN ('open', 'closed') AND NEW.a BETWEEN 1 AND 9 OR NEW.a <> {number})"
        return Made(kind="trigger", name=f"public.{table}.{name}",
                    make=f"CREATE TRIGGER {name} {event} ON {table} FOR EACH ROW WHEN {text} EXECUTE FUNCTION fires('x')",
                    drop=f"DROP TRIGGER {name} ON {table}")  # fmt: skip

    def make_rule(self, name: str, table: str, condition: str, number: int) -> Made:
        """That does something else, too."""
        action = self._chance.choice(
            [
                f"DELETE FROM {table} WHERE {condition}",
                f"INSERT INTO {table} (id, o) SELECT 1, {condition} FROM {table}",
                f"UPDATE {table} SET o = {condition}, (a, b) = (SELECT 1, 2) RETURNING id",
                f"(DELETE FROM {table} WHERE {condition}; SELECT 1)",
            ]
        )
        event = "DELETE" if "RETURNING" not in action else "INSERT"
        action = action.replace(" RETURNING id", "")
        return Made(kind="rule", name=f"public.{table}.{name}", make=f"CREATE RULE {name} AS ON {event} TO {table} DO ALSO {action}",
                    drop=f"DROP RULE {name} ON {table}")  # fmt: skip

    def make_view(self, name: str, table: str, condition: str, number: int) -> Made:
        """Stored or not."""
        words = self._chance.choice(["VIEW", "VIEW", "MATERIALIZED VIEW"])
        query = self.query(table, condition)
        return Made(
            kind="view", name=f"public.{name}", make=f"CREATE {words} {name} AS {query}", drop=f"DROP {words} {name}"
        )

    make_view_again = make_view
    make_view_more = make_view

    def make_routine(self, name: str, table: str, condition: str, number: int) -> Made:
        """With a body in the standard's form, or with a default."""
        if self._chance.random() < 0.3:
            text = f"CREATE FUNCTION {name}(v varchar DEFAULT coalesce(nullif('a'::varchar, 'b'), '{number}')) RETURNS int LANGUAGE sql AS 'SELECT 1'"
            return Made(
                kind="routine", name=f"public.{name}(v character varying)", make=text, drop=f"DROP FUNCTION {name}"
            )
        body = self._chance.choice(BODIES)
        text = f"CREATE FUNCTION {name}() RETURNS bigint LANGUAGE sql {body.replace('{t}', table).replace('{c}', condition)}"
        return Made(kind="routine", name=f"public.{name}()", make=text, drop=f"DROP FUNCTION {name}")

    def make_statistics(self, name: str, table: str, condition: str, number: int) -> Made:
        """Over expressions."""
        return Made(kind="statistics object", name=f"public.{name}",
                    make=f"CREATE STATISTICS {name} ON ({condition}), (lower(s)), a FROM {table}", drop=f"DROP STATISTICS {name}")  # fmt: skip

    def make_key(self, name: str, table: str, condition: str, number: int) -> Made:
        """Of a partitioned table."""
        way = self._chance.choice(["LIST (({c}))", "RANGE (({c}), a)", "HASH (lower(s), ({c}))"])
        return Made(kind="table", name=f"public.{name}", make=f"CREATE TABLE {name} ({self.columns}) PARTITION BY {way.format(c=condition)}",
                    drop=f"DROP TABLE {name}")  # fmt: skip

    def make_bound(self, name: str, table: str, condition: str, number: int) -> Made:
        """Of a partition."""
        key, bound = self._chance.choice([
            ("LIST (s)", f"IN ('b', 'a', '{number}', NULL)"), ("RANGE (n)", f"FROM (1.5) TO ({number} + 2)"),
            ("RANGE (tz, a)", f"FROM ('2020-01-01', {number}) TO ('2021-01-01 10:00+02', MAXVALUE)"),
            ("RANGE (i)", f"FROM ('-1 day') TO ('{number} mons')"), ("LIST (m)", f"IN ('1.5', '{number}')"),
            ("RANGE (f)", f"FROM ('-infinity') TO (0.1 + {number})"),
            ("LIST (a)", f"IN (1 + 1, '7', {number + 10})"), ("HASH (a)", f"WITH (MODULUS {number + 2}, REMAINDER 1)"),
        ])  # fmt: skip
        return Made(kind="table", name=f"public.{name}",
                    make=f"CREATE TABLE {name}_p ({self.columns}) PARTITION BY {key}; CREATE TABLE {name} PARTITION OF {name}_p FOR VALUES {bound}",
                    drop=f"DROP TABLE {name}_p")  # fmt: skip

    def make_publication(self, name: str, table: str, condition: str, number: int) -> Made:
        """Of some rows."""
        return Made(kind="publication", name=name, make=f"CREATE PUBLICATION {name} FOR TABLE {table} WHERE ({condition})",
                    drop=f"DROP PUBLICATION {name}")  # fmt: skip
