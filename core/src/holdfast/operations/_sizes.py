"""How large a backup should be: one that is suddenly small may be of a database that somebody has emptied."""

import msgspec

from holdfast.command_text import command_text
from holdfast.errors import UnsafeError
from holdfast.plan import BackupPlan
from holdfast.policy import CONFIRMED, MAX_SHRINK, has_shrunk
from holdfast.run import Run
from holdfast.sizes import parse_size
from holdfast.store.catalog import Catalog
from holdfast.store.entry import Entry
from holdfast.store.manifest import Manifest


def check_size(catalog: Catalog, plan: BackupPlan, run: Run, manifest: Manifest) -> Manifest:
    """Compare the size of a backup, before it is published, with the least it may have and with the one before.

    What the plan does not allow is an `UnsafeError`. A backup that has shrunk by more than 90 %, whatever the plan
    allows, is published with a warning, and replaces none at a prune until it is confirmed: its manifest, which is
    returned, says so.
    """
    least = parse_size("min_size", plan.min_size) if plan.min_size is not None else 0
    if manifest.size < least:
        raise UnsafeError(
            f"the backup of '{run.name}' has {manifest.size} bytes, expected at least {least}",
            hint="see whether this is the database that it should be; nothing was published",
        )
    base = _base(catalog, run, manifest)
    before = _size(base.manifest) if base and base.manifest else 0
    now = _size(manifest)
    if base is None or now >= before:
        return manifest
    text = f"'{run.name}' has {now}{' stored' if manifest.cipher else ''} bytes, and had {before} in {base.id}"
    if plan.max_shrink is not None and has_shrunk(now, before, plan.max_shrink):
        raise UnsafeError(
            f"{text}: it has shrunk by more than {plan.max_shrink:g} %",
            hint="if that is right, back it up once with a larger --max-shrink; nothing was published",
        )
    if not has_shrunk(now, before, MAX_SHRINK):
        return manifest
    warning = (
        f"{text}: at a prune this backup replaces none of those before; if it should be so small, "
        + command_text("holdfast", "tag", run.id, CONFIRMED)
    )
    run.warn(warning)
    return msgspec.structs.replace(manifest, shrunk_from=base.id, warnings=[*manifest.warnings, warning])


def _size(manifest: Manifest) -> int:
    """The bytes that are compared: of what is encrypted nobody knows the plain ones of the backup before."""
    if manifest.cipher is None:
        return manifest.size
    return manifest.stored_size - (manifest.cipher.manifest.size if manifest.cipher.manifest else 0)


def _base(catalog: Catalog, run: Run, manifest: Manifest) -> Entry | None:
    """The last good backup of the same content that has not shrunk, or was confirmed."""
    for entry in catalog.newest(run.name):  # most often the first
        before = entry.manifest
        if before is None or not entry.good or before.content != manifest.content:
            continue
        if not before.shrunk_from or CONFIRMED in entry.tags:
            return entry
    return None
