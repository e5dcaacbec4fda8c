"""`holdfast.toml`: what holds for a job and where it is from, and what is said of a file that is wrong."""

import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast.errors import HoldfastError, NotFoundError, UsageError
from holdfast.jobs.checking import check, checked
from holdfast.jobs.lines import Lines
from holdfast.jobs.model import BUILT_IN, TABLES, Config, Job, Settings
from holdfast.jobs.reading import ConfigFile, find_config, read_config
from holdfast.jobs.settings import choose, origins, settings_of

FILE = """\
# All that there is
[defaults]
store = "main"
drill.every = "7d"
keep = {daily = 7, weekly = 5}
password_command = ["pass", "db"]
copy = [
  "./copies",  # ] "
  "elsewhere",
]

[store."main"]
url = "backups"
options = {a = 1}
[store.elsewhere]
url = "s3://bucket/prefix"

[job.shops]
source = "postgresql://backup@db1/"
databases = "*"
exclude = ["tmp_*"]
every = "12h"
keep.weekly = 1
password_env = "SHOPS"
[job.shops.hooks]
before = [["/bin/true", "a b"]]
finally = [["/bin/true"]]
[job.app]
source = '''sqlite:////srv/app.db'''
backup = {codec = "zstd:3"}
"""


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], ConfigFile]:
    def write(text: str) -> ConfigFile:
        (tmp_path / "holdfast.toml").write_text(text)
        return read_config(str(tmp_path / "holdfast.toml"), trusted=True)

    return write


Read = Callable[[str], ConfigFile]


def test_a_job_takes_from_the_defaults_what_it_does_not_say(read: Read, tmp_path: Path) -> None:
    file = read(FILE)
    config = checked(file)
    assert choose(config, (), file) == ["shops", "app"]
    shops, app = (settings_of(name, config, file) for name in ("shops", "app"))
    assert (shops.every, app.every, shops.drill_every, shops.verify_every) == (43200, 86400, 7 * 86400, None)
    assert shops.store == (str(tmp_path / "backups"), {"a": 1})
    assert shops.copies == ((str(tmp_path / "copies"), {}), ("s3://bucket/prefix", {}))
    assert (shops.keep.keep_daily, shops.keep.keep_weekly) == (7, 1)  # type: ignore[union-attr]
    assert (shops.job.password_command, shops.job.password_env) == (None, "SHOPS")
    assert (app.commands, shops.commands) == (["password_command"], ["hooks.before", "hooks.finally"])


def test_each_value_is_shown_with_the_line_that_it_is_from(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    file = read(FILE)
    lines = {row["key"]: row["origin"].rpartition(":")[2] for row in origins("shops", file)}
    expected = {"store": "3", "drill.every": "4", "keep.daily": "5", "keep.weekly": "23", "copy": "7", "every": "22"}
    assert (
        lines.items() >= {**expected, "hooks.finally": "27", "timeout": "built in", "hooks.timeout": "built in"}.items()
    )
    monkeypatch.setenv("HOLDFAST_STORE", "/srv/b")
    file = read('[job.x]\nsource = "sqlite:///x.db"\n')
    (row,) = (row for row in origins("x", file) if row["key"] == "store")
    assert row == {"key": "store", "value": "/srv/b", "origin": "environment (HOLDFAST_STORE)"}
    assert settings_of("x", checked(file), file).store.store == "/srv/b"


def test_every_key_of_a_file_has_its_line() -> None:
    text = 'a = """\n[x]\n"""\n"b c".d = [1,\n 2]\n[t . "u.v"]  # [w]\r\ne = {f = "]"}\n\n  g = 1'
    document = tomllib.loads(text)
    lines = Lines(text)
    assert document["t"]["u.v"]["g"] == 1
    paths: list[tuple[str, ...]] = [
        ("a",),
        ("b c", "d"),
        ("t", "u.v"),
        ("t", "u.v", "e", "f"),
        ("t", "u.v", "g"),
        ("x",),
    ]
    assert [lines.of(path) for path in paths] == [1, 4, 6, 7, 9, 1]


WRONG: list[tuple[str, str]] = [
    ("[defaults\n", ":1: not TOML"),
    ('[job.a]\nsource = "x', ":2: not TOML"),
    ('[job.a]\nevery = "1d"\n', ":1: job.a: it has no source"),
    ('[job.a]\nsource = "sqlite:///a"\nevrey = "1d"\n', ":3: job.a.evrey: unknown, did you mean every?"),
    ('[jobs.a]\nsource = "sqlite:///a"\n', ":1: jobs: unknown, did you mean job?"),
    ('[job.a]\nsource = "sqlite:///a"\ndrill = {evry = "1d"}\n', ":3: job.a.drill.evry: unknown, did you mean every?"),
    ('[job.a]\nsource = "sqlite:///a"\ncopy = "x"\n', ":3: job.a.copy: expected a list, got a text"),
    (
        '[job.a]\nsource = "sqlite:///a"\n\n[limits]\nparallel = 0\n',
        ":5: limits.parallel: expected a whole number >= 1",
    ),
    ('[job.a]\nsource = "sqlite:///a"\nevery = "daily"\n', ":3: job.a.every: not a duration: daily"),
    ('[job.a]\nsource = "sqlite:///a"\nevery = "0h"\n', ":3: job.a.every: it is no time at all"),
    (
        '[job.a]\nsource = "sqlite:///a"\nhooks.before = ["true"]\n',
        ":3: job.a.hooks.before: expected a list, got a text",
    ),
    (
        '[job.a]\nsource = "sqlite:///a"\nhooks.before = [[]]\n',
        ":3: job.a.hooks.before: expected a list of length >= 1",
    ),
    ('[job.a]\nsource = "a.db"\n', ":2: job.a.source: not a database URL"),
    ('[job.a]\nsource = "mysql://u:hunter2@h/d"\n', ":2: job.a.source: it holds a secret"),
    (
        '[job.a]\nsource = "sqlite:///a"\ndrill.into = "mysql://u:hunter2@h/"\n',
        ":3: job.a.drill.into: it holds a secret",
    ),
    ('[store.s]\nurl = "s3://b/p?secret_key=hunter2"\n', ":2: store.s.url: it holds a secret"),
    (
        '[job.a]\nsource = "sqlite:///a"\nstore = "mian"\n[store.main]\nurl = "/b"\n',
        ":3: job.a.store: no [store.mian] is",
    ),
    ('[job.a]\nsource = "sqlite:///a"\nkeep = {daily = 0}\n', ":3: job.a.keep: keep_daily is 0"),
    ('[job.a]\nsource = "sqlite:///a"\nbackup.codek = "x"\n', ":3: job.a.backup.codek: unknown, did you mean codec?"),
    ('[job.a]\nsource = "sqlite:///a"\nbackup.store = "x"\n', ":3: job.a.backup.store: it is not set here"),
    ('[job.a]\nsource = "sqlite:///a"\nbackup.jobs = 0\n', ":3: job.a.backup: jobs is 0"),
    ('[job.a]\nsource = "sqlite:///a"\nping = {file = "a", env = "b"}\n', ":3: job.a.ping: expected one of"),
    ('[job.a]\nsource = "sqlite:///a"\npassword_file = "a"\npassword_env = "b"\n', ":4: job.a.password_env: there is"),
    ('[job.a]\nsource = "sqlite:///a"\nexclude = ["b"]\n', ":3: job.a.exclude: it goes with databases"),
    ('[job."a b"]\nsource = "sqlite:///a"\n', ":1: job.'a b': not a name of a job"),
    ("job = 1\n", ":1: job: expected tables [job.NAME], got a number"),
]


@pytest.mark.parametrize(("text", "message"), WRONG, ids=[message.partition(" ")[2] for _, message in WRONG])
def test_what_is_wrong_is_told_with_its_line_and_the_nearest_name(text: str, message: str, read: Read) -> None:
    with pytest.raises(UsageError) as caught:
        checked(read(text))
    assert f"holdfast.toml{message}" in caught.value.message
    assert "hunter2" not in f"{caught.value.message}{caught.value.hint}"


def test_all_that_is_wrong_is_told_at_once(read: Read) -> None:
    _, problems = check(read('[defaults]\nevery = "x"\nspread = "y"\n[job.a]\nsource = "b"\n'))
    assert [problem.path[-1] for problem in problems] == ["every", "spread", "source"]


def test_a_file_of_the_current_folder_is_believed_only_where_nobody_else_can_write_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "own"))
    monkeypatch.delenv("HOLDFAST_CONFIG", raising=False)
    said: list[str] = []
    with pytest.raises(NotFoundError, match=r"there is no holdfast\.toml here"):
        find_config(None, said.append)
    here, own = tmp_path / "here" / "holdfast.toml", tmp_path / "own" / "holdfast" / "holdfast.toml"
    here.write_text("")
    assert (find_config(None, said.append).path, find_config(None, said.append).trusted) == (str(here), False)
    assert find_config("holdfast.toml", said.append).trusted
    own.parent.mkdir(parents=True)
    own.write_text(f'trusted = ["{here.parent}"]\n')
    assert find_config(None, said.append).trusted
    assert said == []
    here.chmod(0o664)
    file = find_config(None, said.append)
    assert (file.path, file.trusted) == (str(own), True)
    assert "others may write it" in said[0]
    here.chmod(0o644)
    if os.geteuid() == 0:
        os.chown(here, 1234, -1)
        assert find_config(None, said.append).path == str(own)
        assert "belongs to another user" in said[1]
    monkeypatch.setenv("HOLDFAST_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(HoldfastError, match="there is no file"):
        find_config(None, said.append)


def test_what_is_believed_is_what_is_read_and_a_pipe_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who may write the folder exchanges the file at the worst moment: between the look and the read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "own"))
    monkeypatch.delenv("HOLDFAST_CONFIG", raising=False)
    here, evil, said = tmp_path / "holdfast.toml", tmp_path / "evil.toml", list[str]()
    look = os.stat

    def exchange(file: Any, **more: Any) -> os.stat_result:
        status = look(file, **more)
        if (isinstance(file, int) or str(file) == str(here)) and "evil.toml" in os.listdir(tmp_path):
            evil.rename(here)
        return status

    monkeypatch.setattr(os, "stat", exchange)
    here.write_text("[job.good]\nsource = 'sqlite:///a.db'\n")
    evil.write_text("[job.evil]\nsource = 'sqlite:///a.db'\n")
    assert list(find_config(None, said.append).document["job"]) == ["good"]
    here.unlink()
    os.mkfifo(here)
    with pytest.raises(NotFoundError):
        find_config(None, said.append)
    assert [text.partition(": ")[2] for text in said] == ["it is no regular file"]


def test_the_types_and_what_is_built_in_agree() -> None:
    """The schema has every key; what is built in is valid; tables are those that are tables."""
    schema = msgspec.json.schema(Config)["$defs"]
    assert "finally" in schema["Hooks"]["properties"]
    job: Any = msgspec.convert({"source": "sqlite:///a", **BUILT_IN}, Job)
    assert job.retry.times == 0
    tables = {name for name, each in schema["Settings"]["properties"].items() if "$ref" in str(each)}
    assert tables | {"backup"} == TABLES
    assert set(Settings.__struct_fields__) < set(Job.__struct_fields__)
