"""Names inside a store: made by the core, safe on every file system, checked when they come back.

The alphabet is lowercase letters, digits, dot, underscore and hyphen, so that no file system folds, refuses or
reinterprets a name; a part neither begins with a dot or hyphen nor ends with a dot.
"""

import hashlib
import re
import secrets
import time
from datetime import UTC, datetime, timedelta

from holdfast.command_text import command_text
from holdfast.errors import IntegrityError, UsageError, quote_name
from holdfast.url import redact

MANIFEST = "backup_manifest.json"
SUMS = "SHA256SUMS"
INSTRUCTIONS = "RESTORE.md"
FINDINGS = "findings"
LABELS = "labels"
KEYS = "keys"
MARKER = "holdfast.json"
CLAIM = "source.json"
FORMERLY = "formerly-"

ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-z]+")
_NAME = re.compile(r"[a-z0-9_][a-z0-9._-]{0,62}")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_SUFFIX = re.compile(r"(\.[A-Za-z0-9_-]{1,20}){0,4}")
_STORE = re.compile(r"[a-z][a-z0-9+.-]*://|\.{0,2}/|~", re.IGNORECASE)  # what a store is named like, and no backup
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
# Reserved on Windows whatever follows a dot; a store may be copied there.
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))})
_RESERVED = frozenset({MANIFEST.lower(), SUMS.lower(), INSTRUCTIONS.lower()})
_NOTES = frozenset({FINDINGS, LABELS})  # folders of what is added after publication


def new_id(now: float | None = None) -> tuple[str, datetime]:
    """Return an id and its time: seconds in the readable part, then four digits of the fraction, two of chance.

    The fraction (36^-4 s, 0.6 µs) makes ids of one second sort by time as well.
    """
    moment = time.time() if now is None else now
    fraction = int((moment % 1) * 36**4)
    digits = ""
    for _ in range(4):
        fraction, digit = divmod(fraction, 36)
        digits = _DIGITS[digit] + digits
    at = datetime.fromtimestamp(moment, UTC)
    chance = secrets.choice(_DIGITS) + secrets.choice(_DIGITS)
    return f"{at:%Y%m%dT%H%M%SZ}-{digits}{chance}", at


def time_of(backup_id: str) -> datetime:
    """The time that an id was made at, to the microsecond where it ends as ours do; the earliest for a bad date.

    Without the fraction a backup whose manifest is unreadable would count as older than others of its second, and
    a damaged newest one would be passed over.
    """
    try:
        at = datetime.strptime(backup_id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    digits = backup_id[17:]
    fraction = int(digits[:4], 36) / 36**4 if len(digits) == 6 else 0.0
    return at + timedelta(seconds=fraction)


def check_source_name(name: str) -> str:
    """Return a name given by `--name`, or raise `UsageError`."""
    if not _NAME.fullmatch(name) or name.endswith(".") or name.partition(".")[0] in _DEVICES or ID.fullmatch(name):
        raise UsageError(
            f"not a source name: {quote_name(name)}",
            hint=store_hint(name)
            or "use lowercase letters, digits and . _ - , at most 63, beginning with a letter, digit or _",
        )
    if name == "latest":
        raise UsageError("'latest' cannot be a source name, because it stands for the newest backup")
    return name


def store_hint(text: str) -> str | None:
    """What to write where a store stands in the place of a backup or a source; None for whatever is none."""
    if not _STORE.match(text):
        return None
    if "://" in text:
        return f"a store is named by --store: --store {redact(text).strip(chr(39))}"
    # A quoted ~ would be no home any more.
    path = text if text.startswith("~") and text.isprintable() else command_text(text)
    return f"a store is named by --store: --store {path}"


def is_source_name(name: str) -> bool:
    """Tell whether a folder can be that of a source."""
    return bool(_NAME.fullmatch(name))


def is_suffix(text: str) -> bool:
    """Tell whether a text can end a file name: nothing, or parts that each begin with a dot."""
    return bool(_SUFFIX.fullmatch(text))


def slug(text: str, limit: int = 40) -> str:
    """Reduce any text to a safe name: `Ünïcode Größe.db` becomes `n-code-gr-e.db`."""
    safe = re.sub(r"[^a-z0-9._]+", "-", text.lower())[:limit].strip(".-")
    if not safe:
        return "database"
    return f"_{safe}" if safe.partition(".")[0] in _DEVICES or safe == "latest" else safe


def blob_path(stream: str, suffix: str, taken: set[str]) -> str:
    """Make the path of a blob from the name of its stream and add it to `taken`.

    A name that had to be changed, or is taken, gets six hexadecimal digits of its hash or more; `taken` holds
    the folders of the paths as well, with a `/` at their end.
    """
    parts = [part for part in stream.split("/") if part] or ["stream"]
    safe = "/".join(slug(part, 80) for part in parts[-4:])
    path = safe + suffix
    digest = hashlib.sha256(stream.encode(errors="surrogatepass")).hexdigest()
    if safe != stream or not _is_free(path, taken):
        length = 6
        path = f"{safe}-{digest[:length]}{suffix}"
        while not _is_free(path, taken):
            # A folder of its path is reserved or a file: no ending of the name could change that.
            length += 6
            path = f"_{digest[:length]}{suffix}"
    folded = path.lower()
    taken.add(folded)
    taken.update(f"{folder}/" for folder in _folders(folded))
    return path


def _is_free(path: str, taken: set[str]) -> bool:
    """Tell whether a path can be a file: not taken, no folder of one that is, none of its folders a file."""
    folded = path.lower()
    return not (
        folded in taken
        or f"{folded}/" in taken
        or folded.partition("/")[0] in (_RESERVED | _NOTES)
        or any(folder in taken for folder in _folders(folded))
    )


def _folders(path: str) -> list[str]:
    """The folders of a path, outermost first."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: number + 1]) for number in range(len(parts))]


def check_blob_path(path: str) -> str:
    """Return a path that a manifest names, or raise `IntegrityError` if it could lead out of its folder."""
    parts = path.split("/")
    ok = all(_PART.fullmatch(part) and not part.endswith(".") for part in parts) and len(path) <= 1000
    if not ok or path.lower() in _RESERVED or parts[0].lower() in _NOTES:
        raise IntegrityError(f"the manifest names a blob {quote_name(path[:200])}, which is not a name in its folder")
    return path
