"""Files of ours open in `age` and pyrage, theirs open in ours, and nothing that was changed opens at all."""

import random
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyrage
import pytest

from holdfast.api import IntegrityError, UsageError
from holdfast_age import bech32
from holdfast_age.cipher import AgeCipher
from holdfast_age.key_files import PASSPHRASE
from holdfast_age.payload import CHUNK, OVERHEAD, AgeOpener

CIPHER = AgeCipher()
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 17]
STEP = CHUNK + OVERHEAD


@pytest.fixture(scope="module")
def key() -> bytes:
    return CIPHER.new_key()


def recipient(key: bytes) -> str:
    return CIPHER.recipient_of(key.decode().strip())


def sealed(key: bytes, plain: bytes) -> bytes:
    sealer = CIPHER.sealer(key)
    return sealer.head + bytes(sealer.seal(plain, 0, True))


def opened(key: bytes, data: bytes) -> bytes:
    opener = CIPHER.opener(key, data[: CIPHER.head_size])
    return opener.open(data[opener.head_size :], 0, True)


@pytest.mark.parametrize("size", SIZES)
def test_age_and_pyrage_open_ours_and_ours_opens_theirs(key: bytes, size: int, tmp_path: Path) -> None:
    plain = random.Random(size).randbytes(size)
    identity = tmp_path / "key"
    identity.write_bytes(key)
    ours = sealed(key, plain)
    by_age = subprocess.run(["age", "-d", "-i", str(identity)], input=ours, capture_output=True, check=True).stdout
    by_pyrage = pyrage.decrypt(ours, [pyrage.x25519.Identity.from_str(key.decode().strip())])
    assert by_age == by_pyrage == plain
    theirs = subprocess.run(["age", "-r", recipient(key)], input=plain, capture_output=True, check=True).stdout
    assert opened(key, theirs) == plain
    assert opened(key, pyrage.encrypt(plain, [pyrage.x25519.Recipient.from_str(recipient(key))])) == plain


def test_chunks_are_sealed_by_any_thread_and_opened_from_anywhere(key: bytes) -> None:
    plain = random.Random(1).randbytes(40 * CHUNK + 5)
    sealer = CIPHER.sealer(key)
    runs = [(number, min(number + 7, 41)) for number in range(0, 41, 7)]
    with ThreadPoolExecutor(4) as pool:
        parts = pool.map(lambda run: sealer.seal(plain[run[0] * CHUNK : run[1] * CHUNK], run[0], run[1] == 41), runs)
        body = b"".join(parts)
    opener = CIPHER.opener(key, sealer.head)
    assert opener.head_size == len(sealer.head)
    assert opener.open(body, 0, True) == plain
    assert opener.open(body[40 * STEP :], 40, True) == plain[40 * CHUNK :]
    assert opener.open(body[9 * STEP : 11 * STEP], 9, False) == plain[9 * CHUNK : 11 * CHUNK]


def _changes() -> dict[str, Callable[[bytes], bytes]]:
    """What somebody may do with a body of three whole chunks and a short one."""
    return {
        "a chunk dropped": lambda body: body[:STEP] + body[2 * STEP :],
        "a chunk doubled": lambda body: body[:STEP] + body,
        "two chunks swapped": lambda body: body[STEP : 2 * STEP] + body[:STEP] + body[2 * STEP :],
        "cut at the border of a chunk": lambda body: body[: 3 * STEP],
        "cut to the first chunk": lambda body: body[:STEP],
        "cut to nothing": lambda body: b"",
        "cut within a chunk": lambda body: body[:-1],
        "cut within a tag": lambda body: body[: 3 * STEP + OVERHEAD - 1],
        "a byte appended": lambda body: body + b"x",
        "a chunk appended": lambda body: body + body[-STEP:],
        "an empty chunk appended": lambda body: body + bytes(OVERHEAD),
    }


@pytest.mark.parametrize("change", _changes())
def test_a_file_that_somebody_has_changed_does_not_open(key: bytes, change: str) -> None:
    plain = random.Random(2).randbytes(3 * CHUNK + 100)
    data = sealed(key, plain)
    size = CIPHER.opener(key, data[: CIPHER.head_size]).head_size
    with pytest.raises(IntegrityError):
        opened(key, data[:size] + _changes()[change](data[size:]))


def test_no_flipped_bit_goes_unnoticed(key: bytes) -> None:
    plain = bytes(300)
    data = sealed(key, plain)
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 1 << at % 8
        with pytest.raises(IntegrityError):
            opened(key, bytes(damaged))


def test_a_file_for_another_key_does_not_open(key: bytes) -> None:
    with pytest.raises(IntegrityError, match="sealed to another key"):
        opened(CIPHER.new_key(), sealed(key, b"text"))


def test_a_file_that_ends_with_an_empty_chunk_does_not_open(key: bytes) -> None:
    """As age itself says: else there were two files of every plain one."""
    sealer = CIPHER.sealer(key)
    whole = bytes(sealer.seal(bytes(CHUNK), 0, False))
    empty = sealer._aead.encrypt((1 << 8 | 1).to_bytes(12, "big"), b"", None)
    with pytest.raises(IntegrityError, match="empty chunk"):
        AgeOpener.open(CIPHER.opener(key, sealer.head), whole + empty, 0, True)
    with pytest.raises(IntegrityError, match="empty chunk"):
        CIPHER.opener(key, sealer.head).open(empty, 1, True)


def test_a_sealer_takes_no_half_chunks(key: bytes) -> None:
    sealer = CIPHER.sealer(key)
    for data, position, last in ((b"x", 0, False), (b"", 0, False), (b"", 1, True)):
        with pytest.raises(ValueError, match="no whole chunks"):
            sealer.seal(data, position, last)


# --- key files ---


@pytest.fixture(scope="module")
def ssh_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ssh") / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "somebody@here", "-f", str(path)], check=True)
    return path


def test_a_key_sealed_to_a_recipient_opens_in_age_and_in_ours_and_for_nobody_else(key: bytes, tmp_path: Path) -> None:
    mine, other = CIPHER.new_identity(), CIPHER.new_identity()
    small = CIPHER.wrap(key, CIPHER.recipient_of(mine))
    (tmp_path / "me").write_text(mine)
    by_age = subprocess.run(["age", "-d", "-i", str(tmp_path / "me")], input=small, capture_output=True, check=True)
    assert by_age.stdout == key == CIPHER.unwrap(small, mine)
    assert CIPHER.unwrap(small, other) is None
    assert CIPHER.unwrap(small, f"{PASSPHRASE}text") is None


def test_an_ssh_key_is_a_recipient(key: bytes, ssh_key: Path) -> None:
    line = CIPHER.recipient(ssh_key.with_suffix(".pub").read_text())
    assert line.startswith("ssh-ed25519 ")
    assert "somebody" not in line
    small = CIPHER.wrap(key, line)
    (identity,) = CIPHER.identities(ssh_key.read_text())
    assert CIPHER.unwrap(small, identity) == key
    by_age = subprocess.run(["age", "-d", "-i", str(ssh_key)], input=small, capture_output=True, check=True)
    assert by_age.stdout == key


def test_a_passphrase_is_a_recipient_of_its_own(key: bytes) -> None:
    small = CIPHER.wrap(key, f"{PASSPHRASE}correct horse")
    assert CIPHER.unwrap(small, f"{PASSPHRASE}correct horse") == key
    assert CIPHER.unwrap(small, f"{PASSPHRASE}another") is None
    assert CIPHER.unwrap(small, CIPHER.new_identity()) is None


def test_a_damaged_key_file_is_told_from_one_for_somebody_else(key: bytes) -> None:
    mine = CIPHER.new_identity()
    small = CIPHER.wrap(key, CIPHER.recipient_of(mine))
    for damaged in (small[:-5], small[:-1] + bytes([small[-1] ^ 1]), b"nothing of the kind"):
        with pytest.raises(IntegrityError, match="key file is damaged"):
            CIPHER.unwrap(damaged, mine)


def test_what_is_no_recipient_is_refused(key: bytes) -> None:
    for text in ("", "age1", "ssh-ed25519 AAAA", key.decode().strip(), "passphrase:", "passphrase:text", "web1"):
        with pytest.raises(UsageError, match="not a recipient") as caught:
            CIPHER.recipient(text)
        assert key.decode().strip() not in str(caught.value)


def test_a_file_of_identities_has_comments_and_several(ssh_key: Path) -> None:
    first, second = CIPHER.new_identity(), CIPHER.new_identity()
    text = f"# created: now\n# public key: x\n{first}\n\n{ssh_key.read_text()}{second}\n"
    assert sorted(CIPHER.identities(text)) == sorted([first, second, ssh_key.read_text()])


def test_bech32_is_what_pyrage_writes(key: bytes) -> None:
    text = key.decode().strip()
    prefix, data = bech32.decode(text)
    assert bech32.encode(prefix, data).upper() == text
    for wrong in (text[:-1] + ("Q" if text[-1] != "Q" else "P"), text.capitalize(), "", "1", "age1b"):
        with pytest.raises(ValueError, match=r".+"):
            bech32.decode(wrong)
