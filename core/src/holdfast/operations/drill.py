"""Drill: restore a backup into a scratch database, check it there, and compare it with what the snapshot held.

What is wrong with the backup is a result and is recorded with it; so is what its source had at fault, which the backup
holds as it was and is no worse for. A drill that cannot be carried out (no
server, no space, no client program, a signal) says nothing about the backup: it raises and records nothing.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from holdfast.api import (
    Capability,
    Codec,
    DatabaseURL,
    Engine,
    Operation,
    Scratch,
    ScratchRequest,
    SupportsFaults,
    SupportsWarnings,
    Watcher,
)
from holdfast.defaults import default_jobs
from holdfast.errors import CredentialsError, HoldfastError, IntegrityError, PluginError, UsageError, refusal_text
from holdfast.identities import NO_IDENTITY, IdentitySource
from holdfast.operations._drill_server import drill_server
from holdfast.operations._loading import RestoreSetup, check_restored, load, resolve_restore
from holdfast.plan import RestorePlan, check_jobs
from holdfast.plugins.engine import options_for
from holdfast.plugins.guard import provider
from holdfast.plugins.registry import Registry
from holdfast.proof import Difference, compare, summary
from holdfast.record import Backup, reference
from holdfast.run import Run
from holdfast.scratch import scratch_folder
from holdfast.setup import StoreLike, check_part, complete
from holdfast.store import findings
from holdfast.store.catalog import Catalog, open_catalog
from holdfast.store.entry import Entry, ahead_warning
from holdfast.store.findings import Depth
from holdfast.store.lookup import is_latest, newest_good_hint
from holdfast.store.manifest import Manifest
from holdfast.store.readers import reading
from holdfast.store.sealed import open_backup
from holdfast.store.sums import verify_sidecars
from holdfast.url import redact


@dataclass(frozen=True, kw_only=True)
class DrillResult:
    """What a drill found.

    A backup that holds no proof was restored and checked but not compared, which makes it `verified`, not `proven`.
    """

    id: str  #: the id of the backup
    name: str  #: the name of its source
    engine: str  #: the engine that restored it
    state: str  #: the state of the backup afterwards: `verified`, `proven` or `damaged`
    depth: str  #: `drill`, or `restore` where the backup holds no proof
    passed: bool  #: whether all is well
    compared: int  #: the number of objects compared; 0 where the backup holds no proof
    server_version: str  #: the version of the server or library that ran the drill
    size_bytes: int  #: the plain bytes of all streams
    duration_seconds: float  #: how long it took
    problems: tuple[str, ...] = ()  #: all that is wrong, a line each, the differences included
    differences: tuple[Difference, ...] = ()  #: the objects that are not as recorded
    faults: tuple[str, ...] = ()  #: what was wrong in the source and is no damage of the backup, a line each
    warnings: tuple[str, ...] = ()  #: what to know besides, a line each

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


@dataclass(kw_only=True)
class _Outcome:
    """What is known so far of the drill that is running."""

    server_version: str = ""
    compared: int = 0
    failures: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def drill(
    backup: str | Backup,
    *,
    store: StoreLike,
    registry: Registry,
    into: str | None = None,
    options: Mapping[str, Any] | None = None,
    jobs: int | None = None,
    engine: Engine | None = None,
    codec: Codec | None = None,
    on_event: Watcher | None = None,
    identity: IdentitySource = NO_IDENTITY,
) -> DrillResult:
    """Test one backup and append the result to it; the scratch database is dropped whatever happens.

    `into` is the URL of a server of the backup's engine where the scratch database may be made; None means
    `HOLDFAST_DRILL_URL`, else a place of the engine's own choice. `engine` and `codec` stand in for those that the
    manifest names.
    """
    with Run(Operation.DRILL, registry=registry, on_event=on_event) as run:
        check_part("codec", codec)
        check_jobs(jobs)
        catalog = open_catalog(store, registry)
        entry, clear = _testable(catalog, reference(backup))
        run.identify(entry.id, entry.name)
        if is_latest(reference(backup)) and (warning := ahead_warning(entry)):
            run.warn(warning)
        run.action = f"the drill of {entry.id} could not be carried out"
        opened = open_backup(catalog.storage, entry, clear, registry=registry, identity=identity)
        manifest = opened.manifest
        with registry.needed_for(manifest.tool.plugins):
            engine = complete(engine) if engine else registry.engine(manifest.source.engine)
        into = drill_server(engine, into)
        run.hide(into or "")
        with scratch_folder() as folder, reading(catalog.storage, entry):
            request = _request(manifest, engine, folder, into, options or {}, jobs or default_jobs())
            with _scratch(engine, request) as scratch:
                run.hide(scratch.url)
                setup = resolve_restore(
                    _plan(entry, scratch, engine, request, options or {}),
                    entry,
                    opened,
                    run=run,
                    storage=catalog.storage,
                    engine=engine,
                    codec=codec,
                    drill=True,
                )
                # Recorded before the scratch database is dropped: what goes wrong then is not the backup's.
                result = _record(setup, _test(setup, scratch, folder))
        run.finish(**result.as_data())
        return result


def raise_for_failure(result: DrillResult, name: str, *, store: StoreLike, registry: Registry) -> None:
    """Raise `IntegrityError` if a drill found the backup damaged; where it was `latest`, name a good one."""
    if result.passed:
        return
    hint = newest_good_hint(open_catalog(store, registry), result.name) if is_latest(name) else None
    raise IntegrityError(f"the drill of {result.id} failed: {summary(result.problems)}", hint=hint)


def _testable(catalog: Catalog, name: str) -> tuple[Entry, Manifest]:
    """Find a backup whose manifest can be used; what is known to be damaged otherwise can be drilled."""
    entry = catalog.find(name)
    entry.check_readable()
    if entry.manifest is None:
        raise IntegrityError(f"backup {entry.id} is damaged: {entry.problem}", hint=entry.hint)
    return entry, entry.manifest


def _request(
    manifest: Manifest, engine: Engine, folder: Path, into: str | None, options: Mapping[str, Any], jobs: int
) -> ScratchRequest:
    own = folder / "scratch"
    own.mkdir(mode=0o700)
    return ScratchRequest(
        id=manifest.id,
        scratch=own,
        into=into,
        options=options_for("restore", engine, options),
        jobs=jobs,
        size=manifest.size,
        server_version=manifest.source.server_version,
        facts=manifest.hints,
    )


@contextmanager
def _scratch(engine: Engine, request: ScratchRequest) -> Iterator[Scratch]:
    """Make the scratch database; whatever goes wrong with that is never the backup's fault."""
    with ExitStack() as stack:
        try:
            scratch = stack.enter_context(engine.scratch(request))
        except IntegrityError as error:
            raise HoldfastError(f"no scratch database could be made: {error.message}", hint=error.hint) from error
        try:
            DatabaseURL.parse(scratch.url)
        except UsageError as error:
            raise PluginError(
                f"{provider(engine)} breaks its contract: the url of its scratch is {error.message}"
            ) from error
        yield scratch


def _plan(
    entry: Entry, scratch: Scratch, engine: Engine, request: ScratchRequest, options: Mapping[str, Any]
) -> RestorePlan:
    return RestorePlan(
        backup=f"{entry.name}/{entry.id}",
        target=scratch.url,
        jobs=request.jobs,
        options=dict(options),
        # The scratch database is checked afterwards, more thoroughly than a restore would.
        check=False if Capability.CHECK in engine.capabilities else None,
    )


def _test(setup: RestoreSetup, scratch: Scratch, folder: Path) -> _Outcome:
    """Restore, check and compare; what is wrong with the backup goes into the outcome, all else is raised."""
    outcome = _Outcome(server_version=scratch.server_version)
    _compare(setup, scratch, folder, outcome)
    lines = scratch.faults if isinstance(scratch, SupportsFaults) else ()
    agrees = not (outcome.failures or outcome.problems or outcome.differences)
    # What was changed on the way may be at fault because of that.
    (outcome.faults if agrees else outcome.problems).extend(" ".join(line.split()) for line in lines)
    for warning in scratch.warnings if isinstance(scratch, SupportsWarnings) else ():
        setup.run.warn(warning)
    return outcome


def _compare(setup: RestoreSetup, scratch: Scratch, folder: Path, outcome: _Outcome) -> None:
    # A drill includes what `verify` looks at, or it could not clear a failure of that.
    outcome.problems += verify_sidecars(setup.entry, setup.storage)
    try:
        restored = load(setup, folder)
    except IntegrityError as error:
        outcome.problems.append(error.message)
        return
    outcome.failures += [f"not restored: {failure}" for failure in restored.failures]
    with _as_problem(outcome):
        outcome.problems += [" ".join(line.split()) for line in scratch.check()]
    if setup.manifest.proof is None:
        setup.run.warn("the backup holds no proof: it was restored and checked, but could not be compared")
        return
    recorded = setup.manifest.proof.proof()
    if not recorded.objects:
        setup.run.warn(
            "the proof of the backup holds no objects: it was restored and checked, and nothing was compared"
        )
    with _as_problem(outcome):
        repeated = scratch.proof(recorded)
        if repeated.method != recorded.method:
            raise PluginError(
                f"the proof was recorded by the method '{recorded.method}', which the installed engine "
                f"'{setup.engine.name}' cannot repeat (it has '{repeated.method}')"
            )
        if recorded.objects and not repeated.objects:
            check_restored(setup, folder)  # an engine that restored nothing at all says nothing of the backup
        outcome.compared = len(recorded.objects)
        outcome.differences += compare(recorded, repeated)


@contextmanager
def _as_problem(outcome: _Outcome) -> Iterator[None]:
    """Take an `IntegrityError` of the restored database for what it is: a problem of the backup."""
    try:
        yield
    except IntegrityError as error:
        outcome.problems.append(error.message)


def _record(setup: RestoreSetup, outcome: _Outcome) -> DrillResult:
    """Append the finding and describe it."""
    entry, run = setup.entry, setup.run
    problems = [*outcome.failures, *(str(difference) for difference in outcome.differences), *outcome.problems]
    # A proof of nothing proves nothing: what it is of was restored and checked, and not compared.
    depth = Depth.DRILL if setup.manifest.proof and setup.manifest.proof.objects else Depth.RESTORE
    known = entry.findings
    detail = {
        "id": entry.id,
        "duration_seconds": round(run.seconds, 3),
        "engine": setup.engine.name,
        "server_version": outcome.server_version,
        "target": redact(setup.plan.target),
        "method": setup.manifest.proof.method if setup.manifest.proof else "",
        "compared": outcome.compared,
        "faults": outcome.faults,
    }
    try:
        known += (
            findings.record(
                setup.storage,
                entry.folder,
                depth=depth,
                problems=problems,
                detail=detail,
                sealed=setup.key is not None,
            ),
        )
    except (OSError, CredentialsError) as error:
        run.warn(f"the result could not be recorded in the store: {refusal_text(error)}")
    return DrillResult(
        id=entry.id,
        name=entry.name,
        engine=setup.engine.name,
        state=str(msgspec.structs.replace(entry, findings=known).state),
        depth=depth.name.lower(),
        passed=not problems,
        compared=outcome.compared,
        server_version=outcome.server_version,
        size_bytes=setup.manifest.size,
        duration_seconds=round(run.seconds, 3),
        problems=tuple(problems),
        differences=tuple(outcome.differences),
        faults=tuple(outcome.faults),
        warnings=tuple(run.warnings),
    )
