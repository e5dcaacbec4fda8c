"""Where in a statement tables are named: `x.y` is there a table y of a database x, and elsewhere a column y of x.

No parser: it follows clauses as far as that takes, over the statements that views, routines, triggers and events hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast_mysql.definitions.tokens import Token

TABLE = "table"
OBJECT = "object"  # a routine, a sequence, or a table: but something else could stand there as well

_LIST, _DDL = "list", "ddl"
_KEEP = frozenset(
    "concurrent delayed exists high_priority if ignore lateral low_priority not oj only quick".split()  # noqa: SIM905
)
_ENDS = frozenset(
    "except group having intersect limit order returning set union values where".split()  # noqa: SIM905
)
_OBJECTS = frozenset(
    """
    body call describe event explain for function lock package procedure sequence tables trigger view
    """.split()  # noqa: SIM905
)
_EVENTS = frozenset({"delete", "insert", "update"})
_CHANGES = frozenset({"alter", "create", "drop", "flush", "lock"})
_SEQUENCE_FUNCTIONS = frozenset({"lastval", "nextval", "setval"})
# The names of functions too.
_WRITING = frozenset({"insert", "replace", "truncate"})


@dataclass(kw_only=True)
class _Depth:
    """What holds between two parentheses: which names a comma separates, and whether there was a SELECT."""

    clause: str = ""
    selects: bool = False


def places(found: Sequence[Token]) -> list[str]:
    """For each token what is named there: TABLE, OBJECT, or empty for anything else."""
    walk = _Walk(found)
    return [walk.step(place) for place in range(len(found))]


class _Walk:
    def __init__(self, found: Sequence[Token]) -> None:
        self._words = [_word(found, place) for place in range(len(found))]
        self._texts = [token.text for token in found]
        self._depths = [_Depth()]
        self._expected = ""

    def step(self, place: int) -> str:
        """What the token is; the tokens come one after another."""
        said, text = self._expected, self._texts[place]
        here = self._depths[-1]
        if text == b"(":
            self._open(place)
        elif text == b")":
            del self._depths[max(1, len(self._depths) - 1) :]
            self._expected = ""
        elif text == b";":
            self._depths, self._expected = [_Depth()], ""
        elif text == b",":
            self._expected = TABLE if here.clause else ""
        elif self._words[place] not in _KEEP and text != b"{":
            self._expected = self._after(place, here)
        return said

    def _open(self, place: int) -> None:
        listing = self._depths[-1].clause == _LIST and self._expected == TABLE
        self._depths.append(_Depth(clause=_LIST if listing else ""))
        before = self._words[place - 1] if place else ""
        self._expected = TABLE if listing or before in _SEQUENCE_FUNCTIONS else ""

    def _after(self, place: int, here: _Depth) -> str:
        """What is named behind a word; it may begin another clause."""
        word = self._words[place]
        before = self._words[place - 1] if place else ""
        calls = self._texts[place + 1 : place + 2] == [b"("]
        if word == "select" or word in _ENDS:
            here.clause, here.selects = "", here.selects or word == "select"
            return ""
        if word in _OBJECTS and not (word in ("tables", "view", "sequence") and before in _CHANGES):
            return OBJECT
        if word == "on":
            return self._after_on(here, before)
        if word == "update" and before in ("key", "for"):
            here.clause = "" if before == "key" else here.clause
            return ""
        if word == "into":
            here.clause = ""
            return self._expected or OBJECT  # variables take rows too
        if (word in _WRITING and not calls) or word == "handler":
            here.clause = ""
            return TABLE
        if word == "from" and not here.selects and len(self._depths) > 1:
            return ""  # of TRIM, EXTRACT, SUBSTRING
        if word in ("from", "join", "update", "delete") or (word == "using" and not calls):
            here.clause = _LIST
            return TABLE
        if word in ("table", "tables", "view", "sequence"):
            here.clause = _DDL
            return TABLE
        named = (
            word == "references"
            or (word == "straight_join" and here.clause == _LIST)
            or (word in ("like", "to", "rename") and here.clause == _DDL)
            or (word == "of" and self._words[max(0, place - 2) : place] == ["row", "type"])
        )
        return TABLE if named else ""

    def _after_on(self, here: _Depth, before: str) -> str:
        """Behind the ON of a join is a condition, behind that of a trigger, a grant or an index a table."""
        if before in _EVENTS:
            here.clause = ""
        return "" if here.clause == _LIST else OBJECT


def _word(found: Sequence[Token], place: int) -> str:
    """A token as a word that can be a key word, else empty: quotes and a dot in front make a name of it."""
    if found[place].kind != "word" or (place and found[place - 1].text == b"."):
        return ""
    return found[place].text.lower().decode(errors="replace")
