"""Assembling a run in a program: every part by name or as an object, without any file of configuration."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import msgspec

from holdfast.api import Engine, Hasher, Operation, Watcher
from holdfast.backup_set import BackupSet, back_up_all, find_sources
from holdfast.defaults import installed
from holdfast.errors import UsageError
from holdfast.operations import backup as operation
from holdfast.operations.backup import Preview
from holdfast.plan import BackupOptions, BackupPlan
from holdfast.plugins.registry import Registry
from holdfast.record import Backup
from holdfast.run import Run
from holdfast.setup import Parts, check_hasher_factory
from holdfast.signature import check_names, keywords_of


class PipelineOptions(BackupOptions, frozen=True, kw_only=True):
    """What a pipeline can be told: everything that a backup can, an engine and a registry."""

    engine: Engine | None = None  #: an engine to use instead of the one that the URL names
    registry: Registry | None = None  #: where names are looked up; None means what is installed


class PipelineArguments(PipelineOptions, frozen=True, kw_only=True):
    """The keywords of a new pipeline."""

    source: str


@dataclass(frozen=True, init=False, repr=False)
class Pipeline:
    """A backup put together from parts; frozen, `replace` gives another.

    Its keywords are the fields of a `BackupPlan` and two more. `codec` is a text such as `"zstd:3"` or a `Codec`;
    `checksums` are names or callables that start a digest, such as `hashlib.blake2b` (SHA-256 is always taken
    besides); `store` is a path (text or `pathlib.Path`), a URL or a `Storage`; `engine` is an `Engine` to use in the
    place of the one that the URL names. `registry` is where names are looked up: what is installed, if None.

    Example::

        pipeline = Pipeline(source="sqlite:///app.db", codec="gzip", store="./backups")
        record = pipeline.run(on_event=print)
    """

    _plan: BackupPlan
    _parts: Parts
    _registry: Registry | None

    @keywords_of(PipelineArguments)
    def __init__(self, **arguments: Any) -> None:
        check_names(arguments, PipelineArguments.__struct_fields__)
        registry = arguments.pop("registry", None)
        fields, parts = _split(arguments)
        for name, value in (("_plan", BackupPlan(**fields)), ("_parts", Parts(**parts)), ("_registry", registry)):
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, plan: BackupPlan) -> Self:
        """Make a pipeline of a plan; `replace` can then give it parts as objects."""
        return cls(**msgspec.structs.asdict(plan))

    def __repr__(self) -> str:
        """Show what was given, without secrets."""
        named = repr(self._plan).partition("(")[2].removesuffix(")")
        return f"Pipeline({', '.join([named, *(f'{part}={name}' for part, name in self._objects())])})"

    @keywords_of(PipelineOptions)
    def replace(self, **changes: Any) -> "Pipeline":
        """Return another pipeline with some parts changed."""
        parts = {"engine": self._parts.engine, "codec": self._parts.codec, "store": self._parts.storage}
        arguments = {
            **msgspec.structs.asdict(self._plan),
            **{name: part for name, part in parts.items() if part is not None},
            "checksums": (*self._plan.checksums, *self._parts.checksums.values()),
            "registry": self._registry,
        }
        return Pipeline(**{**arguments, **changes})

    @property
    def plan(self) -> BackupPlan:
        """The same as plain data, for other processes and machines; a part given as an object is a `UsageError`."""
        objects = [f"{part} ({name})" for part, name in self._objects()]
        if objects:
            raise UsageError(
                f"the pipeline is not portable, because it holds objects: {', '.join(objects)}",
                hint="give these parts by name, and install a plugin that offers them where the plan runs",
            )
        return self._plan

    def run(self, on_event: Watcher | None = None) -> Backup:
        """Make the backup; see `holdfast.backup`."""
        return operation.backup(self._plan, registry=self._lookup(), parts=self._parts, on_event=on_event)

    def run_all(self, on_event: Watcher | None = None, *, sources: Sequence[str] = ()) -> BackupSet:
        """Back up every database of the server, folder or pattern that `source` is; see `holdfast.backup_all`.

        With `sources` exactly these are backed up, and `source` is not looked at.
        """
        fields = msgspec.structs.asdict(self._plan)
        source = fields.pop("source")
        registry = self._lookup()
        with Run(Operation.BACKUP, registry=registry, on_event=on_event) as run:
            if fields["name"] is not None:
                raise UsageError("name goes with one database", hint="back up one at a time, or omit name")
            if not sources:
                chosen = {name: fields.pop(name) for name in ("select", "exclude")}
                sources = find_sources((source,), run=run, engine=self._parts.engine, **chosen)
        return back_up_all(sources, fields, registry=registry, parts=self._parts, on_event=on_event)

    def preview(self, on_event: Watcher | None = None) -> Preview:
        """Say what `run` would do: opens the source, writes nothing. `on_event` hears of a failure alone."""
        return operation.preview(self._plan, registry=self._lookup(), parts=self._parts, on_event=on_event)

    def _lookup(self) -> Registry:
        return self._registry or installed()

    def _objects(self) -> list[tuple[str, str]]:
        """The parts that are objects, each with the name of its type."""
        parts = self._parts
        given = [("engine", parts.engine), ("codec", parts.codec), ("store", parts.storage)]
        objects = [*given, *(("checksums", start) for start in parts.checksums.values())]
        return [
            (part, getattr(value, "__name__", type(value).__name__)) for part, value in objects if value is not None
        ]


def _split(arguments: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide keywords into fields of a plan and fields of `Parts`; a part is given by name or as an object."""
    fields, parts = dict(arguments), {}
    if "engine" in fields:
        parts["engine"] = fields.pop("engine")
    for name, part in (("codec", "codec"), ("store", "storage")):
        if name in fields:
            value = os.fspath(fields[name]) if isinstance(fields[name], os.PathLike) else fields[name]
            by_name = value is None or isinstance(value, str)
            fields[name], parts[part] = (value, None) if by_name else (None, value)
    if "checksums" in fields:
        fields["checksums"], parts["checksums"] = _checksums(fields["checksums"])
    return fields, parts


def _checksums(checksums: Any) -> tuple[tuple[str, ...], dict[str, Callable[[], Hasher]]]:
    if isinstance(checksums, str) or not isinstance(checksums, Iterable):
        raise UsageError(f"checksums is {checksums!r}, expected a list of names or callables")
    names = [checksum for checksum in checksums if isinstance(checksum, str)]
    starters = [checksum for checksum in checksums if not isinstance(checksum, str)]
    for start in starters:
        check_hasher_factory(start)
    return tuple(names), {_algorithm(start): start for start in starters}


def _algorithm(start: Callable[[], Hasher]) -> str:
    """The name of a digest given as a callable: what its object calls itself, as those of hashlib do."""
    return str(getattr(start(), "name", "") or getattr(start, "__name__", type(start).__name__)).lower()
