"""The definition of a table in two parts: what rows need, and keys that are built quicker when all rows are there."""

from dataclasses import dataclass, field

from holdfast_mysql.definitions.tokens import Token, code, replaced

_PLAIN = ("KEY", "INDEX")


@dataclass(frozen=True, kw_only=True)
class Parts:
    """`create` without the keys and references that ADD clauses make later."""

    create: bytes
    keys: tuple[bytes, ...] = ()
    references: tuple[bytes, ...] = ()


@dataclass(kw_only=True)
class _Item:
    """One column, key or constraint: its tokens, and where its text begins and ends."""

    tokens: list[Token] = field(default_factory=list)

    @property
    def words(self) -> list[str]:
        return [token.text.upper().decode(errors="replace") for token in self.tokens]

    @property
    def kind(self) -> str:
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

    def first_column(self) -> str:
        """The first column of a key."""
        opening = next(place for place, token in enumerate(self.tokens) if token.text == b"(")
        return self.tokens[opening + 1].name or ""


def split(body: bytes) -> Parts:
    """Take the secondary keys and foreign keys of an InnoDB table out of its definition.

    Keys come back in their order: the server sorts them by class and keeps the order within one, so that only those
    behind the last key that has to stay can be taken out. Full-text keys sort behind all others.
    """
    items, end = _items(body)
    tail = [token.text.upper() for token in code(body[end:])]
    if b"INNODB" not in tail or not items:
        return Parts(create=body)
    primary = next((item for item in items if item.kind == "primary"), None)
    counter = next((item.tokens[0].name for item in items if item.kind == "column"
                    and "AUTO_INCREMENT" in item.words), None)  # fmt: skip
    kept = -1
    needed = counter is not None and (primary is None or primary.first_column() != counter)
    for place, item in enumerate(items):
        if item.kind == "constraint" and item.words[0] in ("UNIQUE", "SPATIAL", "VECTOR", "PERIOD"):
            kept = place
        elif item.kind in ("key", "unique"):
            if needed and item.first_column() == counter:
                kept, needed = place, False
            elif item.kind == "unique" and primary is None:
                kept = place  # it may be what the table is sorted by
    keys = [item for place, item in enumerate(items) if item.kind in ("key", "unique") and place > kept]
    references = [item for item in items if item.kind == "reference"]
    out = [item for item in items if item in keys or item in references]
    if not out or len(out) == len(items):
        return Parts(create=body)
    return Parts(
        create=_without(body, items, out),
        keys=tuple(_text(body, item) for item in keys),
        references=tuple(_text(body, item) for item in references),
    )


def _items(body: bytes) -> tuple[list[_Item], int]:
    found = code(body)
    opening = next((place for place, token in enumerate(found) if token.text == b"("), len(found))
    items, depth, current = [], 0, _Item()
    for token in found[opening:]:
        if token.text == b")":
            depth -= 1
            if depth == 0:
                if current.tokens:
                    items.append(current)
                return items, token.end
        if depth == 1 and token.text == b",":
            items.append(current)
            current = _Item()
        elif depth >= 1:
            current.tokens.append(token)
        if token.text == b"(":
            depth += 1
    return [], len(body)


def _text(body: bytes, item: _Item) -> bytes:
    # A clause may end inside a versioned comment, as INVISIBLE does: its closing mark belongs to it.
    end = item.tokens[-1].end
    inner = body[item.tokens[0].start : end]
    if inner.count(b"/*") > inner.count(b"*/"):
        end = body.index(b"*/", end) + 2
    return body[item.tokens[0].start : end]


def _without(body: bytes, items: list[_Item], out: list[_Item]) -> bytes:
    changes = []
    first = True
    for item in items:
        start, end = item.tokens[0].start, item.tokens[0].start + len(_text(body, item))
        if item in out:
            # With the comma before it; where everything before it is taken out too, with the one behind it.
            if first:
                comma = body.index(b",", end)
                changes.append((start, comma + 1, b""))
            else:
                changes.append((body.rindex(b",", 0, start), end, b""))
        else:
            first = False
    return replaced(body, changes)


def with_inherited_collations(body: bytes) -> bytes:
    """A definition of MySQL 8 without the collations that columns take from their table.

    The server writes COLLATE for a column that inherits one which is not the default of its character set; but read
    back, the clause is one of the column's own, and from then on the server writes CHARACTER SET before it.
    """
    items, end = _items(body)
    tail = [token.text.lower() for token in code(body[end:])]
    own = tail[tail.index(b"collate") + 2] if b"collate" in tail else b""
    changes = []
    for item in items:
        words = [token.text.lower() for token in item.tokens]
        for place, word in enumerate(words[:-1]):
            inherited = item.kind == "column" and word == b"collate" and words[place + 1] == own
            if inherited and words[place - 3 : place - 1] != [b"character", b"set"]:
                start = item.tokens[place - 1].end
                changes.append((start, item.tokens[place + 1].end, b""))
                break
    return replaced(body, changes)
