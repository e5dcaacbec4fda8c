"""Which object a statement is about, by how pg_dump and pg_restore write it: the kind, and the name with its schema."""

import re

EXTENSION = "extension"
_PART = r'(?:"(?:[^"]|"")+"|[^\s"(.;,]+)'
_WORDS = r"(?P<kind>[A-Z]+(?: [A-Z]+)*)"  # of a kind; a name in capitals stands in quotes


def _named(group: str) -> str:
    return rf"(?P<{group}>{_PART}(?:\.{_PART})?)"


_TABLE, _NAME = rf"(?:ONLY )?{_named('table')}", _named("name")
_MODIFIED = r"(?:UNLOGGED |FOREIGN (?=TABLE))?"
_SIGNATURE = rf"(?P<name>{_PART}(?:\.{_PART})?(?:\([^)]*\))?)"
# In this order, the first that fits; `{}` in a kind is what the statement says.
_STATEMENTS = tuple(
    (re.compile(pattern, re.DOTALL), kind)
    for pattern, kind in (
        (rf"COPY {_NAME}", "rows of table"),
        (rf"COMMENT ON {_WORDS} (?P<name>.*?) IS (?:E?'|NULL)", "comment on {}"),
        (rf"SECURITY LABEL FOR \S+ ON {_WORDS} (?P<name>.*?) IS (?:E?'|NULL)", "security label of {}"),
        (rf"(?:GRANT|REVOKE) .*? ON {_WORDS} (?P<name>.*?) (?:TO|FROM) ", "rights on {}"),
        (rf"(?:GRANT|REVOKE) {_NAME} (?:TO|FROM) ", "membership in role"),
        (r"ALTER DEFAULT PRIVILEGES (?P<name>.*?) (?:GRANT|REVOKE) ", "default privileges"),
        (rf"ALTER {_WORDS} (?:ONLY )?(?P<name>.*) OWNER TO ", "owner of {}"),
        (rf"ALTER TABLE {_TABLE} +ADD CONSTRAINT {_NAME} FOREIGN KEY", "foreign key"),
        (rf"ALTER (?:TABLE|DOMAIN) {_TABLE} +ADD CONSTRAINT {_NAME}", "constraint"),
        (rf"ALTER TABLE {_TABLE} ATTACH PARTITION {_NAME}", "partition"),
        (rf"ALTER TABLE {_TABLE} +ALTER COLUMN (?P<name>{_PART}) ", "column"),
        (rf"CREATE (?:UNIQUE )?INDEX {_NAME} ON {_TABLE}", "index"),
        (rf"REFRESH MATERIALIZED VIEW {_NAME}", "rows of view"),
        (rf"CREATE EVENT TRIGGER {_NAME}", "event trigger"),
        (rf"CREATE (?:OR REPLACE )?(?:CONSTRAINT )?TRIGGER {_NAME} .*? ON {_TABLE}", "trigger"),
        (rf"CREATE POLICY {_NAME} ON {_TABLE}", "policy"),
        (rf"CREATE (?:OR REPLACE )?RULE {_NAME} AS\s+ON \w+ TO {_TABLE}", "rule"),
        (rf"CREATE EXTENSION (?:IF NOT EXISTS )?{_NAME}", EXTENSION),
        (r"CREATE CAST \((?P<name>.*?)\) WITH", "cast"),
        (r"CREATE USER MAPPING FOR (?P<name>.*?)(?: OPTIONS|;)", "user mapping"),
        (rf"(?:CREATE|ALTER) (?:OR REPLACE )?{_MODIFIED}{_WORDS} (?:ONLY )?{_SIGNATURE}", "{}"),
    )
)
_OF_TABLES = frozenset({"foreign key", "constraint", "column", "trigger", "policy", "rule"})


def object_of(statement: str) -> tuple[str, str] | None:
    """The kind and the name of what a statement makes or changes; None where that is not known."""
    flat = " ".join(statement.split())
    for pattern, said in _STATEMENTS:
        if match := pattern.match(flat):
            groups = match.groupdict()
            name, table = groups["name"], groups.get("table") or ""
            kind = said.format((groups.get("kind") or "").lower())
            if kind in _OF_TABLES:
                name = f"{table}.{name}"
            elif kind == "index" and "." in table:  # it is in the schema of its table
                name = f"{table.rpartition('.')[0]}.{name}"
            return kind, name
    return None
