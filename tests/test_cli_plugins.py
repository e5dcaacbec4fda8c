"""holdfast plugins, schema, completion, --help and --version."""

import json
import subprocess

import pytest
from support.commandline import Shell

from holdfast import api

COMMANDS = ["backup", "list", "show", "verify", "restore", "delete", "cat", "plugins", "schema", "completion"]


@pytest.fixture(scope="module")
def overview(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell in an empty folder: what these commands say depends on no store."""
    from support.commandline import make_shell

    return make_shell(tmp_path_factory.mktemp("empty"))


def test_plugins_lists_every_component_with_its_distribution(overview: Shell) -> None:
    ran = overview.run("plugins")
    rows = [line.split() for line in ran.stdout.splitlines()]
    assert rows[0] == ["KIND", "NAME", "DISTRIBUTION", "SUMMARY"]
    listed = {(row[0], row[1], row[2]) for row in rows[1:]}
    assert {
        ("engine", "sqlite", "holdfast-sqlite"),
        ("codec", "none", "holdfast"),
        ("codec", "gzip", "holdfast-gzip"),
        ("codec", "zstd", "holdfast-zstd"),
        ("checksum", "sha256", "holdfast-sha256"),
        ("storage", "file", "holdfast"),
        ("storage", "s3", "holdfast-s3"),
        ("storage", "sftp", "holdfast-sftp"),
        ("executor", "dask", "holdfast-dask"),
        ("executor", "threads", "holdfast"),
        ("storage", "gs", "holdfast-gcs"),
        ("storage", "azure", "holdfast-azure"),
    } <= listed
    assert ran.stderr == ""


def test_plugins_as_json_tells_kind_name_distribution_version_capabilities_and_options(overview: Shell) -> None:
    data = overview.run("plugins", "--json").data
    sqlite = next(component for component in data["components"] if component["name"] == "sqlite")
    assert sqlite["kind"] == "engine"
    assert sqlite["distribution"] == "holdfast-sqlite"
    assert sqlite["version"]
    assert "snapshot" in sqlite["capabilities"]
    assert "atomic-restore" in sqlite["capabilities"]
    (timeout,) = (option for option in sqlite["options"] if option["name"] == "lock_timeout")
    assert timeout["type"] == "number"
    assert timeout["default"] == 10.0
    assert timeout["help"]
    assert data["plugins"] == []


@pytest.mark.parametrize("name", ["zstd", "zst", "holdfast-zstd"])
def test_plugins_show_tells_of_one_component_by_name_alias_or_distribution(overview: Shell, name: str) -> None:
    text = overview.run("plugins", "show", name).stdout
    assert "codec zstd" in text
    assert "level=integer" in text
    (component,) = overview.run("plugins", "show", name, "--json").data["components"]
    assert component["name"] == "zstd"


def test_plugins_show_of_an_unknown_name_is_exit_14(overview: Shell) -> None:
    ran = overview.fails(14, "plugins", "show", "nonsense")
    assert "zstd" in ran.error


def test_a_plugin_that_is_switched_off_is_shown_with_the_reason(overview: Shell) -> None:
    env = {"HOLDFAST_DISABLE_PLUGINS": "holdfast-zstd, gzip"}
    text = overview.run("plugins", env=env).stdout
    assert "DISABLED zstd (holdfast-zstd" in text
    assert "HOLDFAST_DISABLE_PLUGINS" in text
    data = overview.run("plugins", "--json", env=env).data
    assert {plugin["name"]: plugin["status"] for plugin in data["plugins"]} == {"zstd": "disabled", "gzip": "disabled"}
    page = overview.run("plugins", "show", "zstd", env=env).stdout
    assert "switched off by HOLDFAST_DISABLE_PLUGINS" in page


def test_the_allow_list_switches_everything_else_off(overview: Shell) -> None:
    data = overview.run("plugins", "--json", env={"HOLDFAST_PLUGINS": "sqlite,holdfast-sha256"}).data
    assert {component["name"] for component in data["components"]} == {"sqlite", "none", "sha256", "file", "threads"}
    assert "HOLDFAST_PLUGINS" in data["plugins"][0]["reason"]


@pytest.mark.parametrize("name", ["plan", "manifest", "sqlite", "zstd", "none"])
def test_schemas_are_json_objects(overview: Shell, name: str) -> None:
    schema = json.loads(overview.run("schema", name).stdout)
    assert isinstance(schema, dict)
    assert schema
    if name == "zstd":
        assert schema["properties"]["level"]["type"] == "integer"
        assert schema["additionalProperties"] is False


def test_schema_without_a_name_is_all_of_them_and_an_unknown_one_is_exit_14(overview: Shell) -> None:
    schema = json.loads(overview.run("schema", "--json").stdout)
    assert {"plan", "manifest", "options"} <= set(schema)
    assert "manifest" in overview.fails(14, "schema", "nonsense").error


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(overview: Shell, shell_name: str) -> None:
    script = overview.run("completion", shell_name).stdout
    assert "_HOLDFAST_COMPLETE" in script


def test_the_bash_completion_completes_commands_and_options(overview: Shell) -> None:
    env = {"_HOLDFAST_COMPLETE": "bash_complete", "COMP_WORDS": "holdfast ba", "COMP_CWORD": "1"}
    program = [*overview.holdfast[:-2], "-c", "from holdfast.cli import main; main()"]
    for words, expected in (("holdfast ba", "plain,backup"), ("holdfast backup --cod", "plain,--codec")):
        env |= {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        done = subprocess.run(
            program, cwd=overview.folder, env=overview.environment(env), capture_output=True, text=True, check=False
        )
        assert expected in done.stdout.splitlines(), done.stderr
    script = overview.run("completion", "bash").stdout
    subprocess.run(["bash", "-n"], input=script, check=True, text=True)


def test_an_unknown_shell_is_exit_2(overview: Shell) -> None:
    overview.fails(2, "completion", "csh")


def test_help_lists_every_command_and_each_command_explains_itself(overview: Shell) -> None:
    text = overview.run("--help").stdout
    for command in COMMANDS:
        assert f"\n  {command} " in text
        assert overview.run(command, "--help").stdout.startswith(f"Usage: holdfast {command}")
    assert "Exit codes:" in text


def test_version_is_that_of_the_distribution(overview: Shell) -> None:
    from importlib.metadata import version

    assert overview.run("--version").stdout == f"holdfast {version('holdfast')}\n"


def test_help_imports_no_driver_and_no_codec(overview: Shell) -> None:
    done = subprocess.run(
        [overview.holdfast[0], "-X", "importtime", "-m", "holdfast", "--help"],
        env=overview.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "holdfast.cli" in imported
    for name in (
        "sqlite3",
        "zstandard",
        "psycopg",
        "pymysql",
        "rich",
        "pluggy",
        "msgspec",
        "holdfast_sqlite",
        "hashlib",
    ):
        assert name not in imported


def test_json_may_stand_before_or_after_show(shell: Shell) -> None:
    assert shell.run("plugins", "--json", "show", "zstd").data == shell.run("plugins", "show", "zstd", "--json").data


def test_the_interface_of_plugins_is_explained(shell: Shell) -> None:
    listed = dict(line.split(maxsplit=1) for line in shell.run("plugins", "api").stdout.splitlines())
    assert set(listed) == set(api.__all__)
    assert listed["Facts"].startswith("What an engine tells about a finished dump")
    text = shell.run("plugins", "api", "DumpRequest", "Chunk", "map_*", "LeaseKeeper", "Kind", "LockedError").stdout
    for told in (
        "    proof: bool | None = None\n        Whether to record a proof;",
        "Chunk = bytes | bytearray | memoryview\n    A piece of a stream",
        "map_errors(action: str, meanings: Mapping[type[Exception], ",
        "    LeaseKeeper(name: str, renew: Callable[[], bool], ttl: float) -> None\n",
        "    check() -> None\n        Raise `LockedError`",
        "    CODEC = 'codec': compresses\n",
        "class LockedError(HoldfastError)\n",
    ):
        assert told in text
    every = shell.run("plugins", "api", "*", "--json").data
    assert sorted(every) == sorted(api.__all__)
    assert not [name for name, explained in every.items() if len(explained.splitlines()) < 2]
    assert "holdfast.api has no name 'Nothing'" in shell.fails(2, "plugins", "api", "Nothing").error


def test_an_import_without_a_plugin_that_it_needs_says_which(shell: Shell) -> None:
    old = shell.folder / "old"
    old.mkdir()
    (shell.folder / "app.db").rename(old / "copy.db")
    listed = {"backup_id": "a", "source": "copy.db", "destination": "copy.db", "format": "file_copy", "timestamp": 1}
    (old / "manifest.json").write_text(json.dumps([listed]))
    ran = shell.fails(14, "import", "old", env={"HOLDFAST_DISABLE_PLUGINS": "holdfast-sha256"})
    assert "the plugin 'sha256' of holdfast-sha256" in ran.stderr
    assert "is disabled: switched off by HOLDFAST_DISABLE_PLUGINS" in ran.stderr


def test_a_doctor_who_is_asked_for_what_is_not_there_says_what_is_and_what_to_do(shell: Shell) -> None:
    told = shell.fails(14, "plugins", "doctor", "nosuch").stderr
    assert "no component or plugin 'nosuch' (installed: " in told
    assert "hint: install the distribution" in told
