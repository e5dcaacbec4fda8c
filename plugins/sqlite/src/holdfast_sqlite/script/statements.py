"""The statements of a script, cut out of its text as it comes."""

import re
import sqlite3
from collections.abc import Iterator

_SPECIAL = re.compile(r"['\"`\[;]|--|/\*")
_CLOSING = {"'": "'", '"': '"', "`": "`", "[": "]", "--": "\n", "/*": "*/"}
_LEAD = re.compile(r"(?:\s+|--[^\n]*\n|/\*.*?\*/)+", re.DOTALL)
_TRIGGER = re.compile(r"CREATE\s+(?:TEMP\s+|TEMPORARY\s+)?TRIGGER\b", re.IGNORECASE)


class Splitter:
    """Cuts SQL text, which comes in pieces cut anywhere, into statements; linear, whatever the lengths."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._inside = ""  # what ends the literal, name or comment that we are in
        self._carry = ""

    def feed(self, text: str) -> Iterator[str]:
        """Yield the statements that this text completes, each with its semicolon."""
        text = self._carry + text
        self._carry = ""
        start = position = 0
        while position < len(text):
            if self._inside:
                end = text.find(self._inside, position)
                if end < 0:
                    # A token of two characters may be cut in two.
                    self._carry = "*" if self._inside == "*/" and text.endswith("*") else ""
                    break
                position = end + len(self._inside)
                self._inside = ""
                continue
            match = _SPECIAL.search(text, position)
            if match is None:
                self._carry = text[-1] if text[-1] in "-/" else ""
                break
            position = match.end()
            if match[0] != ";":
                self._inside = _CLOSING[match[0]]
                continue
            self._parts.append(text[start:position])
            start = position
            if statement := self._complete():
                yield statement
        self._parts.append(text[start : len(text) - len(self._carry)])

    def _complete(self) -> str:
        """The statement that the last semicolon ends; empty if it ends none, or an empty one."""
        statement = "".join(self._parts)
        if not _is_complete(statement):
            self._parts = [statement]
            return ""
        self._parts.clear()
        return statement if statement.strip("; \t\r\n") else ""

    def rest(self) -> str:
        """What is left and is no comment: the beginning of a statement."""
        text = "".join(self._parts) + self._carry + ("\n" if self._inside == "\n" else "")
        return _LEAD.sub("", text, count=1).strip()


def _is_complete(statement: str) -> bool:
    """Whether a semicolon ends the statement: within a trigger it does not."""
    if _TRIGGER.match(statement, first_word(statement)):
        return sqlite3.complete_statement(statement)
    return True


def first_word(statement: str) -> int:
    """Where a statement begins, behind white space and comments."""
    lead = _LEAD.match(statement)
    return lead.end() if lead else 0
