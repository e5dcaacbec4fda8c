"""Characters of names that somebody else chose: none of them steers what reads or shows them."""


def printable(text: str, most: int | None = None) -> str:
    """A text, of at most `most` characters, those that cannot be printed or are no Unicode written as escapes."""
    cut = text if most is None or len(text) <= most else f"{text[: most - 1]}…"
    if cut.isprintable():
        return cut
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in cut
    )
