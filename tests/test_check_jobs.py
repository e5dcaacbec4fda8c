"""`holdfast check` of databases and jobs: what a run would need is looked at, and nothing is changed."""

import json
from typing import Any

import pytest
from support.commandline import Shell
from support.servers.postgres import PostgresServer, postgres_server
from support.sqlite_files import listing

__all__ = ["postgres_server"]

SECRET = "hunter2secret"


def check(shell: Shell, text: str, *words: str, code: int = 0, config: bool = True) -> dict[str, Any]:
    (shell.folder / "holdfast.toml").write_text(text)
    named = ["--config", "holdfast.toml"] if config else []
    ran = shell.run("check", "--json", *named, *words, code=code)
    assert SECRET not in ran.stdout + ran.stderr
    return dict(json.loads(ran.stdout.splitlines()[0]))


def states(data: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["state"] for each in data["requirements"]}


def test_a_job_is_checked_with_all_that_it_needs_and_nothing_is_made(shell: Shell) -> None:
    shell.run("backup", "sqlite:///app.db")
    text = (
        '[defaults]\ncopy = ["./other"]\ndrill.every = "7d"\n[job.app]\nsource = "sqlite:///app.db"\n'
        f'store = "{shell.store}"\nhooks = {{before = [["true"]], after = [["sh", "-c", "exit 1"]]}}\n'
        "ping = {env = 'PATH'}\n"
    )
    before = listing(shell.folder)
    data = check(shell, text, "app")
    assert {**listing(shell.folder), "holdfast.toml": b""} == {**before, "holdfast.toml": b""}
    assert not (shell.folder / "other").exists()
    assert (data["job"], data["failure"]) == ("app", None)
    assert states(data) == {"hooks": "ok", "ping": "warning", "store": "ok"}
    (database,) = data["databases"]
    assert database["source"] == "sqlite:///app.db"
    assert states(database) == {"plugins": "ok", "file": "ok", "space": "ok"}
    assert states(data["drill"]) == {"space": "ok"}
    assert [store["location"] for store in data["stores"]] == [str(shell.store)]
    text_form = shell.run("check", "--config", "holdfast.toml", "app").stdout
    assert "job app" in text_form
    assert "app: sqlite:///app.db" in text_form


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ('hooks = {before = [["./nonesuch"]]}', "hooks"),
        ('hooks = {finally = [["holdfast-nonesuch"]]}', "hooks"),
        ('password_command = ["false"]', "password"),
        ('password_file = "nowhere"', "password"),
        ('store = "./app.db"', "store"),
        ("backup.create = false", "store"),
    ],
)
def test_what_a_job_lacks_is_said_and_exits_as_a_run_does(shell: Shell, lines: str, name: str) -> None:
    data = check(shell, f'[job.app]\nsource = "sqlite:///app.db"\n{lines}\n', "app", code=3)
    assert states(data)[name] == "failed"
    ran = shell.run("run", "--config", "holdfast.toml", "app", "--json", code=3)
    codes = [line["exit_code"] for line in ran.lines if line["type"] in ("job", "database") and line["exit_code"]]
    assert [data["failure"]["exit_code"]] == codes


def test_one_that_is_not_trusted_runs_nothing(shell: Shell) -> None:
    text = (
        '[job.app]\nsource = "sqlite:///app.db"\npassword_command = ["touch", "ran"]\nping.command = ["touch", "ran"]\n'
    )
    data = check(shell, text, "app", code=3, config=False)
    assert states(data)["trust"] == "failed"
    assert data["failure"]["exit_code"] == 16
    assert not (shell.folder / "ran").exists()


@pytest.mark.parametrize(
    ("url", "state"),
    [
        (f"https://ping.example/{SECRET}", "ok"),
        (f"ping.example/{SECRET}", "warning"),
        (f"http://:x/{SECRET}", "warning"),
    ],
)
def test_a_ping_is_looked_at_and_not_called(shell: Shell, url: str, state: str) -> None:
    (shell.folder / "ping").write_text(url)
    data = check(shell, '[job.app]\nsource = "sqlite:///app.db"\nping.file = "ping"\n', "app")
    assert states(data)["ping"] == state


def test_every_database_of_a_server_is_checked_with_the_password_of_the_job(
    shell: Shell, postgres_server: PostgresServer
) -> None:
    """Of two databases the role may read one."""
    with postgres_server.database() as first, postgres_server.database() as second:
        role = f"checker_{first}"
        postgres_server.execute("postgres", f"CREATE ROLE {role} LOGIN PASSWORD '{SECRET}' IN ROLE guarded")
        for name in (first, second):
            postgres_server.execute(name, "CREATE TABLE t (a int)")
        postgres_server.execute(first, f"GRANT SELECT ON t TO {role}")
        (shell.folder / "password").write_text(f"{SECRET}\n")
        text = (
            f'[job.all]\nsource = "{postgres_server.url("", role)}"\ndatabases = ["{first}", "{second}"]\n'
            f'password_file = "{shell.folder}/password"\ndrill = {{every = "7d", into = "{postgres_server.url("")}"}}\n'
        )
        try:
            data = check(shell, text, "all", code=3)
        finally:
            postgres_server.execute(first, f"DROP OWNED BY {role}")
            postgres_server.execute("postgres", f"DROP ROLE {role}")
    assert states(data)["password"] == "ok"
    rights = {each["source"].rpartition("/")[2].partition("?")[0]: states(each)["rights"] for each in data["databases"]}
    assert rights == {first: "ok", second: "failed"}
    (bad,) = [each for item in data["databases"] for each in item["requirements"] if each["state"] == "failed"]
    assert bad["remedy"] == f'GRANT SELECT ON TABLE "public"."t" TO "{role}";'
    assert states(data["drill"])["scratch"] == "ok"


def test_names_are_jobs_urls_and_stores(shell: Shell) -> None:
    shell.run("backup", "sqlite:///app.db")
    (shell.folder / "holdfast.toml").write_text(f'[job.app]\nsource = "sqlite:///app.db"\nstore = "{shell.store}"\n')
    ran = shell.run("check", "app", "sqlite:///app.db", str(shell.store), "--json")
    assert sorted(line["type"] for line in ran.lines) == ["job", "source", "store"]
    assert len(shell.run("check", "--all", "--json").lines) == 1
    shell.fails(10, "check", "nonesuch")
    assert "did you mean" in shell.fails(2, "check", "apq", "--config", "holdfast.toml").error
    shell.fails(2, "check", "--all", "app")
    shell.fails(10, "check", "--all", "--config", "nowhere.toml")
    (shell.folder / "holdfast.toml").write_text("what")
    assert "location" in shell.run("check", shell.store.name, "--json").last
    shell.fails(2, "check", "app")


def test_a_database_and_the_server_of_its_drills(shell: Shell) -> None:
    assert "sqlite" in shell.run("check", "sqlite:///app.db").stdout
    shell.fails(15, "check", "sqlite:///nowhere.db")
    shell.fails(2, "check", "--drill-into", "sqlite:///x")
    ran = shell.run("check", "sqlite:///app.db", "sqlite:///nowhere.db", code=3)
    assert "nowhere.db does not exist" in ran.stderr
