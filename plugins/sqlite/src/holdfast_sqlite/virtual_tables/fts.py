"""The full-text modules: which tables their declared options make, and which they read."""

from __future__ import annotations

import re

from holdfast_sqlite.catalog import identifier
from holdfast_sqlite.tokens import folded, unquoted

MODULES = ("fts3", "fts4", "fts5")
# A quoted word of any kind or a bare one, as FTS5 reads its arguments (`fts5ConfigGobbleWord`).
_WORD = r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[(?:[^\]]|\]\])*\]|[^\x00-\x19\x1b-/:-@\[-^`{-\x7f]+"""
_FTS5_OPTION = re.compile(rf"({_WORD})\ *=\ *({_WORD})?\ *\Z")
_FTS5_UNINDEXED = re.compile(rf"(?>{_WORD})\ *unindexed\b", re.ASCII)  # folded
# In the order in which a name that is cut short is looked for: `cont=` is `content=`.
_FTS5_OPTIONS = (
    "prefix", "tokenize", "content", "contentless_delete", "contentless_unindexed", "content_rowid", "columnsize",
    "locale", "detail", "tokendata",
)  # fmt: skip
_FTS4_TOKENIZER = re.compile(r"tokenize[\x00-#%-/:-@\[-^`{-\x7f]")  # folded
_QUOTES = ("'", '"', "`", "[")


def rebuild(name: str) -> str:
    """The statement that makes the index of a full-text table anew from its content."""
    quoted = name if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) else identifier(name)
    return f"INSERT INTO {quoted}({quoted}) VALUES('rebuild')"


def fts5(arguments: tuple[str, ...]) -> tuple[set[str], list[str]]:
    """The suffixes of the shadow tables of an FTS5 table, and the tables or views that it reads."""
    options = {name: value for argument in arguments for name, value in _fts5_option(argument)}
    suffixes = {"config", "data", "idx"}
    if options.get("columnsize", "1") != "0":
        suffixes.add("docsize")
    content = options.get("content")
    if content is None:
        suffixes.add("content")
    elif (
        not content
        and options.get("contentless_unindexed") == "1"
        and any(_FTS5_UNINDEXED.match(folded(argument)) for argument in arguments)
    ):
        suffixes.add("content")  # SQLite 3.47 and newer: it holds the columns that are not indexed
    return suffixes, [content] if content else []


def is_trigram(arguments: tuple[str, ...]) -> bool:
    """Whether an FTS5 table takes its text apart into trigrams."""
    options = {name: value for argument in arguments for name, value in _fts5_option(argument)}
    return "trigram" in re.findall(r"\w+", folded(options.get("tokenize", "")))


def _fts5_option(argument: str) -> list[tuple[str, str]]:
    match = _FTS5_OPTION.match(argument)
    if match is None or match[1].startswith(_QUOTES):
        return []
    given = folded(match[1])
    names = [name for name in _FTS5_OPTIONS if name.startswith(given)]
    return [(name, unquoted(match[2] or "")) for name in names[:1]]


def fts4(arguments: tuple[str, ...]) -> tuple[set[str], list[str]]:
    """The same of an FTS4 table, whose options are not cut short and have nothing around their equals sign."""
    options = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if equals and not _FTS4_TOKENIZER.match(folded(argument)):
            options[folded(key)] = unquoted(value)
    suffixes = {"segments", "segdir", "stat"}
    if "matchinfo" not in options:
        suffixes.add("docsize")
    content = options.get("content")
    if content is None:
        suffixes.add("content")
    return suffixes, [content] if content else []


def fts3(arguments: tuple[str, ...]) -> tuple[set[str], list[str]]:
    """The same of an FTS3 table, which has no options: each argument is a column or the tokenizer."""
    del arguments
    return {"content", "segments", "segdir"}, []
