"""Paths of stores that nobody meant, or that lead nowhere: a new store there would be filled and looked for elsewhere.

Shells take quotes away and put the values of variables in. Files of variables, units of systemd and containers do not,
or not all of it, and editors of another system end each line with a carriage return.
"""

import os
import re

from holdfast.errors import NotFoundError, UsageError, quote_name

_MEANT_OTHERWISE = (
    (re.compile(r"[\x00-\x1f\x7f]"), "holds a control character, as of a file whose lines end as on Windows"),
    (re.compile(r"\A\s|\s\Z"), "begins or ends with a space"),
    (re.compile(r"\A[\"']|[\"']\Z"), "has quotes around it, which belong to the syntax of a shell"),
    (re.compile(r"\$[A-Za-z_{(]|`"), "names a variable that nobody has replaced by its value"),
    (re.compile(r"\{\{|\}\}"), "is a template that nobody has filled in"),
    (re.compile(r"\A~"), "begins with ~, and no such home is known"),
    (re.compile(r"\\"), "holds a backslash, as paths on Windows do"),
)


def check_likely(path: str) -> str:
    """Return a path, or raise `UsageError` for one that looks like a slip and is no folder that is there.

    A link on the way that leads nowhere, as to a disk that is not mounted, is a `NotFoundError`.
    """
    for pattern, what in _MEANT_OTHERWISE:
        if pattern.search(path) and not os.path.isdir(path):
            raise UsageError(
                f"no store at {quote_name(path)}, and that path {what}",
                hint="write the path as it is on the disk; if this is what you mean, make the folder first",
            )
    _check_links(os.path.abspath(path))
    return path


def _check_links(path: str) -> None:
    part = path
    while part != (above := os.path.dirname(part)):
        try:
            os.stat(part)
        except FileNotFoundError as error:
            if os.path.islink(part):
                target = os.path.join(above, os.readlink(part))
                raise NotFoundError(
                    f"no store at {quote_name(path)}: {quote_name(part)} is a link to {quote_name(target)}, "
                    "which is not there",
                    hint="see whether its disk is mounted; if it is, make that folder",
                ) from error
        except OSError:  # whoever reads or writes there says it
            return
        else:
            return
        part = above
