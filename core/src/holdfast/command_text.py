"""Command lines in hints: they are copied into a shell, whatever the paths in them hold."""

import shlex


def command_text(*words: str) -> str:
    """A command line on one line, each word quoted where a shell of today would read it otherwise.

    What cannot be printed is written as `$'…'`, which POSIX has since 2024, and every shell in use before.
    """
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(map(_escaped, word)) + "'"


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    return "".join(f"\\{byte:03o}" for byte in character.encode(errors="surrogateescape"))
