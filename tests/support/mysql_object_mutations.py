"""Changes of views, triggers, routines, events and sequences of a MySQL or MariaDB database."""

from collections.abc import Iterator

from support.mutations import Change

_EVENT = "CREATE EVENT {n} ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00'"
_TRIGGER = "CREATE TRIGGER {n} BEFORE INSERT ON {t} FOR EACH ROW SET @a = 1"
# Views, triggers, routines, events and sequences: what makes one named {n} (triggers on a table {t}), and what changes
# it. Where a trigger fires at another time, that one is named which now comes behind another.
_OBJECTS: tuple[tuple[str, str, str, str, str], ...] = (
    ("view", "view_lost", "CREATE VIEW {n} AS SELECT 1 AS a", "DROP VIEW {n}", ""),
    ("view", "view_added", "DO 0", "CREATE VIEW {n} AS SELECT 1 AS a", ""),
    ("view", "view_value", "CREATE VIEW {n} AS SELECT 1 AS a", "CREATE OR REPLACE VIEW {n} AS SELECT 2 AS a", ""),
    ("view", "view_text", "CREATE VIEW {n} AS SELECT 'a b' AS a", "CREATE OR REPLACE VIEW {n} AS SELECT 'a  b' AS a",
     ""),
    ("view", "view_column", "CREATE VIEW {n} AS SELECT 1 AS a", "CREATE OR REPLACE VIEW {n} AS SELECT 1 AS b", ""),
    ("view", "view_definer", "CREATE DEFINER = root@localhost VIEW {n} AS SELECT 1 AS a",
     "CREATE OR REPLACE DEFINER = ghost@`%` VIEW {n} AS SELECT 1 AS a", ""),
    ("view", "view_security", "CREATE SQL SECURITY DEFINER VIEW {n} AS SELECT 1 AS a",
     "CREATE OR REPLACE SQL SECURITY INVOKER VIEW {n} AS SELECT 1 AS a", ""),
    ("view", "view_algorithm", "CREATE ALGORITHM = MERGE VIEW {n} AS SELECT a FROM {t}",
     "CREATE OR REPLACE ALGORITHM = TEMPTABLE VIEW {n} AS SELECT a FROM {t}", ""),
    ("view", "view_option", "CREATE VIEW {n} AS SELECT a FROM {t} WHERE a > 0 WITH LOCAL CHECK OPTION",
     "CREATE OR REPLACE VIEW {n} AS SELECT a FROM {t} WHERE a > 0", ""),
    ("trigger", "trigger_lost", _TRIGGER, "DROP TRIGGER {n}", ""),
    ("trigger", "trigger_added", "DO 0", _TRIGGER, ""),
    ("trigger", "trigger_body", _TRIGGER, "DROP TRIGGER {n}; " + _TRIGGER.replace("@a = 1", "@a = 2"), ""),
    ("trigger", "trigger_space", _TRIGGER.replace("1", "'a b'"), "DROP TRIGGER {n}; " + _TRIGGER.replace("1", "'a  b'"),
     ""),
    ("trigger", "trigger_time", _TRIGGER, "DROP TRIGGER {n}; " + _TRIGGER.replace("BEFORE", "AFTER"), ""),
    ("trigger", "trigger_event", _TRIGGER, "DROP TRIGGER {n}; " + _TRIGGER.replace("INSERT", "DELETE"), ""),
    ("trigger", "trigger_definer", _TRIGGER.replace("TRIGGER", "DEFINER = root@localhost TRIGGER"),
     "DROP TRIGGER {n}; " + _TRIGGER.replace("TRIGGER", "DEFINER = ghost@`%` TRIGGER"), ""),
    ("trigger", "trigger_mode", _TRIGGER, "DROP TRIGGER {n}; SET sql_mode = 'STRICT_ALL_TABLES'; " + _TRIGGER, ""),
    ("procedure", "procedure_lost", "CREATE PROCEDURE {n}() SELECT 1", "DROP PROCEDURE {n}", ""),
    ("procedure", "procedure_added", "DO 0", "CREATE PROCEDURE {n}() SELECT 1", ""),
    ("procedure", "procedure_body", "CREATE PROCEDURE {n}() SELECT 1",
     "DROP PROCEDURE {n}; CREATE PROCEDURE {n}() SELECT 2", ""),
    ("procedure", "procedure_remark", "CREATE PROCEDURE {n}() BEGIN /* x */ SELECT 1#, END",
     "DROP PROCEDURE {n}; CREATE PROCEDURE {n}() BEGIN /* y */ SELECT 1#, END", ""),
    ("procedure", "procedure_way", "CREATE PROCEDURE {n}(IN a INT) SELECT a",
     "DROP PROCEDURE {n}; CREATE PROCEDURE {n}(INOUT a INT) SELECT a", ""),
    ("procedure", "procedure_comment", "CREATE PROCEDURE {n}() COMMENT 'x' SELECT 1",
     "ALTER PROCEDURE {n} COMMENT 'y'", ""),
    ("procedure", "procedure_security", "CREATE PROCEDURE {n}() SELECT 1", "ALTER PROCEDURE {n} SQL SECURITY INVOKER",
     ""),
    ("procedure", "procedure_data", "CREATE PROCEDURE {n}() SELECT 1", "ALTER PROCEDURE {n} READS SQL DATA", ""),
    ("procedure", "procedure_mode", "CREATE PROCEDURE {n}() SELECT 1",
     "DROP PROCEDURE {n}; SET sql_mode = 'ANSI_QUOTES'; CREATE PROCEDURE {n}() SELECT 1", ""),
    ("procedure", "procedure_client", "CREATE PROCEDURE {n}() SELECT 1",
     "DROP PROCEDURE {n}; SET NAMES latin1; CREATE PROCEDURE {n}() SELECT 1", ""),
    ("function", "function_lost", "CREATE FUNCTION {n}() RETURNS INT NO SQL RETURN 1", "DROP FUNCTION {n}", ""),
    ("function", "function_body", "CREATE FUNCTION {n}() RETURNS INT NO SQL RETURN 1",
     "DROP FUNCTION {n}; CREATE FUNCTION {n}() RETURNS INT NO SQL RETURN 2", ""),
    ("function", "function_type", "CREATE FUNCTION {n}() RETURNS INT NO SQL RETURN 1",
     "DROP FUNCTION {n}; CREATE FUNCTION {n}() RETURNS BIGINT NO SQL RETURN 1", ""),
    ("function", "function_certain", "CREATE FUNCTION {n}() RETURNS INT NO SQL RETURN 1",
     "DROP FUNCTION {n}; CREATE FUNCTION {n}() RETURNS INT NO SQL DETERMINISTIC RETURN 1", ""),
    ("function", "function_definer", "CREATE DEFINER = root@localhost FUNCTION {n}() RETURNS INT NO SQL RETURN 1",
     "DROP FUNCTION {n}; CREATE DEFINER = ghost@`%` FUNCTION {n}() RETURNS INT NO SQL RETURN 1", ""),
    ("package", "package_changed", "SET sql_mode = 'ORACLE'; CREATE PACKAGE {n} AS PROCEDURE p#, END",
     "SET sql_mode = 'ORACLE'; CREATE OR REPLACE PACKAGE {n} AS PROCEDURE p#, PROCEDURE q#, END", "mariadb"),
    ("event", "event_lost", _EVENT + " DO SELECT 1", "DROP EVENT {n}", ""),
    ("event", "event_body", _EVENT + " DO SELECT 1", "ALTER EVENT {n} DO SELECT 2", ""),
    ("event", "event_time", _EVENT + " DO SELECT 1", "ALTER EVENT {n} ON SCHEDULE EVERY 2 DAY", ""),
    ("event", "event_start", _EVENT + " DO SELECT 1", "DROP EVENT {n}; " + _EVENT.replace("01-01", "01-02")
     + " DO SELECT 1", ""),
    ("event", "event_kept", _EVENT + " DO SELECT 1", "ALTER EVENT {n} ON COMPLETION PRESERVE", ""),
    ("event", "event_comment", _EVENT + " COMMENT 'x' DO SELECT 1", "ALTER EVENT {n} COMMENT 'y'", ""),
    ("event", "event_zone", _EVENT + " DO SELECT 1",
     "DROP EVENT {n}; SET time_zone = '+03:00'; " + _EVENT.replace("00:00:00", "03:00:00") + " DO SELECT 1", ""),
    ("sequence state", "sequence_value", "CREATE SEQUENCE {n} NOCACHE", "DO nextval({n})", "mariadb"),
    ("sequence state", "sequence_round", "CREATE SEQUENCE {n} MAXVALUE 2 CYCLE NOCACHE; DO nextval({n}), nextval({n})",
     "DO nextval({n})", "mariadb"),
)  # fmt: skip


def object_changes() -> Iterator[Change]:
    """A change of one object each, or of the order of triggers, or of the database itself."""
    for kind, name, make, change, only in _OBJECTS:
        text, other = make.replace("{t}", f"{name}_on"), change.replace("{t}", f"{name}_on")
        table = [f"CREATE TABLE {name}_on (a INT)"] if f"{name}_on" in text + other else []
        yield Change(
            name=name,
            make=(*table, *_statements(text, name)),
            change=tuple(_statements(other, name)),
            differing=((kind, name),),
            only=only,
        )
    trigger = "CREATE TRIGGER {} BEFORE INSERT ON order_of_triggers FOR EACH ROW SET @a = 1"
    yield Change(
        name="order_of_triggers",
        make=("CREATE TABLE order_of_triggers (a INT)", trigger.format("order_a"), trigger.format("order_b")),
        change=("DROP TRIGGER order_a", trigger.format("order_a")),
        differing=(("trigger", "order_a"), ("trigger", "order_b")),
    )
    yield Change(
        name="database_collation",
        make=(),
        change=("ALTER DATABASE COLLATE utf8mb4_bin",),
        differing=(("database", "defaults"),),
    )
    for name, option in (
        ("sequence_step", "INCREMENT 2"),
        ("sequence_end", "MAXVALUE 99"),
        ("sequence_cycle", "CYCLE"),
        ("sequence_cache", "CACHE 7"),
    ):
        yield Change(
            name=name,
            make=(f"CREATE SEQUENCE {name} NOCACHE",),
            change=(f"ALTER SEQUENCE {name} {option}",),
            differing=(("sequence", name), ("sequence state", name)),
            only="mariadb",
        )
    differing = (("sequence", "sequence_lost"), ("sequence state", "sequence_lost"))
    yield Change(
        name="sequence_lost",
        make=("CREATE SEQUENCE sequence_lost",),
        change=("DROP SEQUENCE sequence_lost",),
        differing=differing,
        only="mariadb",
    )


def _statements(text: str, name: str) -> list[str]:
    """The statements of a text, divided by `; `; `#,` and `;` at the end stand for semicolons inside of one."""
    return [part.replace("{n}", name).replace("#,", ";") for part in text.split("; ")]
