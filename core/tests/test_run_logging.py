"""Logs tell of a run and never end it."""

import logging
import sqlite3
from pathlib import Path

import pytest

import holdfast
from holdfast.cli import run


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    connection = sqlite3.connect("app.db")
    connection.execute("CREATE TABLE t(a)")
    connection.commit()
    connection.close()
    return "sqlite:///app.db"


@pytest.mark.parametrize("switches", [["-v"], ["-vv"], ["--log-format", "json"]])
def test_a_run_that_is_logged_succeeds(database: str, switches: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """The record of a finished run has a `name`, which a log record has already."""
    assert run([*switches, "backup", database]) == 0
    assert run([*switches, "verify", "latest"]) == 0
    assert run([*switches, "restore", "latest", "sqlite:///copy.db"]) == 0
    assert "finished" in capfd.readouterr().err


def test_log_records_carry_the_source_name_and_the_id(database: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="holdfast"):
        record = holdfast.backup(database)
    finished = next(record for record in caplog.records if getattr(record, "event", "") == "finished")
    fields = vars(finished)
    assert (fields["source_name"], fields["id"], fields["stored_bytes"]) == ("app", record.id, record.stored_bytes)


def test_without_a_command_the_help_is_shown_as_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    output = capfd.readouterr()
    assert "\nCommands:\n  backup " in output.out
    assert output.err == ""
