"""The files that make a backup restorable without Holdfast: RESTORE.md and SHA256SUMS."""

from collections.abc import Mapping, Sequence

import msgspec

from holdfast.api import Cipher, Codec, SupportsShellDecode
from holdfast.errors import PluginError, quote_name
from holdfast.store.manifest import Manifest
from holdfast.store.names import SUMS

_DECODE = "{decode:"


class FetchSteps(msgspec.Struct, frozen=True, kw_only=True):
    """The commands that bring the files of a backup from its `location`, where that is no folder."""

    steps: Sequence[str] = ()
    location: str = ""


def restore_instructions(
    manifest: Manifest, codec: Codec, steps: Sequence[str], *, fetch: Sequence[str] = (), location: str = ""
) -> str:
    """Write RESTORE.md: what this is and the commands that restore it, runnable as they stand.

    `fetch` are the commands that bring the files from `location`, where that is no folder.
    """
    how, target, lines = _restoring(manifest, codec, steps)
    return f"""# Restoring this backup by hand

{_about(manifest)} Holdfast is not needed to restore it.

{_fetching(fetch, location)}Run the commands in this folder. First see whether the files are those that were stored:

```sh
sha256sum -c {SUMS}
```

Then restore. {target}
{how}
```sh
{lines}
```
"""


def decrypting_instructions(manifest: Manifest, cipher: Cipher, fetch: FetchSteps) -> str:
    """Write RESTORE.md of an encrypted backup: how its files are decrypted, and nothing of what is in them."""
    command = getattr(cipher, "command", "") or "DECRYPT"
    suffix = cipher.suffix
    how = ""
    if command == "DECRYPT":
        name = manifest.cipher.name if manifest.cipher else ""
        how = (
            f"\nDECRYPT stands for a command that takes a file with a key and one that the cipher {name} has sealed.\n"
        )
    return f"""# Restoring this backup by hand

Backup {manifest.id}, made with Holdfast {manifest.tool.holdfast}, is encrypted. Holdfast is not needed to restore it.

{_fetching(fetch.steps, fetch.location)}Run the commands in this folder. First see whether the files are
those that were stored:

```sh
sha256sum -c {SUMS}
```

Then decrypt the key of the backup with yours, which is in the file IDENTITY, and all that it opens: that takes as much
space again.
{how}
```sh
umask 077
for file in keys/*{suffix}; do {command} IDENTITY "$file" > backup.key && break; done
for file in *{suffix}; do {command} backup.key "$file" > "${{file%{suffix}}}" || break; done
rm backup.key
```

Go on only if all of it was decrypted. INSTRUCTIONS.md, which is there then, says what to do with it.
"""


def opened_instructions(manifest: Manifest, codec: Codec, steps: Sequence[str], files: Mapping[str, str]) -> str:
    """Write what goes on from there; `files` are those of the engine by the names that they have until then."""
    how, target, lines = _restoring(manifest, codec, steps)
    folders = sorted({name.rpartition("/")[0] for name in files.values()} - {""})
    moves = "".join(
        [*(f"mkdir -p {folder}\n" for folder in folders), *(f"mv {old} {new}\n" for old, new in files.items())]
    )
    return f"""# Restoring this backup by hand, once it is decrypted

{_about(manifest)}

Restore in this folder. {target}
{how}
```sh
{moves}{lines}
```
"""


def _about(manifest: Manifest) -> str:
    return (
        f"Backup {manifest.id} of `{manifest.source.name}` (engine {manifest.source.engine}), made with Holdfast\n"
        f"{manifest.tool.holdfast} at {manifest.created_at:%Y-%m-%d %H:%M:%S} UTC."
    )


def _restoring(manifest: Manifest, codec: Codec, steps: Sequence[str]) -> tuple[str, str, str]:
    """What to know of the commands, what to put into them, and the commands."""
    command = codec.command if isinstance(codec, SupportsShellDecode) else ("cat" if not codec.suffix else "")
    paths = {stream.name: stream.blob.path for stream in manifest.streams}
    longest = max(map(len, paths))
    lines = [_decoding(step, command or "DECODE", paths, longest) for step in steps]
    if not lines:
        lines = [f"{command or 'DECODE'} {path} > {path.removesuffix(codec.suffix)}.plain" for path in paths.values()]
    how = "" if command else f"\nDECODE stands for a command that reads the codec {manifest.codec.name}.\n"
    return how, _target("".join(lines)), "\n".join(lines)


def _fetching(commands: Sequence[str], location: str) -> str:
    if not commands:
        return ""
    lines = "\n".join(commands)
    return f"The backup was stored at {location}. Its files come into an empty folder by\n\n```sh\n{lines}\n```\n\n"


def _target(commands: str) -> str:
    if "TARGET_DB" not in commands:
        return ""
    quoted = " There, write a ' in its name as '\\''." if "'TARGET_DB" in commands else ""
    return f"Put the database to make in the place of TARGET_DB.{quoted}"


def _decoding(step: str, command: str, paths: Mapping[str, str], longest: int) -> str:
    """Put the command in the place of each `{decode:NAME}`; a name may hold braces of its own, as tables may."""
    written, mark, rest = step.partition(_DECODE)
    while mark:
        ends = range(min(longest, len(rest) - 1), 0, -1)
        name = next((rest[:end] for end in ends if rest[end] == "}" and rest[:end] in paths), None)
        if name is None:
            raise PluginError(
                f"a step of its restore_steps decodes a stream that it did not dump: {quote_name(mark + rest)}"
            )
        before, mark, rest = rest[len(name) + 1 :].partition(_DECODE)
        written += f"{command} {paths[name]}{before}"
    return written
