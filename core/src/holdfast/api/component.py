"""What a plugin offers, as plain data, and how its hooks are marked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import pluggy

from holdfast.field_docs import explain_fields

#: The version of this interface; it changes only together with the major version of Holdfast.
API_VERSION = 1


#: Marks a function as the specification of a hook; only the core needs it.
hookspec = pluggy.HookspecMarker("holdfast")


#: Marks a function as the implementation of a hook, with pluggy's options such as `wrapper=True`.
hookimpl = pluggy.HookimplMarker("holdfast")


class Kind(StrEnum):
    """What a component is."""

    ENGINE = "engine"  #: dumps and restores one kind of database
    CODEC = "codec"  #: compresses
    CHECKSUM = "checksum"  #: computes digests
    STORAGE = "storage"  #: keeps backups
    EXECUTOR = "executor"  #: runs the databases of `holdfast run` in threads or on other hosts
    CIPHER = "cipher"  #: encrypts


class Capability(StrEnum):
    """What an engine can do beyond dumping and restoring; the core refuses options that need a missing one."""

    SNAPSHOT = "snapshot"  #: the dump shows one moment, while others write
    PARALLEL_DUMP = "parallel-dump"  #: `DumpSession.read` may run in several threads at once
    PARALLEL_RESTORE = "parallel-restore"  #: `RestoreSession.load` may run in several threads at once
    SELECT = "select"  #: it honours `select` and `exclude`
    PROOF = "proof"  #: `DumpSession.proof` says what the snapshot held
    ATOMIC_RESTORE = "atomic-restore"  #: a failed restore leaves the target as it was
    CHECK = "check"  #: it has a test of soundness of its own, at backup and at restore
    FULL_CHECK = "full-check"  #: it has a deeper one besides, which compares indexes with their tables
    LIVE = "live"  #: it restores into a database that others have open


@explain_fields
@dataclass(frozen=True, kw_only=True)
class Component:
    """One thing that a plugin offers, as plain data.

    Options are recorded in the manifest as they were given, so none is a secret: those are in the URL, in the
    environment or in a file. A `ValueError` from `__post_init__` of the options is shown to the user as the reason
    why a value is refused.
    """

    #: What it is.
    kind: Kind
    #: The URL scheme of an engine, storage or executor, the name of a codec or cipher, the algorithm of a checksum.
    name: str
    #: Further names for the same thing.
    aliases: tuple[str, ...] = ()
    #: A few words for lists.
    summary: str = ""
    #: What an engine can do beyond dumping and restoring.
    capabilities: frozenset[Capability] = frozenset()
    #: A frozen dataclass whose fields, each with a default, become `-o KEY=VALUE` (of a storage `--store-option
    #: KEY=VALUE`) and a JSON Schema;
    #: `metadata={"help": …}` documents one, `"operations": ("backup",)` in it says where an engine's may be given, and
    #: the first is the one that `--codec NAME:VALUE` sets.
    options: type | None = None
    #: The kinds of objects that an engine can leave out, such as those of `ObjectKind`.
    kinds: frozenset[str] = frozenset()
    #: Parameters in the query of its URLs, in lowercase, whose values say how to connect and never who may: those are
    #: shown, and the values of all others are hidden everywhere.
    harmless_parameters: frozenset[str] = frozenset()
    #: The version of this interface that the component is made for.
    api_version: int = 1  # not API_VERSION: what says nothing is made for the first one, under any later core too
