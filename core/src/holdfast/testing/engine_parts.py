"""What the tests of an engine have in common: its databases, its parts, and sessions that are disturbed."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.api import (
    Blob,
    Capability,
    DumpRequest,
    DumpSession,
    Engine,
    Forwarding,
    HoldfastError,
    Kind,
    RestoreRequest,
    RestoreSession,
    Step,
    SupportsSource,
    UsageError,
    file_path,
)
from holdfast.plugins.engine import CompletedEngine, InstalledEngine
from holdfast.plugins.registry import Registry
from holdfast.testing.contract import Configured, loaded, registry_of
from holdfast.testing.killing import kill_restore
from holdfast.url import DatabaseURL

_MAGIC = 16  # bytes that tell a format
# Text, a file of gzip, and an SQLite database without tables, all of which some libraries open by themselves.
_FOREIGN = (
    b"id,title\n1,The theory of kelp\n" * 500,
    b"\x1f\x8b\x08" + bytes(range(253)) * 40,
    b"SQLite format 3\0\x10\0\1\1\0\x40\x20\x20\0\0\0\1\0\0\0\1" + bytes(12) + b"\0\0\0\4" + bytes(8)
    + b"\0\0\0\1" + bytes(32) + b"\0\0\0\1\0\x2d\xe6\0\x0d" + bytes(4) + b"\x10" + bytes(3990),
)  # fmt: skip


class EngineParts(Configured):
    """What `EngineSuite` is given."""

    password: str = ""  #: the password in the URLs, which must be shown nowhere
    options: Mapping[str, Any] = {}  #: the options of every dump, as `-o` takes them
    restore_options: Mapping[str, Any] = {}  #: the options of every restore and drill
    selection: tuple[str, ...] = ()  #: patterns that select a part of the source, and leave a part out
    locks_writers: bool = False  #: whether nobody can write to a database while it is dumped
    patience: float = 10.0  #: seconds in which a read ends whose dump is left

    @pytest.fixture
    def source(self) -> str:
        """The URL of a database with some content, there for one test."""
        raise NotImplementedError("override the fixture `source`")

    @pytest.fixture
    def target(self) -> str:
        """The URL of a database to restore to: empty, or not there where the engine makes it."""
        raise NotImplementedError("override the fixture `target`")

    def content(self, url: str) -> Any:
        """Everything that a restore must bring back, as comparable data; `None` where there is no database."""
        raise NotImplementedError("override `content`")

    def change(self, url: str) -> None:
        """Change a little of the content of the database at a URL."""
        raise NotImplementedError("override `change`")

    def surroundings(self, url: str) -> Any:
        """What there is beside a database, and is compared: files of its folder, databases of its server."""
        del url

    def selected(self, content: Any) -> Any:
        """What remains of a content when `selection` alone is dumped or restored."""
        raise NotImplementedError("override `selected`, and set `selection`")

    def excluded(self, content: Any) -> Any:
        """What remains of a content when `selection` is left out."""
        raise NotImplementedError("override `excluded`")

    def foreign(self, source: str, target: str) -> Iterator[str]:
        """Make what is no database of the engine, and yield its URL; what is done to it meanwhile is looked at.

        Where databases are files or folders, that are files of other programs in the place of the target. Override it
        for databases of another kind: another program that listens where a server is looked for is one. An override
        that yields nothing says that there can be no such thing.
        """
        try:
            there, path = (Path(file_path(url, title="this")) for url in (source, target))
        except UsageError:
            there = path = Path()
        if not there.exists() or path.exists():
            pytest.skip(
                "databases are no files here: override `foreign`, which yields the URL of what is no database of the "
                "engine, or nothing where there can be no such thing"
            )
        for content in _FOREIGN:
            if there.is_file() and there.read_bytes()[:_MAGIC] == content[:_MAGIC]:
                continue  # it is one of the engine's own
            path.write_bytes(content)
            yield target
            assert path.read_bytes() == content, "the engine has changed a file that is no database of its own"
            path.unlink()

    def leave_log(self, url: str) -> bool:
        """Leave a change in the log of a database, as a process that dies does; False where there is no such thing.

        What the database then holds is content and log together: a `-wal` or `.wal` that lies next to its file.
        """
        del url
        pytest.skip(
            "nobody knows whether a log belongs to a database: override `leave_log`, which leaves a change in it, or "
            "returns False where there is no such thing"
        )

    def rows(self, content: Any) -> Mapping[str, int]:
        """How many rows of a content the objects have whose rows a proof counts, by name; some of them will do."""
        del content
        pytest.skip("nobody knows how many rows there are: override `rows`, which counts those of a content by object")

    def kill_restore(self, record: holdfast.Backup, target: str, store: str) -> bool:
        """Have a process die in the middle of a restore with `replace`; False where no other process can restore.

        Override it for an engine that is given as an object.
        """
        if not registry_of(self.plugins).claims(Kind.ENGINE, DatabaseURL.parse(target).scheme):
            pytest.skip(
                "no process can be started that dies: name the engine in `plugins`, or override `kill_restore`, which "
                "returns False where no other process can restore"
            )
        kill_restore(record.id, target, store, self.restore_options, self.plugins)
        return True

    def into(self, target: str) -> str | None:
        """The server on which drills make their scratch databases; None for an engine that needs none."""
        raise NotImplementedError("override `into`")

    @pytest.fixture
    def store(self, tmp_path: Path) -> str:
        """A place for backups."""
        return str(tmp_path / "conformance-store")

    def registry(self, *plugins: Any) -> Registry:
        """Where the engine is found: what is installed, the `plugins` of the suite, and these."""
        return Registry(plugins=[*map(loaded, self.plugins), *plugins]) if plugins else registry_of(self.plugins)

    def engine(self, url: str) -> Engine:
        """The engine under test: what is installed for the URL, or an object, for an engine that is given as one."""
        return self.registry().engine(DatabaseURL.parse(url).scheme)

    def parts(self, url: str) -> dict[str, Any]:
        """What backups and restores of the suite are made with."""
        engine = self.engine(url)
        return {"registry": self.registry()} | ({} if isinstance(engine, InstalledEngine) else {"engine": engine})

    def can(self, url: str, capability: Capability) -> bool:
        """Whether the engine lists a capability."""
        return capability in self.engine(url).capabilities

    def request(self, url: str, scratch: Path, **fields: Any) -> DumpRequest:
        """A request to dump with the options of the suite, in a new folder of `scratch`."""
        scratch.mkdir(mode=0o700, exist_ok=True)
        empty = Path(tempfile.mkdtemp(dir=scratch))
        return DumpRequest(url=url, scratch=empty, options=self.engine(url).options(self.options), **fields)

    def read(self, session: DumpSession) -> dict[str, int]:
        """Read all streams to their ends; the number of bytes of each."""
        return {stream.name: sum(map(len, session.read(stream))) for stream in session.streams}

    def backup(self, source: str, store: str, **fields: Any) -> holdfast.Backup:
        """Back the source up with the options of the suite."""
        return holdfast.backup(source, store=store, options=dict(self.options), **{**self.parts(source), **fields})

    def restore(self, record: holdfast.Backup, source: str, target: str, store: str, **fields: Any) -> None:
        """Restore a backup of the source with the options of the suite."""
        parts = {**self.parts(source), **fields}
        holdfast.restore(record.id, target, store=store, options=dict(self.restore_options), **parts)

    def source_of(self, url: str, scratch: Path) -> tuple[str, str] | None:
        """The name and the identity of a database, where the engine tells them."""
        with self.engine(url).dump(self.request(url, scratch / "scratch")) as session:
            return (session.source.name, session.source.identity) if isinstance(session, SupportsSource) else None


class _CutError(HoldfastError):
    """What a test ends a restore with."""


class _CutRestore:
    """A restore session that fails before it has loaded everything, or instead of its commit."""

    def __init__(self, session: RestoreSession, loads: int) -> None:
        self._session = session
        self._left = loads
        self.steps = session.steps

    def load(self, step: Step, blob: Blob) -> None:
        if not self._left:
            raise _CutError("cut off by the test before a load")
        self._left -= 1
        self._session.load(step, blob)

    def commit(self) -> None:
        raise _CutError("cut off by the test before the commit")


class CutEngine(CompletedEngine):
    """An engine whose restores fail after some loads, before the commit at the latest."""

    def __init__(self, engine: Engine, loads: int) -> None:
        super().__init__(engine)
        self._loads = loads

    @contextmanager
    def restore(self, request: RestoreRequest) -> Iterator[RestoreSession]:
        """Let the engine open its session, and put ours around it."""
        with super().restore(request) as session:
            yield _CutRestore(session, self._loads)


class _Noting(Forwarding):
    """A restore session that is asked what it tells besides, as the core does."""

    def __init__(self, session: RestoreSession, engine: "NotingEngine") -> None:
        super().__init__(session)
        self._engine = engine

    def commit(self) -> None:
        self._engine.skipped += getattr(self.wrapped, "skipped_streams", ())
        self.wrapped.commit()
        self._engine.failures += getattr(self.wrapped, "failures", ())
        self._engine.warnings += getattr(self.wrapped, "warnings", ())


class NotingEngine(CompletedEngine):
    """An engine of whose restores is noted what they tell besides."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.skipped: list[str] = []
        self.failures: list[Any] = []
        self.warnings: list[str] = []

    @contextmanager
    def restore(self, request: RestoreRequest) -> Iterator[RestoreSession]:
        """Let the engine open its session, and listen to it."""
        with super().restore(request) as session:
            noting: Any = _Noting(session, self)
            yield noting


class DisturbedEngine(CompletedEngine):
    """An engine whose source somebody else changes as soon as a dump is open."""

    def __init__(self, engine: Engine, change: Callable[[str], None]) -> None:
        super().__init__(engine)
        self._change = change

    @contextmanager
    def dump(self, request: DumpRequest) -> Iterator[DumpSession]:
        """Let the engine open its session, and change the source."""
        with super().dump(request) as session:
            self._change(request.url)
            yield session
