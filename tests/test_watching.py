"""Metrics as files, and as what Prometheus makes of them."""

import errno
import json
import os
import re
import stat
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

from support.commandline import PLAIN_USER, Shell
from support.many_backups import entry, write_store
from support.refused_calls import refusing
from support.snippets import snippets

import holdfast

PAGE = (Path(__file__).parent.parent / "docs/watching.md").read_text()
RULES = next(block.body for block in snippets(PAGE) if block.body.startswith("groups:"))
OF_APP = {"name": "app", "engine": "sqlite", "store": "/srv/backups"}
HOUR = 3600


def test_a_file_of_metrics_is_whole_and_readable_by_all_and_stays_where_a_store_cannot_be_read(kept: Shell) -> None:
    """Whatever the umask is: the collector is another user, and has no other way to read it."""
    file = kept.folder / "holdfast.prom"
    before = os.umask(0o077)
    try:
        kept.run("metrics", "--older-than", "26h", "--output", "holdfast.prom")
    finally:
        os.umask(before)
    text = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert text.endswith("\n")
    assert 'holdfast_job_max_age_seconds{name="app",engine="sqlite"' in text
    strip = re.compile(r"^(holdfast_store_read\w+\{.*\}) .*$", re.MULTILINE)
    assert strip.sub(r"\1", kept.run("metrics", "--older-than", "26h").stdout) == strip.sub(r"\1", text)
    for stores, code in ((["missing"], 10), (["backups", "missing"], 10), (["backups", "backups"], 2)):
        words = [word for store in stores for word in ("--store", store)]
        kept.fails(code, "metrics", *words, "--output", "holdfast.prom")
        assert kept.run("metrics", *words, code=code).stdout == ""
    assert file.read_text() == text
    assert sorted(path.name for path in kept.folder.iterdir()) == ["app.db", "backups", "holdfast.prom", "scratch"]


def test_a_file_that_cannot_be_replaced_is_said_so_and_a_link_is_followed(kept: Shell) -> None:
    (kept.folder / "real").mkdir()
    (kept.folder / "real/x.prom").write_text("old")
    (kept.folder / "x.prom").symlink_to("real/x.prom")
    kept.run("metrics", "--output", "x.prom")
    assert (kept.folder / "x.prom").is_symlink()
    assert (kept.folder / "real/x.prom").read_text().startswith("# HELP holdfast_")
    os.mkfifo(kept.folder / "pipe")
    for name, kind in (("real", "a folder"), ("pipe", "a named pipe"), ("/dev/null", "a device")):
        assert kept.fails(2, "metrics", "--output", name).error == f"{name} is {kind}, expected the name of a file"
    assert kept.fails(1, "metrics", "--output", "no/x.prom").error.startswith("cannot write no/x.prom: ")
    os.chmod(kept.folder / "real", 0o555)
    closed = Shell(folder=kept.folder, under=PLAIN_USER)
    assert "permission denied" in closed.fails(1, "metrics", "--output", "real/x.prom").error
    os.chmod(kept.folder / "real", 0o755)
    assert [path.name for path in (kept.folder / "real").iterdir()] == ["x.prom"]


def test_a_file_is_written_where_modes_cannot_be_set_and_stays_as_it_was_where_nothing_can_be_renamed(
    kept: Shell,
) -> None:
    """As on CIFS and exFAT, and for a file that a container has mounted by itself."""
    for name in ("x.prom", "x.html"):
        (kept.folder / name).write_text("old")
        command = ("metrics", "--output", name) if name == "x.prom" else ("report", name)
        mounted = replace(kept, under=refusing(errno.EBUSY, "rename", "renameat", "renameat2"))
        ran = mounted.fails(1, *command)
        assert "busy" in ran.error
        assert "mount its folder" in ran.hint
        assert (kept.folder / name).read_text() == "old"
        poor = replace(kept, under=refusing(errno.EPERM, "chmod", "fchmod", "fchmodat", "fsync"))
        ran = poor.run(*command)
        assert f"others may be unable to read {name}: its mode cannot be set" in ran.stderr
        assert (kept.folder / name).read_text() != "old"
    assert [path.name for path in kept.folder.iterdir() if path.name.startswith(".")] == []


def test_the_store_of_the_environment_is_told_of_also_with_a_space_in_its_path(kept: Shell) -> None:
    (kept.folder / "backups").rename(kept.folder / "my backups")
    assert "/my backups" in kept.run("metrics", env={"HOLDFAST_STORE": str(kept.folder / "my backups")}).stdout


# --- what Prometheus makes of them ---


def test_prometheus_has_nothing_to_say_against_the_text(tmp_path: Path) -> None:
    hostile = 'e"x\\y\nz\r\x00\x1b[31m{}'
    store = write_store(tmp_path / 'a "store"\\\n{}', [entry(engine=hostile), entry("other", state="damaged")])
    text = holdfast.metrics(store, older_than="26h", unproven_for="8d")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def series(metric: str, value: float, labels: dict[str, str], hours: int = 60, ends: int | None = None) -> Any:
    """A metric with the same value every hour, until it is gone."""
    written = ",".join(f'{key}="{text}"' for key, text in labels.items())
    values = f"{value}+0x{ends or hours}" + (f" _x{hours - ends}" if ends else "")
    return {"series": f"holdfast_{metric}{{{written}}}", "values": values}


def store(read: str = "0+3600x60", **values: float) -> list[Any]:
    """What is told of a source that was backed up and proven at the 20th hour, and read every hour until the end."""
    told = {
        "backup_last_success_timestamp_seconds": 20 * HOUR,
        "backup_last_proven_timestamp_seconds": 20 * HOUR,
        "backup_ahead_seconds": 0,
        "job_max_age_seconds": 26 * HOUR,
        "job_max_unproven_seconds": 8 * 24 * HOUR,
        **values,
    }
    damaged = told.pop("damaged", 0)
    return [
        *(series(metric, value, OF_APP) for metric, value in told.items()),
        series("backups", damaged, {**OF_APP, "state": "damaged"}),
        {"series": 'holdfast_store_read_timestamp_seconds{store="/srv/backups"}', "values": read},
    ]


def gone() -> list[Any]:
    """The same where the source is there for 30 hours, and the store is read on."""
    told = [each for each in store() if "last_success" not in each["series"]]
    return [*told, series("backup_last_success_timestamp_seconds", 20 * HOUR, OF_APP, ends=30)]


CASES: dict[str, tuple[list[Any], str, dict[str, dict[str, str]]]] = {
    "all is well": (store(), "40h", {}),
    "a backup is a little late": (store(), "46h", {}),
    "no backup for longer than that": (store(), "48h", {"HoldfastBackupOverdue": OF_APP}),
    "never backed up": (store(backup_last_success_timestamp_seconds=0), "28h", {"HoldfastBackupOverdue": OF_APP}),
    "not proven": (store(job_max_unproven_seconds=24 * HOUR), "46h", {"HoldfastNotProven": OF_APP}),
    "damaged": (store(damaged=2), "40h", {"HoldfastBackupDamaged": {**OF_APP, "state": "damaged"}}),
    "the store is not read": (
        store(read="0+3600x20 72000+0x40"),
        "25h",
        {"HoldfastStoreNotRead": {"store": "/srv/backups"}},
    ),
    "nobody tells anything": ([], "1h", {"HoldfastStoreNotRead": {}}),
    "a source is gone": (gone(), "40h", {"HoldfastSourceGone": OF_APP}),
    "a backup of tomorrow": (store(backup_ahead_seconds=86400), "40h", {"HoldfastClockAhead": OF_APP}),
    "the host that looks is ahead": (
        store(read="900+3600x60"),
        "40h",
        {"HoldfastClockAhead": {"store": "/srv/backups"}},
    ),
}
ALERTS = re.findall(r"- alert: (\w+)", RULES)


def expected(alert: str, labels: dict[str, str]) -> dict[str, Any]:
    """An alert as its rule writes it."""
    rule = RULES.partition(f"alert: {alert}\n")[2].partition("- alert:")[0]
    (severity,) = re.findall(r"severity: (\w+)", rule)
    (summary,) = re.findall(r'summary: "(.*)"', rule)
    text = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda match: labels.get(match[1], ""), summary)
    return {"exp_labels": {**labels, "severity": severity}, "exp_annotations": {"summary": text}}


def try_rules(rules: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Let promtool try all alerts in all cases: those that are expected fire, and no other."""
    tests = [
        {
            "name": case,
            "interval": "1h",
            "input_series": told,
            "alert_rule_test": [
                {
                    "eval_time": time,
                    "alertname": alert,
                    "exp_alerts": [expected(alert, firing[alert])] if alert in firing else [],
                }
                for alert in ALERTS
            ],
        }
        for case, (told, time, firing) in CASES.items()
    ]
    (folder / "holdfast.rules.yml").write_text(rules)
    (folder / "tests.yml").write_text(
        json.dumps({"rule_files": ["holdfast.rules.yml"], "evaluation_interval": "1h", "tests": tests})
    )
    command = ["promtool", "test", "rules", "tests.yml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_each_alert_of_the_page_fires_when_it_should_and_at_no_other_time(tmp_path: Path) -> None:
    assert {alert for _, _, firing in CASES.values() for alert in firing} == set(ALERTS)
    done = try_rules(RULES, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_rule_that_is_wrong_is_noticed(tmp_path: Path) -> None:
    wrong = RULES.replace("seconds > holdfast_job_max_age", "seconds < holdfast_job_max_age")
    assert wrong != RULES
    assert try_rules(wrong, tmp_path).returncode == 1


def test_every_metric_that_is_told_or_alerted_on_is_documented(tmp_path: Path) -> None:
    """And none is alerted on that is never told: such an alert would never fire."""
    text = holdfast.metrics(write_store(tmp_path / "store", [entry()]), older_than="26h", unproven_for="8d")
    told = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    table = set(re.findall(r"`(holdfast_\w+)`", "".join(line for line in PAGE.splitlines() if line.startswith("| `"))))
    assert table == told
    assert set(re.findall(r"holdfast_\w+", RULES)) <= told
