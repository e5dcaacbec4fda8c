"""Warnings that a client program writes although it ends well: what it left out, or what it doubts."""

import re
from collections.abc import Sequence

_WARNING = r"(?P<program>\w+): warning: (?P<text>.*)|WARNING:\s+(?:[0-9A-Z]{5}: )?(?P<server>.*)"
_MORE = r"(?:\w+: )?(?:detail: |DETAIL:\s+)?\s*(?P<text>.*)"
_NEXT = r"\w+: (?:hint|error|warning|info): |(?:HINT|LOCATION|CONTEXT|STATEMENT|NOTICE|WARNING|ERROR):"
_MOST = 100
_MOST_DETAILS = 5


def warnings_in(lines: Sequence[str]) -> list[str]:
    """The warnings among the lines of standard error, each once and with its details, in their order."""
    warnings: list[list[str]] = []
    open_warning = False
    for line in lines:
        if match := re.match(_WARNING, line):
            program = match["program"]
            warnings.append([f"{program}: {match['text']}" if program else f"warning of the server: {match['server']}"])
            open_warning = True
        elif re.match(_NEXT, line):
            open_warning = False
        elif open_warning and (detail := re.match(_MORE, line)) and detail["text"]:
            warnings[-1].append(detail["text"])
    texts = list(dict.fromkeys(_flat(parts) for parts in warnings))
    return texts if len(texts) <= _MOST else [*texts[:_MOST], f"{len(texts) - _MOST} more warnings are not shown"]


def _flat(parts: Sequence[str]) -> str:
    more = f" and {len(parts) - 1 - _MOST_DETAILS} more" if len(parts) - 1 > _MOST_DETAILS else ""
    details = ", ".join(parts[1 : 1 + _MOST_DETAILS])
    return " ".join((f"{parts[0]} ({details}{more})" if details else parts[0]).split())
