"""What the code looks like: sizes, and names that say what a thing is. Read from the tree, whoever wrote it."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
AREAS = sorted(
    str(path.relative_to(ROOT))
    for path in (
        *(ROOT / name for name in ("core/src", "core/tests", "tests", "benchmarks", "docs")),
        *ROOT.glob("plugins/*/src"),
        *ROOT.glob("plugins/*/tests"),
    )
)
COMMANDS = "|".join(path.stem.rstrip("_") for path in (ROOT / "core/src/holdfast/cli").glob("[a-z]*.py"))
MODULE, CLASS, FUNCTION = 400, 200, 60  # lines at most

# Names that nobody in the field uses, or that say nothing, and what takes their place.
NAMES = {
    "ByHand": "SupportsShellDecode",
    "Choosing": "SupportsSelection",
    "Doubt": "RawCopyUnsafe",
    "Drilled": "DrillResult",
    "Identified": "SupportsSource",
    "Judge": "Classifier",
    "Lane": "table part",
    "PluginEngine": "InstalledEngine",
    "Pruned": "PruneResult",
    "Refusal": "TaskError",
    "Restored": "RestoreResult",
    "Summed": "DigestPlan",
    "Taking": "SnapshotTaker",
    "TakenOver": "ImportResult",
    "Talk": "Console",
    "Verified": "VerifyResult",
    "Warned": "SupportsWarnings",
    "beside": "notes, verify_sidecars or in_background",
    "blaming": "attribute_errors",
    "busy_timeout": "lock_timeout",
    "byhand": "manual_restore",
    "check_beside": "verify_sidecars",
    "force_empty": "allow_last",
    "found": "the noun of what was looked for",
    "guide": "manual_restore",
    "inside": "overlap, or the noun",
    "lane": "table part",
    "lanes": "table_parts",
    "left_out": "skipped_streams",
    "lock_wait": "lock_timeout",
    "lowered": "lower_first",
    "one": "the noun of the thing",
    "our_errors": "translate_errors",
    "our_failures": "translate_errors",
    "places": "table_refs, or the noun",
    "saying": "translate_errors",
    "shown": "quote_name, or the noun",
    "stubs": "placeholder_tables",
    "surely": "run_cleanup",
    "takeover": "importer",
    "talk": "console, or the noun",
    "unproven_since": "unproven_for",
}


def trees(area: str) -> Iterator[tuple[str, str, ast.Module]]:
    """Each module of an area: its path from the root, its text and its tree."""
    for path in sorted((ROOT / area).rglob("*.py")):
        if "_build" not in path.parts:
            text = path.read_text()
            yield str(path.relative_to(ROOT)), text, ast.parse(text)


def identifier(node: ast.AST) -> str | None:
    """What a node names: a variable, an argument, an attribute, a function, a class or an import."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.keyword(arg=name):
            return name
        case ast.ExceptHandler(name=name) | ast.MatchAs(name=name) | ast.MatchStar(name=name):
            return name
        case ast.alias(name=name, asname=given):
            return given or name.rpartition(".")[2]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.arg(arg=name):
            return name
    return None


def too_large(path: str, text: str, tree: ast.Module) -> Iterator[str]:
    lines = text.count("\n")
    if lines > MODULE:
        yield f"{path} has {lines} lines, at most {MODULE}"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            most = CLASS if isinstance(node, ast.ClassDef) else FUNCTION
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines > most:
                yield f"{path}:{node.lineno}: {node.name} has {lines} lines, at most {most}"


@pytest.mark.parametrize("area", AREAS)
def test_modules_classes_and_functions_are_small_enough_to_be_read(area: str) -> None:
    assert [problem for module in trees(area) for problem in too_large(*module)] == []


@pytest.mark.parametrize("area", AREAS)
def test_names_say_what_a_thing_is(area: str) -> None:
    nodes = ((path, node, identifier(node)) for path, _, tree in trees(area) for node in ast.walk(tree))
    assert [
        f"{path}:{getattr(node, 'lineno', 0)}: {name}, better {NAMES[name]}"
        for path, node, name in nodes
        if name in NAMES
    ] == []


def loose_commands(tree: ast.Module) -> Iterator[int]:
    """The lines with a command for a shell that is put together without `command_text`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else None for part in node.values]
            yield from (
                node.lineno
                for text, filled in pairwise(parts)
                if filled is None and re.search(rf"\bholdfast ({COMMANDS}) (\S+ )*$", str(text))
            )


@pytest.mark.parametrize("area", [area for area in AREAS if area.endswith("src")])
def test_commands_in_messages_can_be_copied_into_a_shell(area: str) -> None:
    assert [f"{path}:{line}" for path, _, tree in trees(area) for line in loose_commands(tree)] == []
