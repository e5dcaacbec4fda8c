"""The published test vectors of the age format, as its package in the npm registry brings them."""

import contextlib
import hashlib
import itertools
import json
import subprocess
import sys
import zlib
from pathlib import Path
from typing import NamedTuple

import pytest

from holdfast.api import CredentialsError, IntegrityError
from holdfast_age.cipher import _private
from holdfast_age.payload import CHUNK, HEAD, OVERHEAD, AgeOpener

_MODULE = Path(sys.executable).parent.parent / "age-vectors/node_modules/cctv-age/index.js"
_PRINT = (
    "import(process.argv[1]).then(m => console.log(JSON.stringify(Object.fromEntries(Object.entries(m.default ?? m)"
)
_PRINT += ".map(([name, data]) => [name, Buffer.from(data).toString('hex')])))))"
_STEP = CHUNK + OVERHEAD


class Vector(NamedTuple):
    facts: dict[str, list[str]]
    data: bytes

    @property
    def expected(self) -> str:
        return self.facts["expect"][0]


@pytest.fixture(scope="module")
def vectors() -> dict[str, Vector]:
    if not _MODULE.exists():
        pytest.fail("the test vectors of age are not installed: make .venv/.ready-age-vectors", pytrace=False)
    printed = subprocess.run(["node", "-e", _PRINT, str(_MODULE)], capture_output=True, check=True).stdout
    return {name: _read(bytes.fromhex(data)) for name, data in json.loads(printed).items()}


def _read(data: bytes) -> Vector:
    head, _, body = data.partition(b"\n\n")
    facts: dict[str, list[str]] = {}
    for line in head.decode().splitlines():
        name, _, value = line.partition(": ")
        facts.setdefault(name, []).append(value)
    return Vector(facts, zlib.decompress(body) if "compressed" in facts else body)


def _ours(vector: Vector) -> bool:
    """Whether a vector is of what blobs are: binary, for native X25519 keys."""
    identities = vector.facts.get("identity", [])
    return (
        "armored" not in vector.facts
        and "passphrase" not in vector.facts
        and all(identity.startswith("AGE-SECRET-KEY-1") for identity in identities)
        and bool(identities)
    )


def _open(vector: Vector) -> tuple[str, bytes]:
    """What comes of a vector, as it says itself, and what was opened before that."""
    opened = b""
    opener = None
    for identity in vector.facts["identity"]:
        try:
            opener = AgeOpener(_private(identity.encode()), vector.data[:HEAD])
            break
        except CredentialsError:
            continue
        except IntegrityError as error:
            if error.message == "the age file is cut off":
                return "header failure", b""
            return ("HMAC failure" if "MAC is wrong" in error.message else "header failure"), b""
    if opener is None:
        return "no match", b""
    body = vector.data[opener.head_size :]
    starts = range(0, len(body), _STEP) or range(1)
    for number, start in enumerate(starts):
        try:
            opened += opener.open(body[start : start + _STEP], number, start == starts[-1])
        except IntegrityError:
            # Programs that do not know where a file ends hand a chunk out before they see what follows it, or that
            # nothing does; of two vectors what follows is a single byte.
            chunk = body[start : start + _STEP]
            for last, data in itertools.product((False, True), (chunk, chunk[:-1])):
                with contextlib.suppress(IntegrityError):
                    return "payload failure", opened + opener.open(data, number, last)
            return "payload failure", opened
    return "success", opened


def test_every_vector_for_native_keys_ends_as_it_says(vectors: dict[str, Vector]) -> None:
    ours = {name: vector for name, vector in vectors.items() if _ours(vector)}
    assert len(ours) > 50
    wrong = {}
    for name, vector in ours.items():
        outcome, opened = _open(vector)
        digest = hashlib.sha256(opened).hexdigest()
        payload = vector.facts.get("payload", [digest])[0]
        if (outcome, digest) != (vector.expected, payload):
            wrong[name] = (outcome, vector.expected, len(opened), digest == payload)
    assert wrong == {}
