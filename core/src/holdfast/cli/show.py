"""holdfast show."""

from typing import TYPE_CHECKING

import click

from holdfast.cli.console import Console
from holdfast.cli.options import json_option, output_options, store_option
from holdfast.cli.text import size, visible

if TYPE_CHECKING:
    from holdfast.record import Backup
    from holdfast.setup import StoreLike
    from holdfast.store.manifest import Manifest


@click.command("show")
@click.argument("backup", metavar="ID")
@store_option
@json_option(run=False)
@output_options
@click.pass_obj
def command(console: Console, backup: str, store: "StoreLike") -> None:
    """Show one backup: its record, its manifest and its findings.

    ID is an id, a unique beginning of one, latest or NAME/latest.
    """
    import msgspec

    from holdfast.defaults import installed
    from holdfast.errors import IntegrityError
    from holdfast.record import Backup
    from holdfast.store.catalog import open_catalog
    from holdfast.store.lookup import is_latest
    from holdfast.store.names import MANIFEST
    from holdfast.store.retention import retention_of, until_text

    catalog = open_catalog(store, installed())
    entry = catalog.find(backup)
    if entry.manifest is None:
        raise IntegrityError(f"backup {entry.id} is damaged: {entry.problem}", hint=entry.hint)
    record = Backup.of(entry, catalog.storage)
    findings = [
        {
            "time": finding.time.isoformat().replace("+00:00", "Z"),
            "depth": finding.depth.name.lower(),
            "result": "passed" if finding.passed else "failed",
        }
        for finding in sorted(entry.findings, key=lambda finding: finding.time)
    ]
    if console.json:
        # The file itself, not our reading of it: fields that this version does not know are shown as well.
        manifest = msgspec.json.decode(catalog.storage.read(f"{entry.folder}/{MANIFEST}"))
        console.data({**record.as_data(), "findings": findings, "manifest": manifest})
    else:
        retention = retention_of(catalog.storage, entry.folder, lambda: entry.noted_retention)
        _show(console, record, entry.manifest, findings, held=until_text(retention) if retention else "")
        for stream in entry.manifest.streams:
            blob = stream.blob
            sizes = size(blob.size) if entry.manifest.is_sealed else f"{size(stream.size)} as {size(blob.size)}"
            console.out(f"  {blob.path}  {sizes}  {blob.digests['sha256']}")
    if is_latest(backup):
        catalog.readable(backup)  # says, with exit 13, when the newest is damaged


def _show(
    console: Console, record: "Backup", document: "Manifest", findings: list[dict[str, str]], *, held: str
) -> None:
    facts = {
        "id": record.id,
        "name": record.name,
        "state": record.state + (f" ({record.problem})" if record.problem else ""),
        "source": f"{record.source_url} ({record.engine})",
        "created": f"{record.created_at:%Y-%m-%d %H:%M:%S} UTC, took {record.duration_seconds:.1f} s",
        "size": f"{size(record.size_bytes)}, stored {size(record.stored_bytes)} ({record.codec})",
        "manifest": f"sha256 {record.checksum}",
        "folder": record.path,
    }
    if document.is_sealed:
        facts["source"] = f"sealed ({record.codec})"
        facts["created"] = f"{record.created_at:%Y-%m-%d %H:%M:%S} UTC"
        facts["size"] = f"stored {size(record.stored_bytes)} ({record.codec})"
    if held:
        facts["held"] = f"until {held}"
    if document.part:
        facts["holds"] = f"a part of its source{'' if document.is_sealed else f': {document.selected}'}"
    if document.options:
        facts["options"] = ", ".join(f"{key}={value}" for key, value in document.options.items())
    if record.tags:
        facts["tags"] = ", ".join(record.tags)
    for key, value in facts.items():
        console.out(f"{key:9} {visible(value)}")
    for warning in record.warnings:
        console.out(f"{'warning':9} {visible(warning)}")
    for finding in findings:
        console.out(f"{'check':9} {finding['time'][:19]}Z {finding['depth']} {finding['result']}")
    console.out("streams")
