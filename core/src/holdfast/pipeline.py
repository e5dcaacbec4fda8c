"""Assembling a run in a program: every part by name or as an object, without any file of configuration."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from holdfast.api import Codec, Engine, Hasher, Storage, Watcher
from holdfast.defaults import installed
from holdfast.errors import UsageError
from holdfast.operations import backup as operation
from holdfast.operations.backup import Preview
from holdfast.plan import BackupPlan
from holdfast.plugins.registry import Registry
from holdfast.record import Backup
from holdfast.setup import Parts, check_hasher_factory


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A backup put together from parts; frozen, `replace` gives another.

    `source` is a database URL. `codec` is a text such as `"zstd:3"` or a `Codec`; `checksums` are names or
    callables that start a digest, such as `hashlib.blake2b` (SHA-256 is always taken besides); `store` is a
    path (text or `pathlib.Path`), a URL or a `Storage`; `engine` is an `Engine` to use in the place of the one
    that the URL names.
    `registry` is where names are looked up: what is installed, if None.

    Example::

        pipeline = Pipeline(source="sqlite:///app.db", codec="gzip", store="./backups")
        record = pipeline.run(on_event=print)
    """

    source: str = field(repr=False)
    engine: Engine | None = None
    codec: str | Codec | None = None
    checksums: Sequence[str | Callable[[], Hasher]] = ()
    store: str | os.PathLike[str] | Storage | None = field(default=None, repr=False)  # its URL may hold a secret
    name: str | None = None
    jobs: int | None = None
    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    proof: bool | None = None
    check: bool | None = None
    allow_damaged: bool = False
    adopt: bool = False
    tags: tuple[str, ...] = ()
    registry: Registry | None = None

    def __post_init__(self) -> None:
        """Take the path of a store as text, so that the pipeline stays portable."""
        if isinstance(self.store, os.PathLike):
            object.__setattr__(self, "store", os.fspath(self.store))
        if isinstance(self.checksums, str) or not isinstance(self.checksums, Iterable):
            raise UsageError(f"checksums is {self.checksums!r}, expected a list of names or callables")

    def replace(self, **changes: Any) -> Self:
        """Return another pipeline with some parts changed."""
        return dataclasses.replace(self, **changes)

    @property
    def plan(self) -> BackupPlan:
        """The same as plain data, for other processes and machines; a part given as an object is a `UsageError`."""
        foreign = [
            f"{part} ({getattr(value, '__name__', type(value).__name__)})"
            for part, value in (
                ("engine", self.engine),
                ("codec", self.codec),
                ("store", self.store),
                *(("checksums", checksum) for checksum in self.checksums),
            )
            if value is not None and not isinstance(value, str)
        ]
        if foreign:
            raise UsageError(
                f"the pipeline is not portable, because it holds objects: {', '.join(foreign)}",
                hint="give these parts by name, and install a plugin that offers them where the plan runs",
            )
        return self._plan()

    def run(self, on_event: Watcher | None = None) -> Backup:
        """Make the backup; see `holdfast.backup`."""
        return operation.backup(self._plan(), registry=self._registry(), parts=self._parts(), on_event=on_event)

    def preview(self) -> Preview:
        """Say what `run` would do: opens the source, writes nothing."""
        return operation.preview(self._plan(), registry=self._registry(), parts=self._parts())

    def _registry(self) -> Registry:
        return self.registry or installed()

    def _plan(self) -> BackupPlan:
        return BackupPlan(
            source=self.source,
            store=self.store if isinstance(self.store, str) else None,
            name=self.name,
            codec=self.codec if isinstance(self.codec, str) else None,
            checksums=tuple(checksum for checksum in self.checksums if isinstance(checksum, str)),
            jobs=self.jobs,
            select=self.select,
            exclude=self.exclude,
            options=self.options,  # type: ignore[arg-type]  # the plan makes a dict of any mapping
            proof=self.proof,
            check=self.check,
            allow_damaged=self.allow_damaged,
            adopt=self.adopt,
            tags=self.tags,
        )

    def _parts(self) -> Parts:
        starters = [checksum for checksum in self.checksums if not isinstance(checksum, str)]
        for start in starters:
            check_hasher_factory(start)
        return Parts(
            engine=self.engine,
            codec=None if isinstance(self.codec, str) else self.codec,
            checksums={_algorithm(start): start for start in starters},
            storage=None if isinstance(self.store, str | os.PathLike) else self.store,
        )


def _algorithm(start: Callable[[], Hasher]) -> str:
    """The name of a digest given as a callable: what its object calls itself, as those of hashlib do."""
    return str(getattr(start(), "name", "") or getattr(start, "__name__", type(start).__name__)).lower()
