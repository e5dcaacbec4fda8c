# mypy: ignore-errors
"""An engine of a server in memory that keeps the contract, for mutants to break it."""

import contextlib
import hashlib
import secrets
from contextlib import contextmanager
from fnmatch import fnmatch

import pytest

from holdfast.api import (
    Capability,
    Change,
    Engine,
    Facts,
    HoldfastError,
    ObjectProof,
    Preview,
    Proof,
    Source,
    Step,
    Stream,
    UnreachableError,
    UnsafeError,
    UsageError,
)
from holdfast.plugins.engine import CompletedEngine
from holdfast.plugins.registry import Registry
from holdfast.testing import EngineSuite
from support.contract.checksums import Sha256Plugin

CHUNK = 1 << 20
PASSWORD = "s3cret-of-the-server"
SOURCE = f"shelf://user:{PASSWORD}@host/source"
TARGET = f"shelf://user:{PASSWORD}@host/target"
CONTENT = {"books": b"theory of kelp\n" * 200_000, "empty": b"", "sales": b"1,2\n" * 50}


class Server:
    """The databases by name: each a dictionary of contents by name."""

    def __init__(self):
        self.databases = {"source": dict(CONTENT)}

    def content(self, name):
        if name not in self.databases:
            raise UnreachableError(f"there is no database {name}")
        if not isinstance(self.databases[name], dict):
            raise UnreachableError(f"{name} is no database")
        return self.databases[name]


def name_of(url):
    return url.rpartition("/")[2]


def chosen(names, request):
    """The names that a request selects."""
    for pattern in (*request.select, *request.exclude):
        if not any(fnmatch(name, pattern) for name in names):
            raise UsageError(f"the pattern {pattern} matches nothing")
    return [
        name
        for name in names
        if (not request.select or any(fnmatch(name, pattern) for pattern in request.select))
        and not any(fnmatch(name, pattern) for pattern in request.exclude)
    ]


def digests(content):
    return Proof(
        method="sha256",
        objects=tuple(
            ObjectProof(kind="part", name=name, rows=data.count(b"\n"), digest=hashlib.sha256(data).hexdigest())
            for name, data in sorted(content.items())
        ),
    )


class Dump:
    def __init__(self, engine, request):
        self.engine, self.request = engine, request
        (request.scratch / "copy").touch(exist_ok=False)  # the folder is empty, whoever was here before
        live = engine.server.content(name_of(request.url))
        self.held = {name: live[name] for name in engine.chosen(list(live), request)}
        self.source = Source(name=name_of(request.url), identity=f"host/{name_of(request.url)}")
        self.left = False

    @property
    def streams(self):
        return [Stream(name=name, suffix=".txt") for name in self.held]

    def data(self, name):
        return self.held[name]

    def read(self, stream):
        data = self.data(stream.name)
        for at in range(0, len(data), CHUNK):
            if self.left:
                raise OSError("the dump was left")
            yield data[at : at + CHUNK]

    def proof(self):
        return None if self.request.proof is False else digests(self.held)

    def facts(self):
        return Facts(server_version="1", hints={"order": list(self.held)})

    def leave(self):
        self.left = True


class Restore:
    warnings = failures = skipped_streams = ()

    def __init__(self, engine, request):
        self.engine, self.request = engine, request
        self.name = name_of(request.url)
        self.databases = engine.server.databases
        if self.databases.get(self.name) and not request.replace:
            raise UnsafeError(f"{self.name} holds data")
        self.names = engine.chosen_to_restore([stream.name for stream in request.streams], request)
        self.steps = [Step(stream=name) for name in self.names]
        self.partial = f"{self.name}_restoring"
        self.committed = False

    def preview(self, blobs):
        there = self.databases.get(self.name, {})
        changes = [
            Change(action="replaced" if name in there else "added", kind="part", name=name) for name in self.names
        ]
        return Preview(changes=tuple(changes), whole=not self.request.selective)

    def load(self, step, blob):
        self.databases.setdefault(self.partial, {})[step.stream] = b"".join(blob.chunks())

    def commit(self):
        kept = self.databases.get(self.name, {}) if self.request.selective else {}
        self.databases[self.name] = {**kept, **self.databases.pop(self.partial, {})}
        self.databases.pop(f"{self.name}-log", None)
        self.committed = True

    def leave(self):
        self.databases.pop(self.partial, None)


class Scratch:
    server_version = "1"

    def __init__(self, engine, url):
        self.engine, self.url = engine, url

    def content(self):
        return self.engine.server.content(name_of(self.url))

    def check(self):
        return []

    def proof(self, recorded):
        return digests(self.content())


class Shelf(Engine):
    name = "shelf"
    capabilities = frozenset(
        {Capability.SNAPSHOT, Capability.SELECT, Capability.PROOF, Capability.ATOMIC_RESTORE, Capability.CHECK}
    )
    make_dump, make_restore, make_scratch = Dump, Restore, Scratch
    chosen = staticmethod(chosen)
    chosen_to_restore = staticmethod(chosen)

    def __init__(self, server):
        self.server = server

    @contextmanager
    def dump(self, request):
        session = self.make_dump(self, request)
        try:
            yield session
        finally:
            session.leave()

    @contextmanager
    def restore(self, request):
        session = self.make_restore(self, request)
        try:
            yield session
        finally:
            session.leave()

    @contextmanager
    def scratch(self, request):
        name = self.scratch_name(request)
        try:
            yield self.make_scratch(self, f"shelf://host/{name}")
        finally:
            self.server.databases.pop(name, None)

    def scratch_name(self, request):
        return f"holdfast_drill_{request.id}_{secrets.token_hex(4)}"


def with_part(part):
    """A decorator: the class is a `dump`, `restore` or `scratch` of an engine that is sound otherwise."""

    def make(mutant):
        return type(mutant.__name__, (Shelf,), {f"make_{part}": mutant, "__doc__": mutant.__doc__})

    return make


def make_foreign(suite, source, target):
    """Let the server hold what is no database of the engine."""
    suite.held.databases["foreign"] = "what some other program keeps"
    yield SOURCE.replace("source", "foreign")
    assert suite.held.databases["foreign"] == "what some other program keeps"


def leave_log(suite, url):
    """Let the server hold a change that is applied by whoever opens the database."""
    suite.held.databases[f"{name_of(url)}-log"] = {"sales": b"of a dead process"}
    return True


class Abandoned(Exception):  # noqa: N818 (no error of an engine)
    """What ends a restore as a kill does: its context is not left."""


class AbandonedSession:
    def __init__(self, session):
        self.session, self.steps = session, session.steps

    def load(self, step, blob):
        self.session.load(step, blob)
        raise Abandoned

    def commit(self):
        raise AssertionError


class AbandonedEngine(CompletedEngine):
    @contextmanager
    def restore(self, request):
        context = self._engine.restore(request)
        KEPT.append(context)  # or it would be left once nobody refers to it
        yield AbandonedSession(context.__enter__())


KEPT = []


def kill_restore(suite, record, target, store):
    """Do what is left of a process that dies."""
    with contextlib.suppress(Abandoned, HoldfastError):
        suite.restore(record, target, target, store, replace=True, engine=AbandonedEngine(suite.engine(target)))
    return True


def count_rows(suite, content):
    """The lines of each object."""
    return {name: data.count(b"\n") for name, data in content.items()}


def suite_of(tested):
    class Suite(EngineSuite):
        password = PASSWORD
        selection = ("b*",)
        patience = 0.3
        foreign = make_foreign
        leave_log = leave_log
        kill_restore = kill_restore
        rows = count_rows

        @pytest.fixture(autouse=True)
        def server(self):
            self.held = Server()
            self.tested = tested(self.held)

        @pytest.fixture
        def source(self):
            return SOURCE

        @pytest.fixture
        def target(self):
            return TARGET

        def registry(self, *plugins):
            return Registry(plugins=[Sha256Plugin, *plugins], discover=False, environ={})

        def engine(self, url):
            return self.tested

        def content(self, url):
            held = self.held.databases.get(name_of(url))
            log = self.held.databases.get(f"{name_of(url)}-log", {})
            return None if held is None else {name: bytes(data) for name, data in {**held, **log}.items()}

        def surroundings(self, url):
            return sorted(name for name in self.held.databases if name != name_of(url))

        def selected(self, content):
            return {name: data for name, data in content.items() if name.startswith("b")}

        def excluded(self, content):
            return {name: data for name, data in content.items() if not name.startswith("b")}

        def into(self, target):
            return None

        def change(self, url):
            self.held.databases[name_of(url)]["sales"] = b"1,3\n" * 50

    return Suite
