"""Logs: one JSON object a line with --log-format json, text with -v, and only messages otherwise."""

import json
import logging
import re
from typing import Any

import pytest
from support.commandline import Shell

import holdfast
from holdfast.cli.log_format import TextLines

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def records(stderr: str) -> list[dict[str, Any]]:
    """The lines of stderr, each of which must be one JSON object with the fields of every record."""
    lines = [json.loads(line) for line in stderr.splitlines()]
    for record in lines:
        assert MOMENT.fullmatch(record["time"])
        assert record["level"] in ("debug", "info", "warning", "error")
        assert record["logger"].split(".")[0] == "holdfast"
        assert record["message"]
    return lines


@pytest.mark.parametrize("place", ["before", "after", "variable"])
def test_a_run_logs_its_events_with_its_id(shell: Shell, place: str) -> None:
    option = ["--log-format", "json"]
    env = {"HOLDFAST_LOG_FORMAT": "json"} if place == "variable" else {}
    before, after = (option if place == side else [] for side in ("before", "after"))
    ran = shell.run(*before, "backup", "sqlite:///app.db", *after, env=env)
    backup_id = ran.stdout.strip()
    run = [record for record in records(ran.stderr) if record.get("operation") == "backup"]
    assert {record["id"] for record in run} == {backup_id}
    assert [record["event"] for record in run] == ["started", "stream", "finished"]
    assert {record["source_name"] for record in run} == {"app"}
    finished = run[-1]
    assert finished["size_bytes"] == finished["bytes_done"] == (shell.folder / "app.db").stat().st_size
    assert finished["state"] == "complete"


@pytest.mark.parametrize("command", [["verify"], ["restore", "latest", "sqlite:///copy.db"]])
def test_verify_and_restore_log_the_same_way(kept: Shell, ids: list[str], command: list[str]) -> None:
    ran = kept.run("--log-format", "json", *command)
    ends = [record for record in records(ran.stderr) if record.get("event") == "finished"]
    assert [record["id"] for record in ends][-1] == ids[1]
    assert ends[-1]["operation"] == command[0]


def test_an_error_is_a_record_with_hint_and_exit_code(shell: Shell) -> None:
    ran = shell.run("--log-format", "json", "backup", "sqlite:///app.db", "--codec", "zstd:99", code=2)
    (record,) = records(ran.stderr)
    assert record["level"] == "error"
    assert record["exit_code"] == 2
    assert "level" in record["message"]


def test_an_error_of_a_run_is_logged_with_its_id(kept: Shell, ids: list[str]) -> None:
    (kept.store / "app" / ids[1] / "database.sqlite.zst").write_bytes(b"x" * 5)
    ran = kept.run("--log-format", "json", "verify", ids[1], code=13)
    assert records(ran.stderr)[-1]["exit_code"] == 13
    assert records(ran.stderr)[-1]["id"] == ids[1]


def test_debug_records_are_json_as_well_and_quiet_leaves_only_errors(shell: Shell) -> None:
    loud = records(shell.run("-v", "-v", "--log-format", "json", "backup", "sqlite:///app.db").stderr)
    assert any(record["level"] == "debug" for record in loud)
    assert shell.run("-q", "--log-format", "json", "backup", "sqlite:///app.db").stderr == ""


def test_a_traceback_in_json_logs_is_one_line(shell: Shell) -> None:
    ran = shell.run("-v", "--log-format", "json", "backup", "sqlite:///missing.db", code=15)
    assert records(ran.stderr)[-1]["message"] == "database missing.db does not exist"
    assert records(ran.stderr)[-1]["exception"].startswith("Traceback")


def test_json_output_and_json_logs_go_to_their_own_streams(shell: Shell) -> None:
    ran = shell.run("--log-format", "json", "backup", "sqlite:///app.db", "--json")
    assert ran.last["type"] == "backup"
    assert records(ran.stderr)[-1]["event"] == "finished"


@pytest.mark.parametrize("option", ["-v", "-vv"])
@pytest.mark.parametrize(
    "command", [["backup", "sqlite:///app.db"], ["verify"], ["restore", "latest", "sqlite:///copy.db"], ["list"]]
)
def test_verbose_text_logs_do_not_change_what_a_command_does(kept: Shell, command: list[str], option: str) -> None:
    ran = kept.run(option, *command)
    assert "Traceback" not in ran.stderr
    if command[0] != "list":
        assert re.search(r"^INFO holdfast\.run: ", ran.stderr, re.MULTILINE)


def test_a_warning_that_is_logged_looks_like_any_other() -> None:
    record = logging.makeLogRecord({"name": "holdfast.mysql", "levelno": logging.WARNING, "msg": "events do not run"})
    assert TextLines(traces=False).format(record) == "warning: events do not run"


def test_a_program_gets_records_with_fields_from_standard_logging(
    shell: Shell, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="holdfast"):
        record = holdfast.backup(f"sqlite:///{shell.folder}/app.db", store=str(shell.store))
    finished = [entry for entry in caplog.records if getattr(entry, "event", "") == "finished"]
    assert [vars(entry)["id"] for entry in finished] == [record.id]
    assert vars(finished[0])["operation"] == "backup"
