"""What one server calls differently from another: collations and sql_modes that only one of them has."""

import re
from collections.abc import Iterator
from dataclasses import replace

from holdfast_mysql.definitions.create_table import without_made_names
from holdfast_mysql.definitions.expression_defaults import with_parentheses
from holdfast_mysql.definitions.parameters import fit_parameters
from holdfast_mysql.definitions.rewrite import with_collations
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.definitions.storage_clauses import without_column_storage
from holdfast_mysql.definitions.tokens import code, is_text, is_word, replaced
from holdfast_mysql.session import Server

# Languages as MySQL 8 and MariaDB name them in collations of utf8mb4. The last two lines have no rules of their own in
# MariaDB: what they tell apart is the same, and their order that of a close language or, if empty, of none.
_LANGUAGES = {
    "cs": "czech", "da": "danish", "de_pb": "german2", "eo": "esperanto", "es": "spanish", "es_trad": "spanish2",
    "et": "estonian", "hr": "croatian", "hu": "hungarian", "is": "icelandic", "la": "roman", "lt": "lithuanian",
    "lv": "latvian", "pl": "polish", "ro": "romanian", "sk": "slovak", "sl": "slovenian", "sv": "swedish",
    "tr": "turkish", "vi": "vietnamese",
    "bs": "croatian", "sr_latn": "croatian", "nb": "danish", "nn": "danish", "gl": "spanish",
    "bg": "", "mn_cyrl": "", "ru": "",
}  # fmt: skip
_CODES = {name: code for code, name in reversed(_LANGUAGES.items()) if name}
_MYSQL = re.compile(r"utf8mb4_(?:(\w+)_)?0900_(ai_ci|as_ci|as_cs)")
_MARIADB = re.compile(r"(\w+?)_uca1400_(?:((?!nopad_)\w+?)_)?(nopad_)?(ai_ci|ai_cs|as_ci|as_cs)")
# What is on neither side of a rule.
_SINGLE = {
    "utf8mb4_0900_bin": ("utf8mb4_nopad_bin",),
    "utf8mb4_nopad_bin": ("utf8mb4_0900_bin", "utf8mb4_bin"),
    "utf8mb4_unicode_nopad_ci": ("utf8mb4_0900_ai_ci", "utf8mb4_unicode_ci"),
    "utf8mb4_unicode_520_nopad_ci": ("utf8mb4_0900_ai_ci", "utf8mb4_unicode_520_ci"),
    "utf8mb4_general1400_as_ci": ("utf8mb4_0900_as_ci", "utf8mb4_general_ci"),
    "utf8mb3_general1400_as_ci": ("utf8mb3_general_ci",),
}
# Modes of MariaDB or of older versions that MySQL 8 does not take, and the one that MariaDB does not.
_NOT_MYSQL = frozenset(
    """
    DB2 EMPTY_STRING_IS_NULL IGNORE_BAD_TABLE_OPTIONS MAXDB MSSQL MYSQL323 MYSQL40 NO_AUTO_CREATE_USER NO_FIELD_OPTIONS
    NO_KEY_OPTIONS NO_TABLE_OPTIONS ORACLE POSTGRESQL SIMULTANEOUS_ASSIGNMENT TIME_ROUND_FRACTIONAL
    """.split()  # noqa: SIM905
)
_NOT_MARIADB = frozenset({"TIME_TRUNCATE_FRACTIONAL"})


# What is in the name of every collation that anything stands in for, as the rules above and `_stand_ins` have it.
_REPLACEABLE = re.compile(rb"0900|1400|nopad|mysql561", re.IGNORECASE)


class StandIns:
    """What stands in for collations that a server does not know."""

    def __init__(self, known: frozenset[str]) -> None:
        self.known = known
        self._chosen: dict[str, str | None] = {}

    def has(self, name: str) -> bool:
        """Whether the server has a collation, or what stands in for it."""
        return name in self.known or self.of(name) is not None

    def of(self, name: str) -> str | None:
        """The closest collation that the server has; None where it knows that one, or none comes close."""
        if name in self.known:
            return None
        if name not in self._chosen:
            self._chosen[name] = next((other for other in _stand_ins(name) if other in self.known), None)
        return self._chosen[name]


def pads(name: str) -> bool:
    """Whether a collation takes values for the same that differ in spaces at their ends, by its name."""
    return not ("_0900_" in name or "nopad" in name or name == "binary")


def _stand_ins(name: str) -> Iterator[str]:
    """Names of close collations, the best first.

    They come from a close version of the Unicode Collation Algorithm, with the same rules for case and accents or
    finer ones, and treat spaces at the end of a value alike if there is any such: a coarser one makes duplicates.
    """
    yield from _SINGLE.get(name, ())
    if match := _MYSQL.fullmatch(name):
        yield from _in_mariadb(match[1] or "", match[2])
    elif match := _MARIADB.fullmatch(name):
        yield from _in_mysql(match[1], match[2] or "", match[4], padded=not match[3])
    else:
        yield name.replace("_nopad", "").replace("_mysql561", "")


def _in_mariadb(code: str, kind: str) -> Iterator[str]:
    if code and code not in _LANGUAGES:
        return
    language = _LANGUAGES.get(code, "")
    yield f"utf8mb4_uca1400_{language + '_' if language else ''}nopad_{kind}"
    if kind == "ai_ci" and not language:
        yield from ("utf8mb4_unicode_520_nopad_ci", "utf8mb4_unicode_520_ci")


def _in_mysql(charset: str, language: str, kind: str, *, padded: bool) -> Iterator[str]:
    """MySQL has its newer collations for utf8mb4 alone, and of two kinds in each language; all of them do not pad."""
    if charset == "utf8mb4":
        if padded and kind == "ai_ci" and not language:
            yield "utf8mb4_unicode_520_ci"
        finer = {"ai_cs": "as_cs"}.get(kind, kind)
        if not language:
            yield f"utf8mb4_0900_{finer}"
        elif language in _CODES:
            yield f"utf8mb4_{_CODES[language]}_0900_{'ai_ci' if finer == 'ai_ci' else 'as_cs'}"
        else:
            yield f"utf8mb4_{language}_ci" if finer == "ai_ci" else "utf8mb4_0900_as_cs"
    elif kind == "ai_ci":
        if language and charset in ("utf8mb3", "ucs2"):
            yield f"{charset}_{language}_ci"
        yield f"{charset}_unicode_520_ci"
    else:
        yield f"{charset}_bin"


def _with_older_default(body: bytes) -> bytes:
    """A table with the collation that utf8mb4 without one meant before MySQL 8: servers did not write their default."""
    tokens = code(body)
    changes = []
    for index in range(2, len(tokens)):
        option = is_word(tokens, index - 2, "CHARSET") and is_text(tokens, index - 1, b"=")
        column = is_word(tokens, index - 2, "CHARACTER") and is_word(tokens, index - 1, "SET")
        if (option or column) and is_word(tokens, index, "UTF8MB4") and not is_word(tokens, index + 1, "COLLATE"):
            end = tokens[index].end
            changes.append((end, end, b" COLLATE" + (b"=" if option else b" ") + b"utf8mb4_general_ci"))
    return replaced(body, changes)


def fit_to_server(statement: Statement, *, source: Server, server: Server, stand_ins: StandIns) -> Statement:
    """A definition with the collations and modes that this server has, and meant as its source meant it."""
    if statement.kind == "table" and server.mysql_since(8, 0) and not source.mysql_since(8, 0):
        statement = replace(statement, body=_with_older_default(statement.body))
    if statement.kind == "table" and source.mariadb and not server.mariadb:
        # MySQL takes the name of a CHECK only once in a database.
        statement = replace(statement, body=without_made_names(with_parentheses(statement.body)))
    if statement.kind == "table" and server.mariadb and not source.mariadb:
        statement = replace(statement, body=without_column_storage(statement.body))
    statement = fit_parameters(statement, source=source, server=server, knows=stand_ins.has)
    mode = statement.sql_mode
    if mode:
        unknown = _NOT_MARIADB if server.mariadb else _NOT_MYSQL if server.mysql_since(8, 0) else frozenset()
        mode = ",".join(name for name in mode.split(",") if name.upper() not in unknown)
    return replace(
        statement,
        body=with_collations(statement, stand_ins.of) if _REPLACEABLE.search(statement.body) else statement.body,
        sql_mode=mode,
        collation_connection=stand_ins.of(statement.collation_connection) or statement.collation_connection,
        collation=stand_ins.of(statement.collation) or statement.collation,
    )
