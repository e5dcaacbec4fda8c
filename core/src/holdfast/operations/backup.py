"""Backup: open the source, claim a name, write every stream into the store, publish the manifest last."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import msgspec

from holdfast.api import DumpRequest, DumpSession, EventType, Operation, Source, Stream, SupportsSource, Watcher
from holdfast.command_text import command_text
from holdfast.endings import ENDINGS, is_failure
from holdfast.error_boundary import error_message, translate_errors, translate_os_errors
from holdfast.errors import HoldfastError, NotFoundError, os_error_text, quote_name
from holdfast.host import Host, this_host
from holdfast.operations._manifest import describe_backup, publish, recorded_proof, small_files
from holdfast.operations._occurrence import Occurrence
from holdfast.operations._sizes import check_size
from holdfast.operations._streams import check_streams, store_streams
from holdfast.operations._written import check_listing
from holdfast.plan import BackupPlan
from holdfast.plugins.guard import check_fields
from holdfast.plugins.registry import Registry
from holdfast.policy import AHEAD, is_ahead
from holdfast.record import Backup
from holdfast.run import Run
from holdfast.scratch import run_cleanup, run_unless_hung, scratch_folder
from holdfast.setup import BackupSetup, Parts, resolve_backup
from holdfast.store.catalog import Catalog
from holdfast.store.claims import Claim, claim_name, held_name, is_unused, name_for, new_backup, newest_id
from holdfast.store.entry import Entry
from holdfast.store.manifest import Manifest
from holdfast.store.names import slug, time_of
from holdfast.store.origin import Origin
from holdfast.store.ownership import check_owner
from holdfast.store.removal import discard, sweep
from holdfast.store.retention import new_retention
from holdfast.url import redact

log = logging.getLogger("holdfast.backup")


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a backup would do."""

    source: str  #: the source's URL, without its secrets
    name: str  #: the name that the source has in the store
    engine: str  #: the engine that would dump it
    codec: str  #: the codec, such as `zstd:1`
    checksums: tuple[str, ...]  #: the algorithms of all digests
    store: str  #: where the store is
    jobs: int  #: the number of parallel jobs
    streams: tuple[Stream, ...]  #: the streams, with the engine's hints of their sizes
    reuses: str = ""  #: the id of the backup of its run that there is already, so that none would be made


def backup(
    plan: BackupPlan,
    *,
    registry: Registry,
    parts: Parts | None = None,
    on_event: Watcher | None = None,
    at: datetime | None = None,
    operation: Operation = Operation.BACKUP,
) -> Backup:
    """Make one backup and return its record; on any failure nothing is published and what was written is removed.

    Raises `HoldfastError`s. `on_event` is called in this thread. `at` is the time of what is backed up, now if None.
    """
    with Run(operation, registry=registry, on_event=on_event) as run:
        run.hide(plan.source)
        setup = _with_retention(resolve_backup(plan, registry, parts or Parts()))
        entry = _make(setup, run, at)
        reused = entry.id != run.id
        run.identify(entry.id, entry.name)
        record = replace(Backup.of(entry, setup.storage), reused=reused)
        run.finish(**record.as_data())
        return record


def _with_retention(setup: BackupSetup) -> BackupSetup:
    """The same with until when its objects are to be kept; a store that cannot do that is refused at once."""
    with translate_errors(f"cannot use the store at {quote_name(setup.storage.location)}"):
        retention = new_retention(setup.storage, setup.plan.retain, setup.plan.retain_mode)
    return msgspec.structs.replace(setup, retention=retention)


def _make(setup: BackupSetup, run: Run, at: datetime | None) -> Entry:
    catalog = Catalog(setup.storage)
    exists = _check_store(catalog)
    if exists and not setup.plan.foreign_store:
        check_owner(setup.storage)
    if not exists and not setup.plan.create:  # before the source is opened, whose check may take long
        raise _no_store(catalog)
    with Occurrence.of(catalog, setup, run) as occurrence:
        return (occurrence.hold_early() if exists else None) or _make_new(catalog, occurrence, setup, run, at)


def _make_new(catalog: Catalog, occurrence: Occurrence, setup: BackupSetup, run: Run, at: datetime | None) -> Entry:
    """Make a backup, unless there is one of its run, as can be told once the source says which it is."""
    with _open_source(setup, run) as source, _claim_name(catalog, setup, source, run, occurrence, at) as created_at:
        if isinstance(created_at, Entry):
            return created_at
        manifest, files = _write(setup, source, run, created_at)
        # A run of the same name that failed meanwhile may have given it back, and another taken it.
        claim_name(catalog, source.origin, name=run.name, explicit=True, adopt=False)
        check_listing(setup, run, manifest.streams)
        manifest = check_size(catalog, setup.plan, run, manifest)
        if made := occurrence.made(run.name, source.origin):  # by somebody else, where leases keep nobody off
            _discard(catalog, run, source.origin, ended=False)
            return made
        checksum = publish(setup, manifest, files)
        run.settled = f"{run.name}/{run.id} is backed up all the same"
    retention = setup.retention
    return Entry(name=run.name, id=run.id, manifest=manifest, checksum=checksum, noted_retention=retention)


def preview(
    plan: BackupPlan, *, registry: Registry, parts: Parts | None = None, on_event: Watcher | None = None
) -> Preview:
    """Say what a backup would do: opens the source, writes nothing. A watcher hears of a failure alone."""
    with Run(Operation.BACKUP, registry=registry, on_event=on_event, dry_run=True) as run:
        run.hide(plan.source)
        setup = _with_retention(resolve_backup(plan, registry, parts or Parts()))
        catalog = Catalog(setup.storage)
        exists = _check_store(catalog)
        if not exists and not plan.create:
            raise _no_store(catalog)
        with _open_source(setup, run) as source, Occurrence.of(catalog, setup, run) as occurrence:
            name, explicit = _wanted_name(setup, source)
            made = None
            if exists:
                name = name_for(catalog, source.origin, name=name, explicit=explicit, adopt=plan.adopt).name
                made = occurrence.made(name, source.origin)
            return Preview(
                source=redact(plan.source),
                name=name,
                engine=setup.engine.name,
                codec=setup.codec_spec,
                checksums=tuple(setup.hashers),
                store=setup.storage.location,
                jobs=setup.jobs,
                streams=tuple(source.session.streams),
                reuses=made.id if made else "",
            )


def _check_store(catalog: Catalog) -> bool:
    """Whether there is a store; one that could not take a backup is an error."""
    with translate_errors(f"cannot use the store at {quote_name(catalog.storage.location)}"):
        return catalog.usable()


def _no_store(catalog: Catalog) -> HoldfastError:
    return NotFoundError(
        f"no store at {quote_name(catalog.storage.location)}, and it is not to be made",
        hint="see whether its disk is mounted; without --no-create a backup makes a new store",
    )


class _OpenSource(msgspec.Struct, frozen=True, kw_only=True):
    """A source whose snapshot is open; closing `session_context` frees it early."""

    session: DumpSession
    session_context: ExitStack
    known: Source
    origin: Origin
    host: Host | None

    @property
    def name(self) -> str:
        """Its name, as the engine says."""
        return self.known.name


@contextmanager
def _open_source(setup: BackupSetup, run: Run) -> Iterator[_OpenSource]:
    with ExitStack() as stack:
        with translate_errors(f"cannot open {redact(setup.plan.source)}"):
            scratch = stack.enter_context(scratch_folder())
            context = stack.enter_context(ExitStack())
            session = context.enter_context(setup.engine.dump(_request(setup, scratch, run)))
            known = _known_source(session, setup)
            host = this_host(setup.plan.host)
            if known.address.startswith(":"):
                known = replace(known, address=f"{host.name}{known.address}")
            plain = Origin.of(known, host)
            origin = plain.sealed() if setup.encryption else plain
            source = _OpenSource(session=session, session_context=context, known=known, origin=origin, host=plain.host)
        yield source


def _request(setup: BackupSetup, scratch: Path, run: Run) -> DumpRequest:
    plan = setup.plan
    return DumpRequest(
        url=plan.source,
        scratch=scratch,
        options=setup.options,
        jobs=setup.jobs,
        moment=setup.moment,
        report=run.report,
        **plan.request_fields(DumpRequest),
    )


def _known_source(session: DumpSession, setup: BackupSetup) -> Source:
    """Which database this is: as the engine says, else as its URL says."""
    if isinstance(session, SupportsSource):
        source = session.source
        check_fields(setup.engine, "source", source)
    else:
        redacted = setup.url.redacted().partition("?")[0]
        last = setup.url.path.rstrip("/").rpartition("/")[2]
        name = last.partition(".")[0] or setup.engine.name
        source = Source(name=name, identity=redacted, local=not setup.url.hosts)
    return replace(source, identity=f"{setup.engine.name}\0{source.identity}")


def _wanted_name(setup: BackupSetup, source: _OpenSource) -> tuple[str, bool]:
    """The name to claim for the source, and whether the user has chosen it."""
    return setup.plan.name or slug(source.name), setup.plan.name is not None


@contextmanager
def _claim_name(
    catalog: Catalog, setup: BackupSetup, source: _OpenSource, run: Run, occurrence: Occurrence, at: datetime | None
) -> Iterator[datetime | Entry]:
    """Hold an id and a name in the store, and yield the backup's time; what a block that fails wrote is removed.

    Where there is a backup of the run already, that is yielded, and nothing is to be done.
    """
    name, explicit = _wanted_name(setup, source)
    with translate_os_errors(f"cannot write to the store at {quote_name(catalog.storage.location)}"):
        catalog.open_or_create()
        with (
            new_backup(catalog, at) as (backup_id, created_at),
            held_name(catalog, source.origin, name=name, explicit=explicit, adopt=setup.plan.adopt) as claim,
        ):
            if made := occurrence.hold(claim.name, source.origin):
                yield made
                return
            sweep(catalog, claim.name)
            run.identify(backup_id, claim.name)
            for warning in _claim_warnings(catalog, claim, source.origin, name):
                run.warn(warning)
            if at is None:
                _warn_of_clocks(catalog, run, created_at)
            if claim.former and explicit:
                run.warn(f"the source '{claim.former}' is called '{claim.name}' now, and so is this backup")
            try:
                yield created_at
            except BaseException as error:
                _discard(catalog, run, source.origin, ended=not is_failure(error))
                raise


def _warn_of_clocks(catalog: Catalog, run: Run, created_at: datetime) -> None:
    """Say that the newest backup of the source is later than this one: it stays the latest until its time has come."""
    newest = newest_id(catalog, run.name)
    if newest and is_ahead(time_of(newest), created_at):
        delete = command_text("holdfast", "delete", newest, "--allow-last")
        run.warn(
            f"{run.name}/{newest}, the newest backup until now, is {AHEAD}, and stays the latest: see which clock is "
            f"wrong, and if that was when it was made, delete it ({delete})"
        )


def _claim_warnings(catalog: Catalog, claim: Claim, origin: Origin, wanted: str) -> Iterator[str]:
    """What to know of a name before the first backup under it."""
    host = origin.host.name if origin.host else ""
    passing = origin.host is not None and origin.host.is_passing
    if not (claim.taken or passing) or not is_unused(catalog, claim.name):
        return
    if claim.taken is not None:
        elsewhere = claim.taken.host if claim.taken.is_elsewhere(origin) else None
        whose = f"this path on host '{elsewhere.name}'" if elsewhere else "another database"
        ours = f"those of host '{host}'" if elsewhere else "those of this one"
        yield (
            f"the name '{wanted}' belongs to the backups of {whose}, and {ours} get the name '{claim.name}'; "
            f"if it is the same one in another place, use --name {wanted} --adopt"
        )
    if passing:
        yield (
            f"this host is called '{host}', as containers are that get another name with each start: give it one that "
            "stays by --host or HOLDFAST_HOST, else the next backup is taken for that of another host"
        )


def _discard(catalog: Catalog, run: Run, origin: Origin, *, ended: bool) -> None:
    """Remove what was written; the failure or signal that led here is the one to report."""
    try:
        (run_unless_hung if ended else run_cleanup)(lambda: discard(catalog, run.name, run.id, origin))
    except (Exception, *ENDINGS) as error:
        if not is_failure(error):
            raise
        why = os_error_text(error) if isinstance(error, OSError) else error_message(error)
        log.warning("could not remove the unfinished %s/%s: %s", run.name, run.id, why)


def _write(
    setup: BackupSetup, source: _OpenSource, run: Run, created_at: datetime
) -> tuple[Manifest, dict[str, bytes]]:
    """Store every stream, free the source, and return the manifest with the small files that lie with the blobs."""
    session, free_source = source.session, source.session_context.close
    streams = list(session.streams)
    check_streams(setup, streams)
    if all(stream.size is not None for stream in streams):
        run.total = sum(stream.size or 0 for stream in streams)
    run.emit(EventType.STARTED, url=setup.url.redacted(), engine=setup.engine.name, codec=setup.codec_spec)
    records = store_streams(setup, session, streams, run, free_source)
    with translate_errors(f"cannot read {redact(setup.plan.source)}"):
        proof, facts = recorded_proof(setup, session)
        free_source()  # before the store is synced, which may take long
    if facts.unproven:
        unproven = f"the backup has no proof, and a drill can only restore it: {facts.unproven}"
        facts = replace(facts, warnings=(*facts.warnings, unproven))
    for warning in (*facts.warnings, *facts.damage):
        run.warn(warning)
    manifest = describe_backup(
        setup,
        run,
        records,
        origin=source.origin,
        host=source.host,
        source=source.known,
        facts=facts,
        proof=proof,
        created_at=created_at,
    )
    return manifest, small_files(setup, manifest, facts)
