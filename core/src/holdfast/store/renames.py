"""Former names: a source that was renamed keeps them beside its claim, since its manifests never change.

Each is a small file of its own, created and never rewritten, whose name says all of it; the claim and the backups are
in the same folder, so that one rename of that folder takes all of them along.
"""

import contextlib

import msgspec

from holdfast.api import Storage, SupportsWalk
from holdfast.store.names import CLAIM, FORMERLY, is_source_name, store_hint
from holdfast.store.retention import free_writer

_SUFFIX = ".json"


def former_path(name: str, former: str) -> str:
    """Where a source keeps that it was called `former`."""
    return f"{name}/{FORMERLY}{former}{_SUFFIX}"


def former_marks(storage: Storage, name: str) -> list[str]:
    """The names that a source keeps as its former ones."""
    paths = storage.walk(name, lambda path: path == name) if isinstance(storage, SupportsWalk) else storage.list(name)
    marks = (stat.path.removeprefix(f"{name}/{FORMERLY}").removesuffix(_SUFFIX) for stat in paths)
    return sorted(former for former in marks if is_source_name(former))


def mark_former_name(storage: Storage, name: str, former: str) -> None:
    """Let a source keep that it was called `former`."""
    with contextlib.suppress(FileExistsError), free_writer(storage, former_path(name, former)) as writer:
        writer.write(msgspec.json.encode({"about": "a name that this source had"}) + b"\n")
    storage.barrier()


def was_called(storage: Storage, name: str, former: str) -> bool:
    """Whether a source had another name before; where that cannot be told it had not."""
    if not is_source_name(former):
        return False
    try:
        storage.stat(former_path(name, former))
    except OSError:
        return False
    return True


def former_names(storage: Storage) -> dict[str, list[str]]:
    """The names that sources had, each with what they are called now."""
    paths = storage.walk("", is_source_name) if isinstance(storage, SupportsWalk) else storage.list("")
    names: dict[str, list[str]] = {}
    for now, _, file in (stat.path.partition("/") for stat in paths):
        former = file.removeprefix(FORMERLY).removesuffix(_SUFFIX)
        if file == f"{FORMERLY}{former}{_SUFFIX}" and former != now:
            names.setdefault(former, []).append(now)
    return {former: sorted(names[former]) for former in names}


def renamed_to(storage: Storage, former: str) -> list[str]:
    """The sources that were called so, and are not any more."""
    return former_names(storage).get(former, [])


def renamed_hint(storage: Storage, former: str) -> str | None:
    """Say what a source is called now that nobody finds under this name, or that it is no name but a store."""
    if not is_source_name(former):
        return store_hint(former)
    names = renamed_to(storage, former)
    return f"the source that was called '{former}' is now '{names[0]}'" if names else None


def is_mark(name: str, path: str) -> bool:
    """Whether a path is that of a claim or of a former name of a source, and so of no backup."""
    file = path.removeprefix(f"{name}/")
    return "/" not in file and (file == CLAIM or (file.startswith(FORMERLY) and file.endswith(_SUFFIX)))
