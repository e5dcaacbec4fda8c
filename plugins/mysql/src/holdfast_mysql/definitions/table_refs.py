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
    "except group having intersect limit order returning select set union values where".split()  # noqa: SIM905
)
_OBJECTS = frozenset(
    """
    body call describe event explain for function lock package procedure sequence tables trigger view
    """.split()  # noqa: SIM905
)
_DDL_OBJECTS = frozenset({"sequence", "tables", "view"})
_LISTING = frozenset({"delete", "from", "join", "update"})
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


def classify_names(tokens: Sequence[Token]) -> list[str]:
    """For each token what is named there: TABLE, OBJECT, or empty for anything else."""
    walk = _Walk(tokens)
    return [walk.step(index) for index in range(len(tokens))]


class _Walk:
    """Goes from token to token and keeps what the next one names."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._words = [_word(tokens, index) for index in range(len(tokens))]
        self._texts = [token.text for token in tokens]
        self._depths = [_Depth()]
        self._expected = ""

    def step(self, index: int) -> str:
        """What the token is; the tokens come one after another."""
        expected, text = self._expected, self._texts[index]
        depth = self._depths[-1]
        if text == b"(":
            self._open(index)
        elif text == b")":
            del self._depths[max(1, len(self._depths) - 1) :]
            self._expected = ""
        elif text == b";":
            self._depths, self._expected = [_Depth()], ""
        elif text == b",":
            self._expected = TABLE if depth.clause else ""
        elif self._words[index] not in _KEEP and text != b"{":
            self._expected = self._after(index, depth)
        return expected

    def _open(self, index: int) -> None:
        # Behind the USING of a join stand bare columns, behind that of a routine in another language its libraries.
        listing = (self._depths[-1].clause == _LIST and self._expected == TABLE) or self._before(index) == "using"
        self._depths.append(_Depth(clause=_LIST if listing else ""))
        self._expected = TABLE if listing or self._before(index) in _SEQUENCE_FUNCTIONS else ""

    def _before(self, index: int) -> str:
        return self._words[index - 1] if index else ""

    def _after(self, index: int, depth: _Depth) -> str:
        """What is named behind a word; it may begin another clause."""
        word, before = self._words[index], self._before(index)
        if word in _ENDS:
            depth.clause, depth.selects = "", depth.selects or word == "select"
            return ""
        if word in _OBJECTS and not (word in _DDL_OBJECTS and before in _CHANGES):
            return OBJECT
        if word == "on":
            return self._after_on(depth, before)
        if word == "update" and before in ("key", "for"):
            depth.clause = "" if before == "key" else depth.clause
            return ""
        if word == "into":
            depth.clause = ""
            return self._expected or OBJECT  # variables take rows too
        return self._after_clause(index, depth)

    def _after_on(self, depth: _Depth, before: str) -> str:
        """Behind the ON of a join is a condition, behind that of a trigger, a grant or an index a table."""
        if before in _EVENTS:
            depth.clause = ""
        return "" if depth.clause == _LIST else OBJECT

    def _after_clause(self, index: int, depth: _Depth) -> str:
        """What is named behind a word that begins a clause of tables, or goes on with one."""
        word = self._words[index]
        calls = self._texts[index + 1 : index + 2] == [b"("]
        if (word in _WRITING and not calls) or word == "handler":
            depth.clause = ""
            return TABLE
        if word == "from" and not depth.selects and len(self._depths) > 1:
            return ""  # of TRIM, EXTRACT, SUBSTRING
        if word in _LISTING or (word == "using" and not calls):
            depth.clause = _LIST
            return TABLE
        if word in _DDL_OBJECTS or word == "table":
            depth.clause = _DDL
            return TABLE
        return TABLE if self._continues(index, depth) else ""

    def _continues(self, index: int, depth: _Depth) -> bool:
        """Whether a word inside of a clause names another table."""
        word = self._words[index]
        return (
            word == "references"
            or (word == "straight_join" and depth.clause == _LIST)
            or (word in ("like", "to", "rename") and depth.clause == _DDL)
            or (word == "of" and self._words[max(0, index - 2) : index] == ["row", "type"])
        )


def _word(tokens: Sequence[Token], index: int) -> str:
    """A token as a word that can be a key word, else empty: quotes and a dot in front make a name of it."""
    if tokens[index].kind != "word" or (index and tokens[index - 1].text == b"."):
        return ""
    return tokens[index].text.lower().decode(errors="replace")
