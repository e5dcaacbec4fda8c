"""Names and texts as SQL writes them."""


def quoted(name: str) -> str:
    """A name as an identifier."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """A text as a string of SQL, in any sql_mode: hexadecimal knows no escapes."""
    raw = text.encode(errors="surrogateescape")
    return f"_utf8mb4 X'{raw.hex()}'" if raw else "''"


def plain_literal(text: str) -> str:
    """A text as a string of SQL where the grammar takes no other, under an sql_mode with backslash escapes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0") + "'"
