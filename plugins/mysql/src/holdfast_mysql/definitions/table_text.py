"""The text of a table's definition, taken apart once for all that ask about it."""

from functools import cached_property, lru_cache

from holdfast_mysql.definitions.tokens import Token, code, upper_words

_PLAIN = ("KEY", "INDEX")


class Clause:
    """One column, key or constraint: its tokens, and where its text begins and ends."""

    def __init__(self, body: bytes, tokens: list[Token]) -> None:
        self._body = body
        self.tokens = tokens
        self.start = tokens[0].start if tokens else 0

    @cached_property
    def words(self) -> list[str]:
        """The texts of its tokens in upper case."""
        return upper_words(self.tokens)

    @cached_property
    def kind(self) -> str:
        """`column`, `key`, `unique`, `primary`, `fulltext`, `reference` or `constraint`."""
        words = self.words
        if self.tokens[0].kind != "word":
            return "column"
        if words[0] == "CONSTRAINT":
            return "reference" if "FOREIGN" in words[1:4] else "constraint"
        if words[0] in _PLAIN:
            return "key"
        if words[:2] == ["UNIQUE", "KEY"]:
            # Keys over whole texts (MariaDB) are hidden columns, and periods are constraints.
            return "constraint" if "HASH" in words or "OVERLAPS" in words else "unique"
        return {"PRIMARY": "primary", "FULLTEXT": "fulltext"}.get(words[0], "constraint")

    @property
    def first_column(self) -> str:
        """The first column of a key."""
        opening = next(index for index, token in enumerate(self.tokens) if token.text == b"(")
        return self.tokens[opening + 1].name or ""

    @property
    def end(self) -> int:
        """Where it ends; that may be in a versioned comment, as of INVISIBLE: its closing mark belongs to it."""
        end = self.tokens[-1].end
        inner = self._body[self.start : end]
        return self._body.index(b"*/", end) + 2 if inner.count(b"/*") > inner.count(b"*/") else end

    @property
    def text(self) -> bytes:
        """What it is in the definition."""
        return self._body[self.start : self.end]


class TableText:
    """A definition as tokens, as clauses, and with the place where its options begin."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    @cached_property
    def tokens(self) -> list[Token]:
        """Its tokens but for spaces and comments."""
        return code(self.body)

    @property
    def clauses(self) -> list[Clause]:
        """Its columns, keys and constraints."""
        return self._parts[0]

    @property
    def options(self) -> list[Token]:
        """The tokens behind them."""
        return self.tokens[self._parts[1] :]

    @property
    def options_start(self) -> int:
        """Where the options of the table begin in its text."""
        return self._parts[2]

    @cached_property
    def _parts(self) -> tuple[list[Clause], int, int]:
        """The clauses, the number of the first token of the options, and where that of the closing parenthesis ends."""
        tokens = self.tokens
        clauses: list[Clause] = []
        depth, start = 0, 0
        for index, token in enumerate(tokens):
            text = token.text
            if text == b"(":
                depth += 1
                start = start or index + 1
            elif text == b")" and depth:
                depth -= 1
                if not depth:
                    if index > start:
                        clauses.append(Clause(self.body, tokens[start:index]))
                    return clauses, index + 1, token.end
            elif text == b"," and depth == 1:
                clauses.append(Clause(self.body, tokens[start:index]))
                start = index + 1
        return [], len(tokens), len(self.body)


@lru_cache(maxsize=8)
def table_text(body: bytes) -> TableText:
    """A definition taken apart; for a few of them it is kept, because whoever asks about one asks several times.

    Not for all, whose tokens take thirty times the memory of their texts.
    """
    return TableText(body)
