"""Changes of every other kind of object of a PostgreSQL database."""

from collections.abc import Iterator

from support.mutations import Change

_FUNCTION = "CREATE OR REPLACE FUNCTION {n}(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'"

_TRIGGER = "CREATE TRIGGER {n} BEFORE INSERT ON {t} FOR EACH ROW EXECUTE FUNCTION fires()"

_OPERATOR = "CREATE OPERATOR <{o}> (LEFTARG = int, RIGHTARG = int, FUNCTION = compares"


# The kind, the name, what makes the object {n} (on a table {t}), and what changes it. A name that is not the object's
# own stands behind a colon after the kind.
_OBJECTS: tuple[tuple[str, str, str, str], ...] = (
    ("view", "view_lost", "CREATE VIEW {n} AS SELECT 1 AS a", "DROP VIEW {n}"),
    ("view", "view_added", "SELECT", "CREATE VIEW {n} AS SELECT 1 AS a"),
    ("view", "view_value", "CREATE VIEW {n} AS SELECT 1 AS a", "CREATE OR REPLACE VIEW {n} AS SELECT 2 AS a"),
    ("view", "view_space", "CREATE VIEW {n} AS SELECT 'a b' AS a", "CREATE OR REPLACE VIEW {n} AS SELECT 'a  b' AS a"),
    ("view", "view_column", "CREATE VIEW {n} AS SELECT 1 AS a", "ALTER VIEW {n} RENAME COLUMN a TO b"),
    ("view", "view_barrier", "CREATE VIEW {n} AS SELECT 1 AS a", "ALTER VIEW {n} SET (security_barrier)"),
    ("view", "view_option", "CREATE VIEW {n} AS SELECT a FROM {t} WHERE a > 0 WITH LOCAL CHECK OPTION",
     "ALTER VIEW {n} RESET (check_option)"),
    ("view", "view_default", "CREATE VIEW {n} AS SELECT a FROM {t}", "ALTER VIEW {n} ALTER a SET DEFAULT 1"),
    ("view", "stored_view_lost", "CREATE MATERIALIZED VIEW {n} AS SELECT 1 AS a", "DROP MATERIALIZED VIEW {n}"),
    ("view", "stored_view_filled", "CREATE MATERIALIZED VIEW {n} AS SELECT 1 AS a WITH NO DATA",
     "REFRESH MATERIALIZED VIEW {n}"),
    ("trigger:{t}.{n}", "trigger_lost", _TRIGGER, "DROP TRIGGER {n} ON {t}"),
    ("trigger:{t}.{n}", "trigger_added", "SELECT FROM {t}", _TRIGGER),
    ("trigger:{t}.{n}", "trigger_time", _TRIGGER, "DROP TRIGGER {n} ON {t}; " + _TRIGGER.replace("BEFORE", "AFTER")),
    ("trigger:{t}.{n}", "trigger_event", _TRIGGER, "DROP TRIGGER {n} ON {t}; " + _TRIGGER.replace("INSERT", "UPDATE")),
    ("trigger:{t}.{n}", "trigger_row", _TRIGGER, "DROP TRIGGER {n} ON {t}; " + _TRIGGER.replace("EACH ROW",
     "STATEMENT")),
    ("trigger:{t}.{n}", "trigger_when", _TRIGGER,
     "DROP TRIGGER {n} ON {t}; " + _TRIGGER.replace("EXECUTE", "WHEN (NEW.a > 0) EXECUTE")),
    ("trigger:{t}.{n}", "trigger_calls", _TRIGGER, "DROP TRIGGER {n} ON {t}; " + _TRIGGER.replace("fires",
     "fires_too")),
    ("trigger:{t}.{n}", "trigger_given", _TRIGGER, "DROP TRIGGER {n} ON {t}; " + _TRIGGER.replace("()", "('x')")),
    ("trigger:{t}.{n}", "trigger_off", _TRIGGER, "ALTER TABLE {t} DISABLE TRIGGER {n}"),
    ("trigger:{t}.{n}", "trigger_always", _TRIGGER, "ALTER TABLE {t} ENABLE ALWAYS TRIGGER {n}"),
    ("rule:{t}.{n}", "rule_lost", "CREATE RULE {n} AS ON DELETE TO {t} DO INSTEAD NOTHING", "DROP RULE {n} ON {t}"),
    ("rule:{t}.{n}", "rule_way", "CREATE RULE {n} AS ON DELETE TO {t} DO INSTEAD NOTHING",
     "CREATE OR REPLACE RULE {n} AS ON DELETE TO {t} DO ALSO NOTHING"),
    ("policy:{t}.{n}", "policy_lost", "CREATE POLICY {n} ON {t}", "DROP POLICY {n} ON {t}"),
    ("policy:{t}.{n}", "policy_formula", "CREATE POLICY {n} ON {t} USING (a > 0)",
     "ALTER POLICY {n} ON {t} USING (a > 1)"),
    ("policy:{t}.{n}", "policy_check", "CREATE POLICY {n} ON {t} WITH CHECK (a > 0)",
     "ALTER POLICY {n} ON {t} WITH CHECK (a > 1)"),
    ("policy:{t}.{n}", "policy_strict", "CREATE POLICY {n} ON {t}",
     "DROP POLICY {n} ON {t}; CREATE POLICY {n} ON {t} AS RESTRICTIVE"),
    ("routine:{n}(a integer)", "function_lost", _FUNCTION, "DROP FUNCTION {n}"),
    ("routine:{n}(a integer)", "function_body", _FUNCTION, _FUNCTION.replace("1", "2")),
    ("routine:{n}(a integer)", "function_space", _FUNCTION, _FUNCTION.replace("SELECT", "SELECT ")),
    ("routine:{n}(a integer)", "function_stable", _FUNCTION, "ALTER FUNCTION {n} STABLE"),
    ("routine:{n}(a integer)", "function_strict", _FUNCTION, "ALTER FUNCTION {n} STRICT"),
    ("routine:{n}(a integer)", "function_definer", _FUNCTION, "ALTER FUNCTION {n} SECURITY DEFINER"),
    ("routine:{n}(a integer)", "function_parallel", _FUNCTION, "ALTER FUNCTION {n} PARALLEL SAFE"),
    ("routine:{n}(a integer)", "function_cost", _FUNCTION, "ALTER FUNCTION {n} COST 7"),
    ("routine:{n}(a integer)", "function_setting", _FUNCTION, "ALTER FUNCTION {n} SET work_mem = '1MB'"),
    ("routine:{n}(a integer)", "function_default", _FUNCTION, _FUNCTION.replace("a int", "a int DEFAULT 1")),
    ("routine:{n}()", "procedure_body", "CREATE PROCEDURE {n}() LANGUAGE sql AS 'SELECT 1'",
     "CREATE OR REPLACE PROCEDURE {n}() LANGUAGE sql AS 'SELECT 2'"),
    ("routine:{n}(integer)", "aggregate_start",
     "CREATE AGGREGATE {n}(int) (SFUNC = int4mul, STYPE = int, INITCOND = 1)",
     "CREATE OR REPLACE AGGREGATE {n}(int) (SFUNC = int4mul, STYPE = int, INITCOND = 2)"),
    ("routine:{n}(integer)", "aggregate_final", "CREATE AGGREGATE {n}(int) (SFUNC = int4mul, STYPE = int)",
     "CREATE OR REPLACE AGGREGATE {n}(int) (SFUNC = int4mul, STYPE = int, FINALFUNC = int4abs)"),
    ("routine:{n}(integer)", "aggregate_space", "CREATE AGGREGATE {n}(int) (SFUNC = int4mul, STYPE = int)",
     "CREATE OR REPLACE AGGREGATE {n}(int) (SFUNC = int4mul, STYPE = int, SSPACE = 99)"),
    ("type", "enum_added", "CREATE TYPE {n} AS ENUM ('a')", "ALTER TYPE {n} ADD VALUE 'b'"),
    ("type", "enum_renamed", "CREATE TYPE {n} AS ENUM ('a')", "ALTER TYPE {n} RENAME VALUE 'a' TO 'b'"),
    ("type", "enum_order", "CREATE TYPE {n} AS ENUM ('a', 'b')", "DROP TYPE {n}; CREATE TYPE {n} AS ENUM ('b', 'a')"),
    ("type", "pair_type", "CREATE TYPE {n} AS (a int)", "ALTER TYPE {n} ALTER ATTRIBUTE a TYPE bigint"),
    ("type", "pair_added", "CREATE TYPE {n} AS (a int)", "ALTER TYPE {n} ADD ATTRIBUTE b int"),
    ("type", "domain_default", "CREATE DOMAIN {n} AS int", "ALTER DOMAIN {n} SET DEFAULT 1"),
    ("type", "domain_null", "CREATE DOMAIN {n} AS int", "ALTER DOMAIN {n} SET NOT NULL"),
    ("constraint:{n}.ck", "domain_check", "CREATE DOMAIN {n} AS int",
     "ALTER DOMAIN {n} ADD CONSTRAINT ck CHECK (VALUE > 0)"),
    ("type", "range_of", "CREATE TYPE {n} AS RANGE (SUBTYPE = int)",
     "DROP TYPE {n}; CREATE TYPE {n} AS RANGE (SUBTYPE = bigint)"),
    ("type", "range_gap", "CREATE TYPE {n} AS RANGE (SUBTYPE = numeric)",
     "DROP TYPE {n}; CREATE TYPE {n} AS RANGE (SUBTYPE = numeric, SUBTYPE_DIFF = gap)"),
    ("sequence", "sequence_step", "CREATE SEQUENCE {n}", "ALTER SEQUENCE {n} INCREMENT 2"),
    ("sequence", "sequence_end", "CREATE SEQUENCE {n}", "ALTER SEQUENCE {n} MAXVALUE 99"),
    ("sequence", "sequence_cycle", "CREATE SEQUENCE {n}", "ALTER SEQUENCE {n} CYCLE"),
    ("sequence", "sequence_cache", "CREATE SEQUENCE {n}", "ALTER SEQUENCE {n} CACHE 7"),
    ("sequence", "sequence_type", "CREATE SEQUENCE {n} MAXVALUE 99", "ALTER SEQUENCE {n} AS int MAXVALUE 99"),
    ("sequence", "sequence_owner", "CREATE SEQUENCE {n}", "ALTER SEQUENCE {n} OWNED BY {t}.a"),
    ("statistics object", "statistics_lost", "CREATE STATISTICS {n} ON a, b FROM {t}", "DROP STATISTICS {n}"),
    ("statistics object", "statistics_kind", "CREATE STATISTICS {n} (mcv) ON a, b FROM {t}",
     "DROP STATISTICS {n}; CREATE STATISTICS {n} (ndistinct) ON a, b FROM {t}"),
    ("statistics object", "statistics_target", "CREATE STATISTICS {n} ON a, b FROM {t}",
     "ALTER STATISTICS {n} SET STATISTICS 7"),
    ("operator:<+>(integer, integer)", "operator_lost", _OPERATOR.format(o="+") + ")", "DROP OPERATOR <+> (int, int)"),
    ("operator:<->(integer, integer)", "operator_estimate", _OPERATOR.format(o="-") + ")",
     "ALTER OPERATOR <-> (int, int) SET (RESTRICT = scalarltsel)"),
    ("operator:<*>(integer, integer)", "operator_partner", _OPERATOR.format(o="*") + ", COMMUTATOR = <*>)",
     "DROP OPERATOR <*> (int, int); " + _OPERATOR.format(o="*") + ")"),
    ("operator family:{n} btree", "class_function",
     "CREATE OPERATOR CLASS {n} FOR TYPE int USING btree AS OPERATOR 1 <, FUNCTION 1 btint4cmp(int, int)",
     ("DROP OPERATOR FAMILY {n} USING btree; CREATE OPERATOR CLASS {n} FOR TYPE int USING btree AS OPERATOR 1 >, "
     "FUNCTION 1 btint4cmp(int, int)")),
    ("collation", "collation_locale", "CREATE COLLATION {n} (provider = icu, locale = 'de')",
     "DROP COLLATION {n}; CREATE COLLATION {n} (provider = icu, locale = 'fr')"),
    ("collation", "collation_strict", "CREATE COLLATION {n} (provider = icu, locale = 'de')",
     "DROP COLLATION {n}; CREATE COLLATION {n} (provider = icu, locale = 'de', deterministic = false)"),
    ("text search configuration", "search_map", "CREATE TEXT SEARCH CONFIGURATION {n} (COPY = simple)",
     "ALTER TEXT SEARCH CONFIGURATION {n} DROP MAPPING FOR word"),
    ("text search dictionary", "dictionary_option", "CREATE TEXT SEARCH DICTIONARY {n} (TEMPLATE = simple)",
     "ALTER TEXT SEARCH DICTIONARY {n} (Accept = false)"),
    ("text search dictionary", "dictionary_kind", "CREATE TEXT SEARCH DICTIONARY {n} (TEMPLATE = simple)",
     "DROP TEXT SEARCH DICTIONARY {n}; CREATE TEXT SEARCH DICTIONARY {n} (TEMPLATE = snowball, Language = german)"),
    ("text search parser", "parser_lost",
     ("CREATE TEXT SEARCH PARSER {n} (START = prsd_start, GETTOKEN = prsd_nexttoken, "
     "END = prsd_end, LEXTYPES = prsd_lextype)"), "DROP TEXT SEARCH PARSER {n}"),
    ("conversion", "conversion_lost", "CREATE CONVERSION {n} FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8",
     "DROP CONVERSION {n}"),
    ("=schema", "schema_added", "SELECT", "CREATE SCHEMA {n}"),
    ("=schema", "schema_lost", "CREATE SCHEMA {n}", "DROP SCHEMA {n}"),
    ("=event trigger", "watch_off", "CREATE EVENT TRIGGER {n} ON ddl_command_end EXECUTE FUNCTION watches()",
     "ALTER EVENT TRIGGER {n} DISABLE"),
    ("=event trigger", "watch_tags", "CREATE EVENT TRIGGER {n} ON ddl_command_end EXECUTE FUNCTION watches()",
     ("DROP EVENT TRIGGER {n}; CREATE EVENT TRIGGER {n} ON ddl_command_end WHEN TAG IN ('DROP TABLE') "
     "EXECUTE FUNCTION watches()")),
    ("=publication", "publication_kind", "CREATE PUBLICATION {n} FOR TABLE {t}",
     "ALTER PUBLICATION {n} SET (publish = 'insert')"),
    ("=publication", "publication_table", "CREATE PUBLICATION {n} FOR TABLE {t}",
     "ALTER PUBLICATION {n} DROP TABLE {t}"),
    ("=publication", "publication_columns", "CREATE PUBLICATION {n} FOR TABLE {t}",
     "ALTER PUBLICATION {n} SET TABLE {t} (a)"),
    ("=publication", "publication_rows", "CREATE PUBLICATION {n} FOR TABLE {t} WHERE (a > 0)",
     "ALTER PUBLICATION {n} SET TABLE {t} WHERE (a > 1)"),
    ("=publication", "publication_schema", "CREATE SCHEMA {n}_s; CREATE PUBLICATION {n} FOR TABLES IN SCHEMA {n}_s",
     "ALTER PUBLICATION {n} DROP TABLES IN SCHEMA {n}_s"),
    ("=language", "language_lost", "CREATE LANGUAGE {n} HANDLER handles", "DROP LANGUAGE {n}"),
    ("=access method", "method_lost", "CREATE ACCESS METHOD {n} TYPE TABLE HANDLER heap_tableam_handler",
     "DROP ACCESS METHOD {n}"),
    ("=transform:mood for sql", "transform_lost", ("CREATE TRANSFORM FOR mood LANGUAGE sql "
     "(FROM SQL WITH FUNCTION prsd_lextype(internal))"), "DROP TRANSFORM FOR mood LANGUAGE sql"),
    ("=foreign data wrapper", "wrapper_option", "CREATE FOREIGN DATA WRAPPER {n} OPTIONS (a '1')",
     "ALTER FOREIGN DATA WRAPPER {n} OPTIONS (SET a '2')"),
    ("=foreign server", "server_option",
     ("CREATE FOREIGN DATA WRAPPER {n}_w; CREATE SERVER {n} FOREIGN DATA WRAPPER {n}_w "
     "OPTIONS (a '1')"), "ALTER SERVER {n} OPTIONS (SET a '2')"),
    ("table", "far_option", ("CREATE FOREIGN DATA WRAPPER {n}_w; CREATE SERVER {n}_s FOREIGN DATA WRAPPER {n}_w; "
     "CREATE FOREIGN TABLE {n} (a int) SERVER {n}_s OPTIONS (a '1')"), "ALTER FOREIGN TABLE {n} OPTIONS (SET a '2')"),
    ("=cast:pair to integer", "cast_function", "CREATE CAST (pair AS int) WITH FUNCTION weighs(pair)",
     "DROP CAST (pair AS int); CREATE CAST (pair AS int) WITH FUNCTION weighs_too(pair)"),
)  # fmt: skip


def object_changes() -> Iterator[Change]:
    """One property of an object of any other kind."""
    for kind, name, make, change in _OBJECTS:
        what, _, other = kind.removeprefix("=").partition(":")
        where = "" if kind.startswith("=") else "public."
        table = [f"CREATE TABLE {name}_on (a int, b int)"] if "{t}" in make + change else []
        label = where + _filled(other or "{n}", name)
        if what in ("cast", "transform"):
            label = f"public.{label}"
        yield Change(
            name=name,
            make=(*table, *_filled(make, name).split("; ")),
            change=tuple(_filled(change, name).split("; ")),
            differing=((f"definition of {what}", label),),
        )
    for name, make, change in (
        ("sequence_value", "CREATE SEQUENCE {n}", "SELECT setval('{n}', 2)"),
        ("sequence_called", "CREATE SEQUENCE {n}", "SELECT setval('{n}', 1, true)"),
        ("sequence_back", "CREATE SEQUENCE {n}; SELECT setval('{n}', 9)", "SELECT setval('{n}', 8)"),
    ):
        yield Change(
            name=name,
            make=tuple(_filled(make, name).split("; ")),
            change=(_filled(change, name),),
            differing=(("sequence", f"public.{name}"),),
        )
    yield Change(
        name="large_object",
        make=("SELECT lo_from_bytea(4711, '\\x000102'), lo_from_bytea(4712, '\\x000102')",),
        change=("SELECT lo_put(4712, 2, '\\x03')",),
        differing=(("large objects", "database"),),
    )
    yield Change(
        name="comment_changed",
        make=("CREATE TABLE comment_changed (a int)", "COMMENT ON COLUMN comment_changed.a IS 'x'"),
        change=("COMMENT ON COLUMN comment_changed.a IS 'y'",),
        differing=(("comments", "database"),),
    )
    yield Change(
        name="extension_lost",
        make=("CREATE EXTENSION fuzzystrmatch",),
        change=("DROP EXTENSION fuzzystrmatch",),
        differing=(("definition of extension", "fuzzystrmatch"),),
    )


def _filled(text: str, name: str) -> str:
    return text.replace("{n}", name).replace("{t}", f"{name}_on")
