"""The log of pg_restore, classified."""

import pytest

from holdfast.api import HoldfastError
from holdfast_postgres.restore.restore_log import Classifier, Severity, classify


@pytest.mark.parametrize(
    ("command", "text", "expected"),
    [
        (
            "SET transaction_timeout = 0;",
            'unrecognized configuration parameter "transaction_timeout"',
            Severity.HARMLESS,
        ),
        ("CREATE SCHEMA public;", 'schema "public" already exists', Severity.HARMLESS),
        ("COMMENT ON EXTENSION hstore IS 'x';", "must be owner of extension hstore", Severity.HARMLESS),
        ("ALTER TABLE public.t OWNER TO x;", 'role "x" does not exist', Severity.DEGRADED),
        ("GRANT SELECT ON TABLE t TO x;", 'role "x" does not exist', Severity.DEGRADED),
        ("COMMENT ON TABLE t IS 'x';", "must be owner of table t", Severity.DEGRADED),
        ("CREATE PUBLICATION p FOR ALL TABLES;", "must be superuser to create FOR ALL TABLES", Severity.DEGRADED),
        ("CREATE TABLE public.t (", 'type "x" does not exist', Severity.FATAL),
        ("ALTER TABLE ONLY public.t", "could not create unique index", Severity.FATAL),
        ("REFRESH MATERIALIZED VIEW m;", "division by zero", Severity.DEGRADED),
        ("CREATE PUBLICATION p FOR TABLE t;", 'relation "t" does not exist', Severity.FATAL),
        ("", "missing data", Severity.FATAL),
    ],
)
def test_errors_are_classified_by_the_statement_that_failed(command: str, text: str, expected: Severity) -> None:
    assert classify(command, text) is expected


def test_the_classifier_names_the_object_and_raises_the_first_fatal_message() -> None:
    classifier = Classifier(action="cannot restore")
    for line in (
        "pg_restore: while PROCESSING TOC:",
        "pg_restore: from TOC entry 215; 1259 16389 TABLE t someone",
        'pg_restore: error: could not execute query: ERROR:  role "someone" does not exist',
        "Command was: ALTER TABLE public.t OWNER TO someone;",
        "",
    ):
        classifier.line(line)
    assert len(classifier.degraded) == 1
    assert "owner of table public.t: " in classifier.degraded[0]
    with pytest.raises(HoldfastError, match="COPY failed for table"):
        classifier.line('pg_restore: error: COPY failed for table "t": ERROR:  invalid byte')
    classifier.line("pg_restore: error: could not execute query: ERROR:  syntax error")
    with pytest.raises(HoldfastError, match="syntax error"):
        classifier.end()


@pytest.mark.parametrize(
    "starts",
    [
        ("pg_restore: error: pg_restore:", " error: "),
        ("pg_restore:pg_restore:  error: ", "error: "),
        ("pg_restore: pg_restore: error: error: ", ""),
    ],
)
def test_workers_that_speak_at_once_are_understood(starts: tuple[str, str]) -> None:
    classifier = Classifier(action="cannot restore")
    for start in starts:
        classifier.line(
            f'{start}could not execute query: ERROR:  unrecognized configuration parameter "transaction_timeout"'
        )
        classifier.line("Command was: SET transaction_timeout = 0;")
    classifier.line("pg_restore: warning: errors ignored on restore: 2")
    assert not classifier.degraded
    assert len(classifier.harmless) == 2
    classifier.line(f"{starts[1]}could not execute query: ERROR:  out of memory")
    with pytest.raises(HoldfastError, match="out of memory"):
        classifier.end()
