"""Tables and objects in the character sets in which ASCII is not ASCII, or ends a character of two bytes."""

from collections.abc import Iterator

# A character whose bytes hold what means something in SQL or in ASCII, and the bytes.
CHARSETS = {
    "ucs2": ("中", "4e2d"),
    "utf16": ("中", "4e2d"),
    "utf16le": ("中", "2d4e"),
    "utf32": ("中", "00004e2d"),
    "sjis": ("表", "955c"),
    "cp932": ("表", "955c"),
    "gbk": ("猋", "aa5c"),
    "big5": ("功", "a55c"),
    "euckr": ("한", "c7d1"),
    "swe7": ("Å", "5d"),
}
ONLY_MYSQL = {"gb18030": ("猋", "aa5c")}


def statements(charset: str, char: str, code: str) -> Iterator[str]:
    """What makes them; the names begin with the character set's."""
    kind, literal = f"CHARACTER SET {charset}", f"_{charset} 0x{code}"
    yield (
        f"CREATE TABLE {charset}_enum(id INT PRIMARY KEY,"
        f" e ENUM('{char}','x','a\\\\b','{char}''') {kind} DEFAULT '{char}',"
        f" s SET('{char}','y','z{char}') {kind} DEFAULT '{char},y')"
    )
    yield f"INSERT INTO {charset}_enum(id) VALUES (1)"
    # With index 0, which is what a server keeps of a value that never was a member.
    yield f"INSERT IGNORE INTO {charset}_enum VALUES (2, 'x', ''), (3, 3, 7), (4, 4, 3), (5, 'none', 'y'), (6, NULL, 0)"
    yield (
        f"CREATE TABLE {charset}_key(e ENUM('{char}','x') {kind} NOT NULL, s SET('{char}','y') {kind} NOT NULL,"
        " PRIMARY KEY (e, s))"
    )
    yield f"INSERT INTO {charset}_key VALUES ('{char}', '{char}'), ('x', ''), ('x', 'y,{char}')"
    yield (
        f"CREATE TABLE {charset}_default(id INT PRIMARY KEY, v VARCHAR(20) {kind} DEFAULT '{char}x',"
        f" c CHAR(3) {kind} NOT NULL DEFAULT '{char}', t TEXT {kind} DEFAULT ('{char}'),"
        f" x VARCHAR(10) {kind} DEFAULT (CONCAT('{char}', 'x')), g VARCHAR(40) {kind} AS (CONCAT(v, '{char}')) STORED,"
        f" CHECK (v <> '{char}{char}'))"
    )
    yield f"INSERT INTO {charset}_default(id) VALUES (1)"
    yield f"INSERT INTO {charset}_default(id, v, c) VALUES (2, 'a{char}''{char}', '')"
    yield (
        f"CREATE TABLE {charset}_part(v VARCHAR(20) {kind}) PARTITION BY LIST COLUMNS(v)"
        f" (PARTITION p VALUES IN ('{char}'), PARTITION q VALUES IN ('x', 'y'))"
    )
    yield f"INSERT INTO {charset}_part VALUES ('{char}'), ('x')"
    yield f"CREATE TABLE {charset}_names(`{char}` ENUM('{char}') COMMENT '{char}') DEFAULT {kind} COMMENT '{char}'"
    yield f"CREATE VIEW {charset}_view AS SELECT HEX({literal}) AS x, HEX('{char}') AS y, e FROM {charset}_enum"
    yield (
        f"CREATE PROCEDURE {charset}_proc(a ENUM('{char}', 'x') {kind})"
        f" BEGIN DECLARE b VARCHAR(10) {kind} DEFAULT '{char}'; SELECT HEX(b), HEX(a), HEX({literal}); END"
    )
    yield (
        f"CREATE TRIGGER {charset}_trigger BEFORE INSERT ON {charset}_part"
        f" FOR EACH ROW SET NEW.v = CONCAT('{char}', {literal})"
    )
