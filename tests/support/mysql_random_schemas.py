"""Random schemas of MySQL and MariaDB: objects of every kind, of types, engines, character sets and expressions."""

# ruff: noqa: E501 (statements)
import random
from dataclasses import dataclass, replace

from support import mysql_random_sql as sql


@dataclass(frozen=True, kw_only=True)
class Made:
    """One object: its kind and name in a proof, and the statements that make it and drop it again."""

    kind: str
    name: str
    make: tuple[str, ...]
    drop: tuple[str, ...]
    mode: str = ""

    @property
    def place(self) -> tuple[str, str]:
        """Kind and name in a proof."""
        return self.kind, self.name


def shared(database: str) -> list[str]:
    """What the definitions use."""
    return [
        *(f"CREATE TABLE t{number} ({sql.COLUMNS})" for number in range(3)),
        *(
            f"INSERT INTO t{number} (id, a, s, x, j) VALUES (1, 2, 'a', 'x', '[1]'), (2, NULL, NULL, 'ä', '{{}}')"
            for number in range(3)
        ),
        "CREATE FUNCTION plus(v INT) RETURNS INT DETERMINISTIC RETURN v + 1",
        f"CREATE PROCEDURE {database}.proc0(IN v INT) SET @z = v",
    ]


class Generator:
    """Draws definitions for a product (`mariadb` or `mysql`); every seed draws the same ones."""

    def __init__(self, seed: int, product: str, database: str) -> None:
        self._chance = random.Random(seed)
        self._mariadb = product == "mariadb"
        self._database = database
        self._ways = [getattr(self, name) for name in sorted(dir(self)) if name.startswith("make_")]

    def draw(self, number: int) -> tuple[Made, Made]:
        """A definition, and the same with one change that no server can print alike."""
        limit = self._chance.randrange(2, 60)
        way = self._chance.choice(self._ways)
        mode = self._chance.choice(sql.MODES)
        state = self._chance.getstate()
        made = []
        for value in (limit, limit + 1):
            self._chance.setstate(state)
            made.append(replace(way(f"r{number}", value), mode=mode))
        return made[0], made[1]

    def condition(self, limit: int) -> str:
        """A condition over the columns, with the number in it."""
        join, sign = self._chance.choice(["AND", "OR"]), self._chance.choice(["<>", "<", ">="])
        return f"({self._condition(2)}) {join} a {sign} {limit}"

    def _condition(self, depth: int) -> str:
        while True:
            text = self._chance.choice(sql.CONDITIONS)
            if "{p}" not in text:
                return text.replace("{c}", self._collation())
            if depth:
                return text.replace("{p}", self._condition(depth - 1)).replace("{q}", self._condition(depth - 1))

    def _collation(self) -> str:
        return self._chance.choice(
            ["utf8mb4_bin", "utf8mb4_unicode_ci", "utf8mb4_general_ci", "utf8mb4_unicode_520_ci"]
        )

    def _table(self) -> str:
        return f"t{self._chance.randrange(3)}"

    def _name(self, name: str) -> str:
        """A name that may need its quotes; without a letter's case, which servers may fold."""
        return self._chance.choice(["{}", "{}", "{} x", "{}-ü", "{}`q", "{}.d", "{}'s", "select {}", '{}"'])[
            :30
        ].format(name)

    def _query(self, limit: int) -> str:
        table = self._table()
        text = self._chance.choice(sql.QUERIES).replace("{t}", table).replace("{db}", self._database)
        condition = self.condition(limit)
        if "{p}" in text:
            return text.replace("{p}", f"({condition})")
        return f"SELECT * FROM ({text}) zz WHERE EXISTS (SELECT 1 FROM {table} WHERE {condition})"

    def make_view(self, name: str, limit: int) -> Made:
        """With an algorithm, a security and columns of its own, now and then."""
        name = self._name(name)
        head = self._chance.choice(["", "ALGORITHM=MERGE ", "ALGORITHM=TEMPTABLE ", "SQL SECURITY INVOKER ",
                                    "DEFINER=nobody@localhost ", "DEFINER=`odd user`@`10.%` SQL SECURITY INVOKER "])  # fmt: skip
        return Made(kind="view", name=name, make=(f"CREATE {head}VIEW {_quoted(name)} AS {self._query(limit)}",),
                    drop=(f"DROP VIEW {_quoted(name)}",))  # fmt: skip

    make_view_again = make_view
    make_view_more = make_view

    def _body(self, limit: int, *, returns: str = "") -> str:
        text = self._chance.choice(sql.BODIES)
        if returns:
            text = f"BEGIN {text}; RETURN {returns}; END"
        for mark, value in (("{t}", self._table()), ("{c}", self.condition(limit)), ("{db}", self._database),
                            ("{n}", str(limit))):  # fmt: skip
            text = text.replace(mark, value)
        return f"{text} /* {limit} */" if str(limit) not in text else text

    def make_procedure(self, name: str, limit: int) -> Made:
        """With parameters of types that take character sets."""
        name = self._name(name)
        text = self._chance.choice(["", "IN p1 VARCHAR(9), OUT p2 INT", "INOUT `p 3` TEXT CHARACTER SET latin1",
                                    "IN p4 ENUM('a','b')", "IN p5 DECIMAL(5,2) UNSIGNED"])  # fmt: skip
        said = self._chance.choice(
            ["", "COMMENT 'it''s'", "SQL SECURITY INVOKER", "NOT DETERMINISTIC MODIFIES SQL DATA"]
        )
        head = self._chance.choice(["", "", "DEFINER=nobody@localhost "])
        return Made(kind="procedure", name=name, make=(f"CREATE {head}PROCEDURE {_quoted(name)}({text}) {said} {self._body(limit)}",),
                    drop=(f"DROP PROCEDURE {_quoted(name)}",))  # fmt: skip

    def make_function(self, name: str, limit: int) -> Made:
        """Of a type that takes a character set, too."""
        name = self._name(name)
        kind, value = self._chance.choice([("INT", str(limit)), ("VARCHAR(9) CHARACTER SET latin1", f"'{limit}'"),
                                           ("TEXT", "'x'"), ("DECIMAL(8,3)", f"{limit}.5"), ("JSON", "'{}'")])  # fmt: skip
        return Made(kind="function", name=name,
                    make=(f"CREATE FUNCTION {_quoted(name)}(v VARCHAR(5)) RETURNS {kind} DETERMINISTIC {self._body(limit, returns=value)}",),
                    drop=(f"DROP FUNCTION {_quoted(name)}",))  # fmt: skip

    def make_trigger(self, name: str, limit: int) -> Made:
        """Of a table of its own."""
        name = self._name(name)
        event = self._chance.choice(["BEFORE INSERT", "AFTER UPDATE", "BEFORE UPDATE", "AFTER DELETE"])
        table = f"tr{limit // 1000}_{name.encode().hex()[:20]}"
        row = "OLD" if "DELETE" in event else "NEW"
        text = f"BEGIN IF {row}.a > {limit} THEN {self._body(limit)}; END IF; END"
        return Made(kind="trigger", name=name,
                    make=(f"CREATE TABLE {table} (a INT)", f"CREATE TRIGGER {_quoted(name)} {event} ON {table} FOR EACH ROW {text}"),
                    drop=(f"DROP TABLE {table}",))  # fmt: skip

    def make_event(self, name: str, limit: int) -> Made:
        """That comes again, for it would be dropped otherwise."""
        name = self._name(name)
        when = self._chance.choice(["EVERY {n} DAY", "EVERY '{n}:30' HOUR_MINUTE STARTS '2030-01-01 00:00:00'",
                                    "AT '2037-01-{d} 10:00:00'", "EVERY {n} MONTH ENDS '2036-05-05 01:02:03'"])  # fmt: skip
        when = when.replace("{n}", str(limit)).replace("{d}", f"{limit % 28 + 1:02d}")
        said = self._chance.choice(["", "ON COMPLETION PRESERVE ENABLE", "DISABLE", "COMMENT 'it''s'"])
        return Made(kind="event", name=name, make=(f"CREATE EVENT {_quoted(name)} ON SCHEDULE {when} {said} DO {self._body(limit)}",),
                    drop=(f"DROP EVENT {_quoted(name)}",))  # fmt: skip

    def make_table(self, name: str, limit: int) -> Made:
        """With columns, keys, options and rows of all kinds."""
        name = self._name(name)
        count = self._chance.randrange(1, 7)
        columns = ["id INT NOT NULL", "k INT", "w VARCHAR(50)", "d0 DATE", "j0 TEXT"]
        columns += [self._column(f"c{number}", limit) for number in range(count)]
        if self._chance.random() < 0.5:
            columns.append(f"gen {self._chance.choice(sql.GENERATED)}")
        keys = ["PRIMARY KEY (id)"] if self._chance.random() < 0.85 else []
        keys += self._chance.sample(sql.KEYS, self._chance.choice([0, 0, 1, 1, 2, 3]))
        options = [
            f"ENGINE={self._chance.choice(sql.ENGINES)}",
            *self._chance.sample(sql.OPTIONS, self._chance.choice([0, 0, 1, 2])),
        ]
        if self._chance.random() < 0.5:
            options.append(f"DEFAULT CHARSET={self._chance.choice(sql.CHARSETS)}")
        tail = f" {self._chance.choice(sql.PARTITIONS)}" if self._chance.random() < 0.2 else ""
        # What the change is in, whatever the rest does with the number.
        text = f"CREATE TABLE {_quoted(name)} ({', '.join([*columns, f'last DECIMAL({limit},2)', *keys])}) {' '.join(options)}{tail}"
        for mark, value in (
            ("{n}", str(self._chance.randrange(2, 9))),
            ("{c}", self._collation()),
            ("{db}", self._database),
        ):
            text = text.replace(mark, value)
        rows = ", ".join(f"({number}, {number % 3}, {word}, '2020-01-0{number}', '{{\"a\": {number}}}')"
                         for number, word in ((1, "'x'"), (2, "'it''s'"), (3, "''"), (4, "NULL")))  # fmt: skip
        return Made(kind="table", name=name, make=(text, f"INSERT IGNORE INTO {_quoted(name)} (id, k, w, d0, j0) VALUES {rows}"),
                    drop=(f"DROP TABLE {_quoted(name)}",))  # fmt: skip

    make_table_again = make_table
    make_table_more = make_table
    make_table_most = make_table

    def _column(self, name: str, limit: int) -> str:
        kind, default = self._chance.choice(sql.TYPES)
        text = f"{name} {kind}"
        if kind.startswith(sql.TEXTS) and self._chance.random() < 0.5:
            text += f" CHARACTER SET {self._chance.choice(sql.CHARSETS)}"
        elif kind.startswith(sql.TEXTS) and self._chance.random() < 0.3:
            text += f" COLLATE {self._collation()}"
        if default is not None and self._chance.random() < 0.7:
            text += f" DEFAULT {default}"
        elif self._chance.random() < 0.2 and "NULL" not in text:
            text += " NOT NULL"
        text += self._chance.choice(
            ["", "", "", " COMMENT 'it''s {n}; \\\\ ü'", " INVISIBLE", " COMPRESSED", " WITHOUT SYSTEM VERSIONING"]
        )
        if self._chance.random() < 0.1:
            text += f" CHECK ({name} IS NULL OR {name} <> '{{n}}')"
        return text.replace("{n}", str(self._chance.randrange(2, 9)))

    def make_sequence(self, name: str, limit: int) -> Made:
        """Of MariaDB, with a table that takes numbers from it."""
        name = self._name(name)
        said = self._chance.choice(
            ["", "MINVALUE -5 CYCLE", "INCREMENT BY -{n} MAXVALUE 9", "CACHE {n}", "NOCACHE AS SMALLINT"]
        )
        make = [f"CREATE SEQUENCE {_quoted(name)} START WITH {-limit if 'BY -' in said else limit} {said.replace('{n}', '3')}",
                f"SELECT NEXTVAL({_quoted(name)})"]  # fmt: skip
        return Made(kind="sequence", name=name, make=tuple(make), drop=(f"DROP SEQUENCE {_quoted(name)}",))


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
