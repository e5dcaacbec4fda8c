"""Definitions made to fit another database name, another definer, another server, and checked for what they do.

A definition that comes out of here makes one object of the current database, whatever the backup says.
"""

from collections.abc import Collection, Mapping

from holdfast.api import IntegrityError, quote_name
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.definitions.table_refs import OBJECT, TABLE, places
from holdfast_mysql.definitions.tokens import Token, code, replaced
from holdfast_mysql.session.connection import quoted

_HEAD = 1000  # bytes of an INSERT, which may be very long, that name its table
_HEADS = {
    "sequence": ("SEQUENCE",),
    "table": ("TABLE",),
    "view": ("VIEW",),
    "trigger": ("TRIGGER",),
    "procedure": ("PROCEDURE",),
    "function": ("FUNCTION",),
    "package": ("PACKAGE",),
    "package body": ("PACKAGE", "BODY"),
    "event": ("EVENT",),
}


def follow(statement: Statement, *, old: str, new: str, objects: Collection[str]) -> bytes:
    """Make references of a definition to its own database `old` point to `new`.

    They are followed where a table is named, whether or not the dump has it, and in `old.x.y`. Where a routine is
    called, `x` has to be one of `objects`: `old` could be a package. An empty `new` leaves the qualification out.
    """
    found = code(statement.body, statement.sql_mode)
    changes = []
    for place in _references(statement, found, old, objects)[0]:
        start, end = found[place].start, found[place].end
        if not new:
            end = found[place + 2].start
        changes.append((start, end, _like(found[place], new)))
    return replaced(statement.body, changes)


def doubtful(statement: Statement, *, old: str, objects: Collection[str]) -> list[str]:
    """What `follow` takes for columns of something that is called like the database, and that are objects of it too."""
    found = code(statement.body, statement.sql_mode)
    left = _references(statement, found, old, objects)[1]
    return sorted({f"{found[place].name}.{found[place + 2].name}" for place in left})


def _references(
    statement: Statement, found: list[Token], old: str, objects: Collection[str]
) -> tuple[list[int], list[int]]:
    """Where the definition names its own database, and where something else that is called so, if it could be both."""
    wanted = old.casefold()
    names = {name.casefold() for name in objects}
    own = [place for place, token in enumerate(found) if (token.name or "").casefold() == wanted]
    pairs = [place for place in own if _is(found, place + 1, b".") and not _is(found, place - 1, b".")]
    ambiguous = len(pairs) < len(own)
    row = statement.kind == "trigger" and wanted in ("old", "new")
    said = places(found)
    followed, left = [], []
    for place in pairs:
        other = found[place + 2].name if place + 2 < len(found) else None
        if other is None:
            continue
        whole = _is(found, place + 3, b".") or (_is(found, place + 3, b"%") and _is_word(found, place + 4, "ROWTYPE"))
        called = said[place] == OBJECT or _is(found, place + 3, b"(")
        known = other.casefold() in names
        if said[place] == TABLE or whole or (known and (called or not (ambiguous or row))):
            followed.append(place)
        elif known and ambiguous:
            left.append(place)
    return followed, left


def _like(token: Token, name: str) -> bytes:
    """The name in the same quotes as the token, or in backticks where there were none."""
    if not name:
        return b""
    if token.text[:1] == b'"':
        return b'"' + name.replace('"', '""').encode() + b'"'
    return quoted(name).encode()


def with_definer(statement: Statement, choice: str) -> bytes:
    """Keep the definer, or make whoever restores the definer; `strip` leaves the clause out, which means the same."""
    if choice == "keep":
        return statement.body
    found = code(statement.body, statement.sql_mode)
    for place, token in enumerate(found[:12]):
        if token.text.upper() == b"DEFINER" and _is(found, place + 1, b"="):
            end = place + 2
            if _is(found, end + 1, b"@"):
                end += 2
            # CURRENT_USER may be followed by ().
            if _is(found, end + 1, b"("):
                end += 2
            new = b"DEFINER=CURRENT_USER" if choice == "current" else b""
            return replaced(statement.body, [(token.start, found[end].end, new)])
    return statement.body


def with_quoted_definer(body: bytes, statement: Statement) -> bytes:
    """A trigger's text with its definer in backticks.

    The server keeps it with or without quotes, as sql_quote_show_create was when the trigger was made.
    """
    found = code(body, statement.sql_mode)
    for place, token in enumerate(found[:12]):
        if token.text.upper() == b"DEFINER" and _is(found, place + 1, b"="):
            end = place + 2
            names = [found[end]]
            if _is(found, end + 1, b"@"):
                names.append(found[end + 2])
            if all(name.name is not None for name in names):
                definer = "@".join(quoted(name.name or "") for name in names)
                return replaced(body, [(names[0].start, names[-1].end, definer.encode())])
    return body


def trigger_moment(statement: Statement) -> str:
    """When a trigger fires, such as `BEFORE INSERT`."""
    words = [token.text.upper().decode(errors="replace") for token in code(statement.body, statement.sql_mode)[:40]]
    head = words[: words.index("ON")] if "ON" in words else []
    starts = [place for place, word in enumerate(head) if word in ("BEFORE", "AFTER")]
    return " ".join(head[starts[-1] :]) if starts else ""


def without_counter(body: bytes) -> tuple[bytes, int]:
    """A table's definition without the next number of its AUTO_INCREMENT column, and that number, 1 if none is said."""
    found = code(body)
    for place, token in enumerate(found):
        if token.text.upper() == b"AUTO_INCREMENT" and _is(found, place + 1, b"="):
            number = found[place + 2]
            return replaced(body, [(found[place - 1].end, number.end, b"")]), int(number.text)
    return body, 1


def disabled(statement: Statement) -> bytes:
    """An event that does not run."""
    found = code(statement.body, statement.sql_mode)
    for token in found:
        word = token.text.upper()
        if token.kind == "word" and word == b"ENABLE":
            return replaced(statement.body, [(token.start, token.end, b"DISABLE")])
        if token.kind == "word" and word == b"DO":
            break
    return statement.body


def with_collations(statement: Statement, names: Mapping[str, str]) -> bytes:
    """A definition with other collations, for a server that knows other ones."""
    if not names:
        return statement.body
    found = code(statement.body, statement.sql_mode)
    changes = [
        (token.start, token.end, other.encode())
        for token in found
        if token.kind == "word" and (other := names.get(token.text.decode(errors="replace").lower()))
    ]
    return replaced(statement.body, changes)


def check_head(statement: Statement, body: bytes, *, database: str) -> None:
    """Refuse a definition that makes anything but the object that it says, in the current database.

    A backup from a stranger could otherwise drop or redirect: its script is data, not orders.
    """
    inserting = statement.kind in ("rows", "sequence state")
    found = code(body[:_HEAD] if inserting else body, statement.sql_mode)
    words = [token.text.upper().decode(errors="replace") for token in found[:40]]
    if inserting:
        if words[:2] == ["INSERT", "INTO"] and _is_target(found, 2, statement.name, database):
            return
    elif statement.kind in _HEADS and words[:1] == ["CREATE"]:
        head = list(_HEADS[statement.kind])
        for start in range(1, len(words)):
            if words[start : start + len(head)] != head or found[start].kind != "word":
                continue
            place = start + len(head)
            if words[place : place + 3] == ["IF", "NOT", "EXISTS"]:
                place += 3
            named = _is_target(found, place, statement.name, database)
            if named and statement.kind == "trigger":
                on = words.index("ON") if "ON" in words else len(words)
                named = _is_target(found, on + 1, statement.table, database)
            if named and not (statement.kind == "table" and _selects(found, place)):
                return
            break
    raise IntegrityError(f"the definition of {statement.kind} {quote_name(statement.name)} does not make it")


def _selects(found: list[Token], place: int) -> bool:
    """Whether a table would be made from another one: LIKE or SELECT instead of columns."""
    after = place + 1 if not _is(found, place + 1, b".") else place + 3
    return not _is(found, after, b"(") or any(
        token.kind == "word" and token.text.upper() == b"SELECT" for token in found[after:]
    )


def _is_target(found: list[Token], place: int, name: str, database: str) -> bool:
    if place + 2 < len(found) and _is(found, place + 1, b"."):
        if (found[place].name or "").casefold() != database.casefold():
            return False
        place += 2
    if place >= len(found):
        return False
    return (found[place].name or "").casefold() == name.casefold() and not _is(found, place + 1, b".")


def _is(found: list[Token], place: int, text: bytes) -> bool:
    return 0 <= place < len(found) and found[place].text == text


def _is_word(found: list[Token], place: int, word: str) -> bool:
    return place < len(found) and found[place].kind == "word" and found[place].text.upper() == word.encode()


def order_views(views: list[Statement], broken: Collection[str]) -> list[Statement]:
    """Views behind those that they read, as far as their text tells; broken ones last."""
    names = {view.name.casefold(): view for view in views}
    uses = {
        view.name: {
            name
            for token in code(view.body, view.sql_mode)
            if token.kind == "name"
            and (name := (token.name or "").casefold()) in names
            and name != view.name.casefold()
        }
        for view in views
    }
    ordered: list[Statement] = []
    done: set[str] = set()

    def add(view: Statement, above: frozenset[str]) -> None:
        key = view.name.casefold()
        if key in done or key in above:
            return
        for other in sorted(uses[view.name]):
            add(names[other], above | {key})
        done.add(key)
        ordered.append(view)

    for view in sorted(views, key=lambda view: (view.name in broken, view.name)):
        add(view, frozenset())
    return ordered
