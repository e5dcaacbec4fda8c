"""What the target of a restore holds once its engine says that it is done: nobody else would look before it is needed.

The core knows no database. But an engine refuses a restore into a target that holds data, and so says whether one does.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from holdfast.api import Engine, Failure, RestoreRequest
from holdfast.errors import HoldfastError, PluginError
from holdfast.plugins.guard import provider
from holdfast.store.manifest import Manifest
from holdfast.url import redact

# Kinds of objects that are data to every engine: those with rows, and files. Of all else, such as a comment, an engine
# may well say that a target with it holds no data.
_TABLES = frozenset({"table", "rows", "content"})
_FILES = frozenset({"file"})


def check_target(
    engine: Engine, request: RestoreRequest, manifest: Manifest, failures: Sequence[Failure], scratch: Path
) -> None:
    """Ask the engine whether a target holds data after a restore; `PluginError` if it says that it holds none.

    Only where the proof counts rows, or lists files, is it known that there has to be any; a target of which the engine
    says something else than yes or no, or that cannot be asked for want of scratch space, tells nothing. What is a part
    of its source goes into a target that holds more.
    """
    if request.select or request.exclude or request.exclude_kinds or failures or manifest.part:
        return
    recorded = manifest.proof.objects if manifest.proof else ()
    rows = sum(each.rows or 0 for each in recorded if each.kind in _TABLES)
    files = sum(each.kind in _FILES for each in recorded)
    if not rows and not files:
        return
    folder = scratch / "asked"
    try:
        folder.mkdir(mode=0o700)
        with engine.restore(replace(request, scratch=folder, replace=False, dry_run=True)) as session:
            list(session.steps)
    except (HoldfastError, OSError):
        return
    raise PluginError(
        f"{provider(engine)} has committed a restore into {redact(request.url)}, and says that it holds no data: the "
        f"proof of the backup has {f'{rows} rows' if rows else f'{files} files'}",
        hint="nothing is restored; tell its authors, for nothing is said of the backup by this",
    )
