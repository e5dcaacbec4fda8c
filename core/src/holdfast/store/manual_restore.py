"""The files that make a backup restorable without Holdfast: RESTORE.md and SHA256SUMS."""

from collections.abc import Mapping, Sequence

from holdfast.api import Codec, SupportsShellDecode
from holdfast.errors import PluginError, quote_name
from holdfast.store.manifest import Manifest
from holdfast.store.names import SUMS

_DECODE = "{decode:"


def restore_instructions(
    manifest: Manifest, codec: Codec, steps: tuple[str, ...], *, fetch: Sequence[str] = (), location: str = ""
) -> str:
    """Write RESTORE.md: what this is and the commands that restore it, runnable as they stand.

    `fetch` are the commands that bring the files from `location`, where that is no folder.
    """
    command = codec.command if isinstance(codec, SupportsShellDecode) else ("cat" if not codec.suffix else "")
    paths = {stream.name: stream.blob.path for stream in manifest.streams}
    longest = max(map(len, paths))
    lines = [_decoding(step, command or "DECODE", paths, longest) for step in steps]
    if not lines:
        lines = [f"{command or 'DECODE'} {path} > {path.removesuffix(codec.suffix)}.plain" for path in paths.values()]
    how = "" if command else f"\nDECODE stands for a command that reads the codec {manifest.codec.name}.\n"
    target = _target("".join(lines))
    return f"""# Restoring this backup by hand

Backup {manifest.id} of `{manifest.source.name}` (engine {manifest.source.engine}), made with Holdfast
{manifest.tool.holdfast} at {manifest.created_at:%Y-%m-%d %H:%M:%S} UTC. Holdfast is not needed to restore it.

{_fetching(fetch, location)}Run the commands in this folder. First see whether the files are those that were stored:

```sh
sha256sum -c {SUMS}
```

Then restore. {target}
{how}
```sh
{chr(10).join(lines)}
```
"""


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
