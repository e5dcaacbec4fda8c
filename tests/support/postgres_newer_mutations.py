"""Changes of what PostgreSQL can hold since version 15: each with the first version that has it."""

from collections.abc import Iterator

from support.mutations import Change

_T = "definition of table:{n}"
_I = "definition of index:{c}"
_C = "definition of constraint:{n}.{c}"
_FK = "FOREIGN KEY (a, b) REFERENCES referred (id, a) ON DELETE SET NULL"

# The version, the name, a table {n}, one change of it, and what differs then; {c} is the constraint.
_TABLES: tuple[tuple[int, str, str, str, tuple[str, ...]], ...] = (
    (15, "nulls_alike", "(a int CONSTRAINT {c} UNIQUE NULLS NOT DISTINCT)",
     "DROP CONSTRAINT {c}, ADD CONSTRAINT {c} UNIQUE (a)", (_I, _C)),
    (15, "some_set_null", f"(a int, b int, CONSTRAINT {{c}} {_FK} (b))",
     f"DROP CONSTRAINT {{c}}, ADD CONSTRAINT {{c}} {_FK}", (_C,)),
    (17, "stored_formula", "(a int, b int GENERATED ALWAYS AS (a) STORED)", "ALTER b SET EXPRESSION AS (a + 1)", (_T,)),
    (18, "virtual_formula", "(a int, b int GENERATED ALWAYS AS (a) VIRTUAL)", "ALTER b SET EXPRESSION AS (a + 1)",
     (_T,)),
    (18, "virtual_stored", "(a int, b int GENERATED ALWAYS AS (a) VIRTUAL)",
     "DROP b, ADD b int GENERATED ALWAYS AS (a) STORED", (_T,)),
    (18, "check_unenforced", "(a int, CONSTRAINT {c} CHECK (a > 0))",
     "DROP CONSTRAINT {c}, ADD CONSTRAINT {c} CHECK (a > 0) NOT ENFORCED", (_C,)),
    (18, "reference_unenforced", "(a int CONSTRAINT {c} REFERENCES referred (id))",
     "ALTER CONSTRAINT {c} NOT ENFORCED", (_C,)),
    (18, "not_null_name", "(a int CONSTRAINT {c} NOT NULL)", "RENAME CONSTRAINT {c} TO other", (_T,)),
    (18, "not_null_inherits", "(a int CONSTRAINT {c} NOT NULL)", "ALTER CONSTRAINT {c} NO INHERIT", (_T,)),
    (18, "not_null_unproven", "(a int CONSTRAINT {c} NOT NULL)",
     "DROP CONSTRAINT {c}, ADD CONSTRAINT {c} NOT NULL a NOT VALID", (_T,)),
    (18, "not_null_proven", "(a int)", "ADD CONSTRAINT {c} NOT NULL a", (_T,)),
    (18, "without_overlaps", "(a int4range, b daterange, CONSTRAINT {c} PRIMARY KEY (a, b WITHOUT OVERLAPS))",
     "DROP CONSTRAINT {c}, ADD CONSTRAINT {c} PRIMARY KEY (a, b)", (_I, _C)),
)  # fmt: skip

# The version, kind and name of the object {n}, what makes it, and what changes it.
_OBJECTS: tuple[tuple[int, str, str, str, str], ...] = (
    (15, "sequence:{n}", "sequence_logged", "CREATE UNLOGGED SEQUENCE {n}", "ALTER SEQUENCE {n} SET LOGGED"),
    (15, "sequence:{n}_a_seq", "identity_unlogged", "CREATE TABLE {n} (a int GENERATED ALWAYS AS IDENTITY)",
     "ALTER SEQUENCE {n}_a_seq SET UNLOGGED"),
    (15, "index:{n}_i", "index_attached",
     ("CREATE TABLE {n} (a int) PARTITION BY LIST (a); CREATE TABLE {n}_p PARTITION OF {n} DEFAULT; "
     "CREATE INDEX {n}_a ON ONLY {n} (a); CREATE INDEX {n}_b ON ONLY {n} (a); CREATE INDEX {n}_i ON {n}_p (a); "
     "ALTER INDEX {n}_a ATTACH PARTITION {n}_i"),
     "UPDATE pg_inherits SET inhparent = '{n}_b'::regclass WHERE inhrelid = '{n}_i'::regclass"),
    (15, "view:{n}", "view_invoker", "CREATE VIEW {n} AS SELECT 1 AS a", "ALTER VIEW {n} SET (security_invoker)"),
    (16, "collation:{n}", "collation_rules", "CREATE COLLATION {n} (provider = icu, locale = 'en', rules = '&V << w')",
     "DROP COLLATION {n}; CREATE COLLATION {n} (provider = icu, locale = 'en', rules = '&W << v')"),
    (16, "view:{n}", "view_json", "CREATE VIEW {n} AS SELECT '[]' IS JSON ARRAY AS a",
     "CREATE OR REPLACE VIEW {n} AS SELECT '[]' IS JSON OBJECT AS a"),
    (17, "collation:{n}", "collation_builtin", "CREATE COLLATION {n} (provider = builtin, locale = 'C')",
     "DROP COLLATION {n}; CREATE COLLATION {n} (provider = builtin, locale = 'C.UTF-8')"),
    (17, "event trigger:{n}", "login_lost",
     "CREATE EVENT TRIGGER {n} ON login EXECUTE FUNCTION watches(); ALTER EVENT TRIGGER {n} DISABLE",
     "DROP EVENT TRIGGER {n}"),
    (17, "view:{n}", "view_json_table",
     "CREATE VIEW {n} AS SELECT * FROM JSON_TABLE('[]'::jsonb, '$[*]' COLUMNS (a int PATH '$.a'))",
     "CREATE OR REPLACE VIEW {n} AS SELECT * FROM JSON_TABLE('[]'::jsonb, '$[*]' COLUMNS (a int PATH '$.b'))"),
    (18, "type:{n}", "domain_null_name", "CREATE DOMAIN {n} AS int CONSTRAINT filled NOT NULL",
     "ALTER DOMAIN {n} RENAME CONSTRAINT filled TO other"),
    (18, "publication:{n}", "published_generated", "CREATE PUBLICATION {n} FOR TABLE referred",
     "ALTER PUBLICATION {n} SET (publish_generated_columns = stored)"),
)  # fmt: skip


def newer_changes(version: int) -> Iterator[Change]:
    """Those that a server of this version can hold."""
    for since, name, body, change, differing in _TABLES:
        if since <= version:
            constraint = f"{name}_c"
            yield Change(
                name=name,
                make=(f"CREATE TABLE {name} {body}".replace("{c}", constraint),),
                change=(f"ALTER TABLE {name} {change}".replace("{c}", constraint),),
                differing=tuple(_place(place, name, constraint) for place in differing),
            )
    for since, place, name, make, change in _OBJECTS:
        if since <= version:
            yield Change(
                name=name,
                make=tuple(make.replace("{n}", name).split("; ")),
                change=tuple(change.replace("{n}", name).split("; ")),
                differing=(_place(f"definition of {place}", name),),
            )


def _place(place: str, name: str, constraint: str = "") -> tuple[str, str]:
    kind, _, object_name = place.replace("{n}", name).replace("{c}", constraint).partition(":")
    bare = "event trigger" in kind or "publication" in kind  # in no schema
    return kind, object_name if bare else f"public.{object_name}"
