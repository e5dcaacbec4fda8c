"""Members of an ENUM or SET that its collation takes for the same: of these the server finds the first one alone.

It makes such columns outside of strict mode, with a warning (1291), and as ALTER TABLE changes their collation.
"""

import itertools
import unicodedata
from collections.abc import Iterable

from holdfast_mysql.session import Session, literal

_MOST = 500  # members of which the server is asked; more are read by their numbers
# What languages take for one letter, so that what is not alike below is not alike in any collation.
_ALIKE = str.maketrans("wyju", "viiv", "eh")


def alike_labels(session: Session, columns: Iterable[tuple[str, str, str]]) -> frozenset[tuple[str, str]]:
    """The collations and types of columns, with their character sets, of whose members some are the same."""
    return frozenset(
        (collation, column_type)
        for charset, collation, column_type in sorted(set(columns))
        if _can_be_alike(names := members(column_type)) and _are_alike(session, charset, collation, names)
    )


def members(column_type: str) -> list[str]:
    """The members of an ENUM or SET, without their quotes."""
    listed, start, place = [], 0, column_type.index("(") + 1
    start = place
    quoted_now = False
    while place < len(column_type):
        char = column_type[place]
        if char == "'":
            if quoted_now and column_type[place + 1 : place + 2] == "'":
                place += 1
            else:
                quoted_now = not quoted_now
        elif char in ",)" and not quoted_now:
            listed.append(column_type[start + 1 : place - 1].replace("''", "'"))
            start = place + 1
        place += 1
    return listed


def _can_be_alike(names: list[str]) -> bool:
    """Whether it is worth to ask the server, which knows collations better."""
    folded = [_folded(name) for name in names]
    return len(set(folded)) < len(folded) or any(not name.isascii() for name in folded)


def _folded(name: str) -> str:
    plain = "".join(char for char in unicodedata.normalize("NFKD", name) if not unicodedata.combining(char))
    letters = plain.casefold().translate(_ALIKE)
    return "".join(char for char, _ in itertools.groupby(letters) if char.isprintable() and char != " ")


def _are_alike(session: Session, charset: str, collation: str, names: list[str]) -> bool:
    if len(names) > _MOST:
        return True
    listed = " UNION ALL ".join(
        f"SELECT CONVERT({literal(name)} USING {charset}) COLLATE {collation} AS member" for name in names
    )
    return session.value(f"SELECT COUNT(DISTINCT member) FROM ({listed}) AS m") != str(len(names))
