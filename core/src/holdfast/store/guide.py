"""The files that make a backup restorable without Holdfast: RESTORE.md and SHA256SUMS."""

import re

from holdfast.api import ByHand, Codec
from holdfast.store.manifest import Manifest
from holdfast.store.names import SUMS

_DECODE = re.compile(r"\{decode:([^}]*)\}")


def guide(manifest: Manifest, codec: Codec, steps: tuple[str, ...]) -> str:
    """Write RESTORE.md: what this is and the commands that restore it, runnable as they stand."""
    command = codec.command if isinstance(codec, ByHand) else ("cat" if not codec.suffix else "")
    paths = {stream.name: stream.blob.path for stream in manifest.streams}

    def decode(match: re.Match[str]) -> str:
        return f"{command or 'DECODE'} {paths[match[1]]}"

    lines = [_DECODE.sub(decode, step) for step in steps]
    if not lines:
        lines = [f"{command or 'DECODE'} {path} > {path.removesuffix(codec.suffix)}.plain" for path in paths.values()]
    how = "" if command else f"\nDECODE stands for a command that reads the codec {manifest.codec.name}.\n"
    target = "Put the database to make in the place of TARGET_DB." if "TARGET_DB" in "".join(lines) else ""
    return f"""# Restoring this backup by hand

Backup {manifest.id} of `{manifest.source.name}`, an {manifest.source.engine} database, made with Holdfast
{manifest.tool.holdfast} at {manifest.created_at:%Y-%m-%d %H:%M:%S} UTC. Holdfast is not needed to restore it.

Run the commands in this folder. First see whether the files are those that were stored:

```sh
sha256sum -c {SUMS}
```

Then restore. {target}
{how}
```sh
{chr(10).join(lines)}
```
"""


def sums(digests: dict[str, str]) -> bytes:
    """Write SHA256SUMS in the form of `sha256sum`; paths hold no character that it would escape."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(digests.items())).encode()


def parse_sums(data: bytes) -> dict[str, str]:
    """Read SHA256SUMS: digest by path; lines that are none are left out."""
    lines = (line.split("  ", 1) for line in data.decode(errors="replace").splitlines())
    return {parts[1]: parts[0] for parts in lines if len(parts) == 2}
