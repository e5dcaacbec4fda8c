"""Names of what is not whole yet, which no object of a store has."""

import os

PARTIAL = ".partial-"
"""How the name of what is being written, or was when somebody died, begins."""


def temporary_path(path: str) -> str:
    """A new path in the folder of an object, for its bytes while it is being written: `a/b` may get `a/.partial-0f…`.

    No object of a store has such a name, and no two writers get the same one: what a writer leaves that dies is in
    nobody's way, and lies in the folder with which it is removed.
    """
    folder, mark, _ = path.rpartition("/")
    return f"{folder}{mark}{PARTIAL}{os.urandom(6).hex()}"
