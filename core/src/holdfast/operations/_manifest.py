"""The manifest of a backup that is being made, the small files that lie with it, and the publication of all."""

import hashlib
import platform
from datetime import datetime

from holdfast.api import DumpSession, Facts, Proof, Source, SupportsShellFetch
from holdfast.error_boundary import scrub
from holdfast.errors import IntegrityError, PluginError, quote_name
from holdfast.host import Host
from holdfast.operations._sealing import new_key_files, sealed_files, sealed_manifest
from holdfast.plugins.guard import check_fields, provider, wrappers_of
from holdfast.record import place
from holdfast.run import Run
from holdfast.setup import BackupSetup
from holdfast.store.manifest import (
    FORMAT_VERSION,
    SEALED_VERSION,
    CipherRecord,
    CodecRecord,
    Manifest,
    ProofRecord,
    SourceRecord,
    StreamRecord,
    ToolRecord,
    content_of,
    encode,
    part_of,
)
from holdfast.store.manual_restore import FetchSteps, restore_instructions
from holdfast.store.names import INSTRUCTIONS, MANIFEST, SUMS, check_blob_path
from holdfast.store.origin import Origin, seal_text
from holdfast.store.retention import note_of, writer_for
from holdfast.store.sums import sums

_SELECTION = ("select", "exclude", "exclude_kinds")


def describe_backup(
    setup: BackupSetup,
    run: Run,
    streams: list[StreamRecord],
    *,
    origin: Origin,
    host: Host | None,
    source: Source,
    facts: Facts,
    proof: Proof | None,
    created_at: datetime,
) -> Manifest:
    """Write down all that is known of a backup whose streams are stored."""
    return Manifest(
        format_version=SEALED_VERSION if setup.encryption else FORMAT_VERSION,
        id=run.id,
        created_at=created_at,
        duration_seconds=round(run.seconds, 3),
        source=SourceRecord(
            name=run.name,
            url=setup.url.redacted(),
            engine=setup.engine.name,
            identity=origin.identity,
            host=host,
            address=source.address,
            position=list(source.position),
            server_version=facts.server_version,
        ),
        codec=CodecRecord(name=setup.codec_name, spec=setup.codec_spec),
        checksums=list(setup.hashers),
        streams=streams,
        tool=_tool(setup, facts),
        consistency_point=dict(facts.consistency_point),
        cipher=_cipher(setup, origin),
        options=_options(setup),
        selection=_selection(setup),
        proof=ProofRecord.of(proof, streams),
        damage=[scrub(line, setup.plan.source) for line in facts.damage],
        warnings=[scrub(line, setup.plan.source) for line in facts.warnings],
        tags=list(setup.plan.tags),
        hints=dict(facts.hints),
        run=setup.plan.run or "",
    )


def content(setup: BackupSetup, origin: Origin) -> str:
    """What the manifest's `content` will be."""
    plain = content_of(setup.engine.name, _options(setup), _selection(setup))
    # Stored bytes are compared then, which the codec makes.
    return seal_text(origin.secret, "content", f"{plain}\0{setup.codec_spec}") if setup.encryption else plain


def _cipher(setup: BackupSetup, origin: Origin) -> CipherRecord | None:
    if setup.encryption is None:
        return None
    part = part_of(_options(setup), _selection(setup))
    return CipherRecord(
        name=setup.encryption.name,
        content=content(setup, origin),
        part=seal_text(origin.secret, "part", part) if part else "",
    )


def _options(setup: BackupSetup) -> dict[str, str]:
    return {key: str(value) for key, value in setup.plan.options.items()}


def _selection(setup: BackupSetup) -> dict[str, list[str]]:
    return {key: list(value) for key in _SELECTION if (value := getattr(setup.plan, key))}


def _tool(setup: BackupSetup, facts: Facts) -> ToolRecord:
    from holdfast import __version__

    return ToolRecord(
        holdfast=__version__,
        python=platform.python_version(),
        plugins=dict(setup.plugins),
        programs=dict(facts.programs),
        wrappers=wrappers_of(setup.codec),
    )


def recorded_proof(setup: BackupSetup, session: DumpSession) -> tuple[Proof | None, Facts]:
    """What the engine recorded, and its facts, which it tells after that.

    Nothing is an error where a proof was asked for, unless the source may be damaged or the engine says why.
    """
    proof = None if setup.plan.proof is False else session.proof()
    facts = session.facts()
    check_fields(setup.engine, "proof()", proof)
    check_fields(setup.engine, "facts()", facts)
    if proof is None and setup.plan.proof and not (setup.plan.allow_damaged or facts.unproven):
        raise PluginError(f"{provider(setup.engine)} recorded no proof, though one was asked for")
    names = [(record.kind, record.name) for record in proof.objects] if proof else []
    if len(set(names)) != len(names):
        kind, name = next(name for name in names if names.count(name) > 1)
        raise PluginError(f"{provider(setup.engine)} recorded {kind} {quote_name(name)} twice in its proof")
    return proof, facts


def small_files(setup: BackupSetup, manifest: Manifest, facts: Facts) -> dict[str, bytes]:
    """The files that lie with the blobs: those of the engine, and how to restore by hand."""
    files = _engine_files(setup, manifest, facts)
    fetch = _fetch_steps(setup, manifest)
    try:
        if setup.encryption is not None:
            return sealed_files(setup.encryption, setup.codec, manifest, facts.restore_steps, files, fetch)
        instructions = restore_instructions(
            manifest, setup.codec, facts.restore_steps, fetch=fetch.steps, location=fetch.location
        )
    except PluginError as error:
        raise PluginError(f"{provider(setup.engine)} breaks its contract: {error.message}") from error
    return {**files, INSTRUCTIONS: instructions.encode()}


def _fetch_steps(setup: BackupSetup, manifest: Manifest) -> FetchSteps:
    """The commands that bring the files of a backup from its store, and where that is."""
    folder, storage = f"{manifest.source.name}/{manifest.id}", setup.storage
    steps = storage.fetch_steps(folder) if isinstance(storage, SupportsShellFetch) else ()
    secret = setup.plan.store or ""
    return FetchSteps(steps=[scrub(line, secret) for line in steps], location=place(storage, folder))


def _engine_files(setup: BackupSetup, manifest: Manifest, facts: Facts) -> dict[str, bytes]:
    """The small files that the engine adds, none in the place of another."""
    taken = {record.blob.path.lower() for record in manifest.streams}
    for name in facts.files:
        try:
            check_blob_path(name)
        except IntegrityError as error:
            raise PluginError(
                f"engine '{setup.engine.name}' adds a file {quote_name(name)}, which cannot be a file name"
            ) from error
        if name.lower() in taken:
            raise PluginError(f"engine '{setup.engine.name}' adds a file {quote_name(name)}, which is there already")
        taken.add(name.lower())
    return dict(facts.files)


def publish(setup: BackupSetup, manifest: Manifest, files: dict[str, bytes]) -> str:
    """Write the small files, make all of it durable, then the manifest; returns its SHA-256."""
    folder = f"{manifest.source.name}/{manifest.id}"
    if setup.encryption is None:
        data = encode(manifest)
    else:
        sealed, data = sealed_manifest(setup.encryption, manifest, setup.hashers)
        files = {**files, **sealed}
    checksum = hashlib.sha256(data).hexdigest()
    digests = {stream.blob.path: stream.blob.digests["sha256"] for stream in manifest.streams}
    digests |= {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    contents = {**files, SUMS: sums({**digests, MANIFEST: checksum})}
    if setup.encryption is not None:
        contents |= new_key_files(setup.encryption)
    if setup.retention is not None:
        contents |= [note_of(setup.retention)]
    for name, content in contents.items():
        with writer_for(setup.storage, f"{folder}/{name}", setup.retention) as writer:
            writer.write(content)
    setup.storage.barrier()
    with writer_for(setup.storage, f"{folder}/{MANIFEST}", setup.retention) as writer:
        writer.write(data)
    setup.storage.barrier()
    return checksum
