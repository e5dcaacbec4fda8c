"""A distribution that nobody here wrote works on equal terms; a broken one breaks nothing but itself."""

import bz2
import json
import sqlite3
import subprocess
import zlib
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
from support.commandline import Shell, make_shell
from support.databases import dump, make_database
from support.distributions import write_distribution
from support.venvs import ACME, FIRST_PARTY, Environment, build, download_third_party, of_this_run, once


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A virtual environment with ours and theirs from wheels alone, made once a run."""
    shared = of_this_run(tmp_path_factory.getbasetemp()) / "distributions"
    wheels = once(shared, "wheels", lambda folder: build(folder, FIRST_PARTY))
    others = once(shared, "third-party", lambda folder: download_third_party(folder, wheels))
    acme = once(shared, "acme", lambda folder: build(folder, [ACME]))
    environment = Environment(folder=shared / "clean", sources=(wheels, others, acme))

    def make(_: Path) -> None:
        environment.create()
        environment.install("holdfast[all]", "acme-holdfast")

    once(shared, "clean", make)
    return environment


@pytest.fixture
def user(clean: Environment, tmp_path: Path) -> Shell:
    """A shell in which `holdfast` is that of the clean environment, with a database `app.db`."""
    make_database(tmp_path / "app.db", noise=2 << 20)
    return make_shell(tmp_path, holdfast=clean.holdfast)


def with_plugins(user: Shell, sources: Mapping[str, str], **variables: str) -> Shell:
    """The same shell with further distributions installed, each with one module."""
    for name, source in sources.items():
        write_distribution(user.folder / "plugins", name, source)
    path = {"PYTHONPATH": str(user.folder / "plugins")}
    return make_shell(user.folder, holdfast=user.holdfast, variables={**path, **variables})


def test_their_components_stand_beside_ours(user: Shell) -> None:
    data = user.run("plugins", "--json").data
    theirs = {
        (component["kind"], component["name"])
        for component in data["components"]
        if component["distribution"] == "acme-holdfast"
    }
    assert theirs == {("codec", "bzip2"), ("checksum", "crc32"), ("storage", "vault"), ("engine", "notes")}
    assert {
        component["version"] for component in data["components"] if component["distribution"] == "acme-holdfast"
    } == {"3.2.1"}
    assert data["plugins"] == []
    text = user.run("plugins").stdout
    assert "codec     bzip2" in text
    assert "acme-holdfast 3.2.1" in text
    assert json.loads(user.run("schema", "bzip2").stdout)["properties"]["level"]["default"] == 9


def test_their_codec_and_checksum_serve_a_backup_and_its_restore(user: Shell) -> None:
    record = user.backup("sqlite:///app.db", "--codec", "bzip2:3", "--checksum", "crc32")
    blob = Path(record["path"]) / "database.sqlite.bz2"
    user.run("verify", "--read-data")
    user.run("restore", record["id"], "sqlite:///copy.db")
    assert dump(user.folder / "copy.db") == dump(user.folder / "app.db")
    manifest = json.loads((Path(record["path"]) / "backup_manifest.json").read_text())
    (stream,) = manifest["streams"]
    assert stream["blob"]["digests"]["crc32"] == f"{zlib.crc32(blob.read_bytes()):08x}"
    assert stream["digests"]["crc32"] == f"{zlib.crc32(bz2.decompress(blob.read_bytes())):08x}"
    assert "bzip2 -dc database.sqlite.bz2" in (Path(record["path"]) / "RESTORE.md").read_text()
    content = bytearray(blob.read_bytes())
    content[len(content) // 2] ^= 1
    blob.write_bytes(content)
    user.fails(13, "verify")
    user.fails(13, "restore", record["id"], "sqlite:///second.db")
    user.fails(2, "backup", "sqlite:///app.db", "--codec", "bzip2:10")


def test_their_storage_keeps_backups_of_any_engine(user: Shell) -> None:
    store = f"vault://{user.folder}/vault.db"
    user.fails(10, "list", "--store", store)
    first = user.backup("sqlite:///app.db", "--store", store)
    second = user.backup("sqlite:///app.db", "--store", store, "--codec", "none")
    assert first["path"].startswith(f"{store}/app/")
    assert [record["id"] for record in user.listing("--store", store)] == [first["id"], second["id"]]
    user.run("verify", "--store", store, "--read-data")
    user.run("restore", first["id"], "sqlite:///copy.db", "--store", store)
    assert dump(user.folder / "copy.db") == dump(user.folder / "app.db")
    user.run("delete", first["id"], "--store", store)
    user.fails(15, "backup", "sqlite:///missing.db", "--store", store)
    with closing(sqlite3.connect(user.folder / "vault.db")) as vault, vault:
        vault.execute("UPDATE objects SET content = x'00' WHERE path LIKE '%.sqlite'")
    assert [record["state"] for record in user.listing("--store", store)] == ["damaged"]
    user.fails(13, "restore", second["id"], "sqlite:///other.db", "--store", store)


def test_their_engine_is_backed_up_with_our_codecs_and_restored_by_hand(user: Shell) -> None:
    notes = user.folder / "notes"
    notes.mkdir()
    for name, text in {"a.txt": "first", "it's odd.txt": "second" * 100_000, "empty": ""}.items():
        (notes / name).write_text(text)
    url = f"notes://{notes}"
    record = user.backup(url, "--codec", "gzip")
    assert record["engine"] == "notes"
    user.run("verify", "--read-data")
    user.run("restore", record["id"], f"notes://{user.folder}/copy")
    user.fails(16, "restore", record["id"], f"notes://{user.folder}/copy")
    user.fails(2, "restore", record["id"], "sqlite:///copy.db")
    user.fails(2, "backup", url, "--check")
    user.fails(2, "backup", url, "-o", "speed=11")
    user.fails(15, "backup", "notes:///nowhere")
    for path in notes.iterdir():
        assert (user.folder / "copy" / path.name).read_text() == path.read_text()
        assert user.run("cat", record["id"], path.name).stdout == path.read_text()
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=record["path"], check=True)


LISTS = "from holdfast.api import *\ndef holdfast_components():\n    yield "
BROKEN = {
    "broken-import": "import no_such_module",
    "broken-syntax": "def (",
    "broken-exit": "import sys; sys.exit(7)",
    "broken-attribute": "from holdfast.api import NoSuchThing",
    "broken-components": "def holdfast_components(): raise RuntimeError('out of\\norder')",
    "broken-list": "def holdfast_components(): return ['zstd']",
    "broken-nothing": "def holdfast_components(): return 5",
    "broken-hook": "def holdfast_compres(codec): pass",
    "broken-arguments": "def holdfast_compress(codec, colour): pass",
    "broken-generator": "def holdfast_compress(codec, options): yield 1",
    "broken-api": LISTS + "Component(kind=Kind.CODEC, name='future', api_version=99)",
    "broken-options": LISTS + "Component(kind=Kind.CODEC, name='odd', options=int)",
    "broken-kind": LISTS + "Component(kind='kettle', name='x')",
    "broken-name": LISTS + "Component(kind=Kind.CODEC, name=None)",
}


def test_broken_plugins_are_shown_with_their_reason_and_break_nothing_else(user: Shell) -> None:
    broken = with_plugins(user, BROKEN)
    data = broken.run("plugins", "--json").data
    refused = {plugin["name"]: plugin for plugin in data["plugins"]}
    assert set(refused) == set(BROKEN)
    for plugin in refused.values():
        assert plugin["status"] == "refused"
        assert plugin["distribution"] == plugin["name"]
        assert plugin["version"] == "1.0"
        assert plugin["reason"]
        assert plugin["reason"].isprintable()
    assert "no_such_module" in refused["broken-import"]["reason"]
    assert "out of order" in refused["broken-components"]["reason"]
    assert "99" in refused["broken-api"]["reason"]
    assert "generator" in refused["broken-generator"]["reason"]
    assert "holdfast_compres" in refused["broken-hook"]["reason"]
    text = broken.run("plugins").stdout
    assert text.count("REFUSED") == len(BROKEN)
    assert "REFUSED broken-import (broken-import 1.0): " in text
    assert "refused" in broken.run("plugins", "show", "broken-api").stdout
    healthy = {(component["kind"], component["name"]) for component in user.run("plugins", "--json").data["components"]}
    assert {(component["kind"], component["name"]) for component in data["components"]} == healthy
    broken.backup("sqlite:///app.db", "--codec", "bzip2")
    broken.run("verify")
    broken.run("restore", "latest", "sqlite:///copy.db")


def test_strict_makes_a_broken_plugin_an_error(user: Shell) -> None:
    strict = with_plugins(user, {"broken-import": BROKEN["broken-import"]}, HOLDFAST_STRICT_PLUGINS="1")
    for command in (["plugins"], ["list"], ["backup", "sqlite:///app.db"]):
        ran = strict.fails(14, *command)
        assert "broken-import" in ran.error
        assert "no_such_module" in ran.error
    strict.run("plugins", env={"HOLDFAST_DISABLE_PLUGINS": "broken-import"})
    strict.run("plugins", env={"HOLDFAST_STRICT_PLUGINS": "0"})


RIVAL = """
    from holdfast.api import *
    from holdfast_zstd.codec import ZstdCodec


    def holdfast_components():
        yield Component(kind=Kind.CODEC, name="zstd", summary="better, says its maker")


    def holdfast_compress(codec, options):
        return ZstdCodec() if codec == "zstd" else None
"""


def test_two_that_claim_one_name_are_an_error_only_for_that_name(user: Shell) -> None:
    record = user.backup("sqlite:///app.db", "--codec", "zstd")
    rivals = with_plugins(user, {"rival-zstd": RIVAL})
    ran = rivals.fails(14, "backup", "sqlite:///app.db", "--codec", "zstd")
    assert "holdfast-zstd" in ran.error
    assert "rival-zstd" in ran.error
    assert "HOLDFAST_DISABLE_PLUGINS" in ran.hint
    rivals.fails(14, "restore", record["id"], "sqlite:///copy.db")
    rivals.backup("sqlite:///app.db", "--codec", "gzip")
    text = rivals.run("plugins").stdout
    assert text.count("CONFLICT: ") == 2
    conflicts = [
        component["conflict"]
        for component in rivals.run("plugins", "--json").data["components"]
        if component["name"] == "zstd"
    ]
    assert len(conflicts) == 2
    assert all(len(conflict) == 2 for conflict in conflicts)
    for off in ("rival-zstd", "holdfast-zstd"):
        rivals.backup("sqlite:///app.db", "--codec", "zstd", env={"HOLDFAST_DISABLE_PLUGINS": off})
    rivals.run("restore", record["id"], "sqlite:///copy.db", env={"HOLDFAST_DISABLE_PLUGINS": "rival-zstd"})


def test_two_distributions_may_use_one_entry_point_name(user: Shell) -> None:
    source = LISTS + "Component(kind=Kind.CODEC, name='{}')"
    for name in ("first", "second"):
        module = f"{name}_codec"
        write_distribution(user.folder / "plugins", module, source.format(name), points={"codec": module})
    both = make_shell(user.folder, holdfast=user.holdfast, variables={"PYTHONPATH": str(user.folder / "plugins")})
    names = {component["name"] for component in both.run("plugins", "--json").data["components"]}
    assert {"first", "second"} <= names


WRAPPING = """
    from holdfast.api import hookimpl


    @hookimpl(wrapper=True)
    def holdfast_compress():
        return (yield)
"""


def test_what_a_plugin_wraps_is_shown(user: Shell) -> None:
    wrapped = with_plugins(user, {"wrapping-plugin": WRAPPING})
    assert "WRAPS holdfast_compress: wrapping-plugin 1.0" in wrapped.run("plugins").stdout
    assert "wraps holdfast_compress of every plugin" in wrapped.run("plugins", "show", "wrapping-plugin").stdout
    (plugin,) = wrapped.run("plugins", "--json").data["plugins"]
    assert plugin["wraps"] == ["holdfast_compress"]


LYING = """
    from contextlib import nullcontext
    from holdfast.api import *


    class Mangling:
        suffix = ".mangled"

        def encode(self, block):
            if b"SQLite" in bytes(block[:16]):
                raise ValueError("cannot encode this")
            return bytes(block)

        def decoder(self):
            return self

        def decode(self, data):
            yield bytes(data)[::-1]

        def finish(self):
            pass


    class Endless:
        suffix = ".endless"

        def encode(self, block):
            return b"x"

        def decoder(self):
            return self

        def decode(self, data):
            while True:
                yield bytes(1 << 20)

        def finish(self):
            pass


    def holdfast_components():
        for name in ("mangling", "endless", "nothing", "raising"):
            yield Component(kind=Kind.CODEC, name=name)
        for name in ("nodump", "notacontext", "wrongtype"):
            yield Component(kind=Kind.ENGINE, name=name)


    def holdfast_compress(codec, options):
        if codec == "raising":
            raise KeyError("oops")
        return {"mangling": Mangling(), "endless": Endless()}.get(codec)


    class Wrong:
        streams = [Stream(name="x")]

        def read(self, stream):
            yield "text"

        def proof(self):
            return None

        def facts(self):
            return Facts()


    def holdfast_dump(scheme, request):
        return {"notacontext": 5, "wrongtype": nullcontext(Wrong())}.get(scheme)
"""


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["sqlite:///app.db", "--codec", "mangling"], 1, "cannot encode this"),
        (["sqlite:///app.db", "--codec", "nothing"], 14, "lying-plugin"),
        (["sqlite:///app.db", "--codec", "raising"], 1, "lying-plugin"),
        (["nodump://x"], 14, "lying-plugin"),
        (["notacontext://x"], 14, "lying-plugin"),
        (["wrongtype://x"], 14, "str"),
    ],
)
def test_a_plugin_that_breaks_its_contract_is_named_and_leaves_nothing(
    user: Shell, arguments: list[str], code: int, words: str
) -> None:
    lying = with_plugins(user, {"lying-plugin": LYING})
    ran = lying.fails(code, "backup", *arguments)
    assert words in ran.error
    assert not list(lying.folder.glob("backups/*/*"))


def test_a_codec_that_decodes_without_end_is_stopped_at_the_recorded_size(user: Shell) -> None:
    lying = with_plugins(user, {"lying-plugin": LYING})
    told = lying.fails(14, "backup", "sqlite:///app.db", "--codec", "endless")
    assert "codec 'endless' does not decode what it encoded" in told.error
    record = lying.backup("sqlite:///app.db", "--codec", "endless", "--verify-written", "none")
    ran = lying.fails(14, "restore", record["id"], "sqlite:///copy.db")
    assert "more than" in ran.error
    lying.fails(14, "verify", "--read-data")
    assert not (lying.folder / "copy.db").exists()


WATCHING = """
    import json, os


    def holdfast_observe(event):
        if event.type == "finished":
            with open("seen.jsonl", "a") as file:
                file.write(json.dumps([event.operation, event.id]) + chr(10))
            raise RuntimeError("a watcher that fails")
"""


def test_a_watching_plugin_sees_every_run_and_its_errors_harm_none(user: Shell) -> None:
    watched = with_plugins(user, {"watcher": WATCHING})
    (listed,) = watched.run("plugins", "--json").data["plugins"]
    assert (listed["name"], listed["status"]) == ("watcher", "active")
    assert "active" in watched.run("plugins", "show", "watcher").stdout
    record = watched.run("backup", "sqlite:///app.db", "--json").last
    watched.run("verify")
    watched.run("restore", "latest", "sqlite:///copy.db")
    seen = [json.loads(line) for line in (user.folder / "seen.jsonl").read_text().splitlines()]
    assert seen == [[name, record["id"]] for name in ("backup", "verify", "restore")]
