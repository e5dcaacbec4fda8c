"""What each part of a plugin has, and what its members return: what the guard of plugins looks at."""

from collections.abc import Mapping
from typing import NamedTuple

from holdfast.api import Facts, Failure, Guarantee, Preview, Proof, Retention, Source, Stat, Step, Stream, Version

CHUNK = (bytes, bytearray, memoryview)


class Rule(NamedTuple):
    """What a member of a part has or returns: a value of some type, several, a context, or a further part."""

    types: tuple[type, ...] = ()  # any, where there is none
    shape: str = "value"  # `value`, `all` (in a collection), `each` (as they are iterated over), `context`, `none`
    role: str = ""  # of the part that is returned or entered
    optional: bool = False  # whether a part may be without it


_LINES = Rule((str,), "all")
_OPTIONAL_LINES = Rule((str,), "all", optional=True)
_NOTHING = Rule(shape="none")
ROLES: Mapping[str, Mapping[str, Rule]] = {
    "codec": {
        "suffix": Rule((str,)),
        "command": Rule((str,), optional=True),
        "frame_magic": Rule((bytes,), optional=True),
        "encode": Rule(CHUNK),
        "decoder": Rule(role="decoder"),
    },
    "decoder": {"decode": Rule(CHUNK, "each"), "finish": _NOTHING},
    "cipher": {
        "suffix": Rule((str,)),
        "chunk_size": Rule((int,)),
        "overhead": Rule((int,)),
        "head_size": Rule((int,)),
        "command": Rule((str,), optional=True),
        "new_key": Rule((bytes,)),
        "sealer": Rule(role="sealer"),
        "opener": Rule(role="opener"),
        "recipient": Rule((str,)),
        "identities": Rule((str,), "all"),
        "wrap": Rule((bytes,)),
        "unwrap": Rule((bytes, type(None))),
        "new_identity": Rule((str,), optional=True),
        "recipient_of": Rule((str,), optional=True),
    },
    "sealer": {"head": Rule((bytes,)), "seal": Rule(CHUNK)},
    "opener": {"head_size": Rule((int,)), "open": Rule((bytes,))},
    "checksum": {"update": _NOTHING, "hexdigest": Rule((str,))},
    "storage": {
        "location": Rule((str,)),
        "writer": Rule(shape="context", role="writer"),
        "read": Rule(CHUNK),
        "list": Rule((Stat,), "each"),
        "walk": Rule((Stat,), "each", optional=True),
        "names": Rule((str,), "each", optional=True),
        "fingerprint": Rule((str,), optional=True),
        "guarantees": Rule((Guarantee,), "each", optional=True),
        "stream": Rule(CHUNK, "each", optional=True),
        "delete_many": Rule(shape="none", optional=True),
        "check_retention": Rule(shape="none", optional=True),
        "retained_writer": Rule(shape="context", role="writer", optional=True),
        "retain": Rule(shape="none", optional=True),
        "retention": Rule((Retention, type(None)), optional=True),
        "versions": Rule((Version,), "each", optional=True),
        "read_version": Rule(CHUNK, optional=True),
        "bring_back": Rule(shape="none", optional=True),
        "stat": Rule((Stat,)),
        "delete": _NOTHING,
        "barrier": _NOTHING,
        "lease": Rule(shape="context"),
        "shared_lease": Rule(shape="context", optional=True),
        "age": Rule((float, int), optional=True),
        "rename": Rule(shape="none", optional=True),
        "folder": Rule((str,), optional=True),
        "fetch_steps": _OPTIONAL_LINES,
    },
    "writer": {"write": _NOTHING},
    "dump": {
        "streams": Rule((Stream,), "all"),
        "read": Rule(CHUNK, "each"),
        "proof": Rule((Proof, type(None))),
        "facts": Rule((Facts,)),
        "source": Rule((Source,), optional=True),
    },
    "restore": {
        "steps": Rule((Step,), "all"),
        "load": _NOTHING,
        "commit": _NOTHING,
        "warnings": _OPTIONAL_LINES,
        "failures": Rule((Failure,), "all", optional=True),
        "preview": Rule((Preview,), optional=True),
        "skipped_streams": _OPTIONAL_LINES,
    },
    "scratch": {
        "url": Rule((str,)),
        "server_version": Rule((str,)),
        "check": _LINES,
        "proof": Rule((Proof,)),
        "faults": _OPTIONAL_LINES,
        "warnings": _OPTIONAL_LINES,
    },
    "moment": {"missing": Rule((Mapping,)), "warnings": _LINES},
    "executor": {"submit": Rule(), "shutdown": _NOTHING},  # whoever submits looks at what is returned
}
