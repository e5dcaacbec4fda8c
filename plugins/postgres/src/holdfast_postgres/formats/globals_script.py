r"""pg_dumpall's script of roles and tablespaces, so that it leaves alone what the server has.

As it comes it says ALTER ROLE of each: passwords, rights to log in and memberships of roles that are there would
become those of the backup. Each statement is put into a block that runs it only where the one before has just made its
role or tablespace: psql needs no commands of its own for that, which a restricted one refuses.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator

from holdfast.api import Chunk, IntegrityError
from holdfast_postgres.session import literal

_MARKER = "-- Roles and tablespaces that the server has are left alone.\n"
_NAME = r'(?:"(?:[^"]|"")+"|[^\s";]+)'
_BETWEEN = re.compile(r"(?:\s+|--[^\n]*(?:\n|\Z)|\\[^\n]*(?:\n|\Z))+")
_STATEMENT = re.compile(r"""(?:E'(?:[^'\\]|\\.|'')*+'|'[^']*'|"[^"]*"|[^'";E]++|E)++;""", re.DOTALL)
_HARMLESS = re.compile(r"SET \w+ = |SELECT pg_catalog\.set_config\(")
_CREATE = re.compile(rf"CREATE (?P<kind>ROLE|TABLESPACE) (?P<name>{_NAME})")
_OF = tuple(
    re.compile(pattern.replace("NAME", f"(?P<name>{_NAME})"), re.DOTALL)
    for pattern in (
        r"ALTER (?P<kind>ROLE|TABLESPACE) NAME ",
        r"COMMENT ON (?P<kind>ROLE|TABLESPACE) NAME IS ",
        rf"SECURITY LABEL FOR {_NAME} ON (?P<kind>ROLE|TABLESPACE) NAME IS ",
        r"(?:GRANT|REVOKE) [A-Z ,]+ ON (?P<kind>TABLESPACE) NAME (?:TO|FROM) ",
        rf"(?:GRANT|REVOKE) [A-Z ,]+ ON PARAMETER {_NAME} (?:TO|FROM) NAME(?P<kind>)",
    )
)
_MEMBERSHIP = re.compile(rf"GRANT (?P<of>{_NAME}) TO (?P<name>{_NAME})")


def leaving_alone(chunks: Iterable[Chunk]) -> Iterator[bytes]:
    """Rewrite such a script; one that has been rewritten already is passed on as it is.

    It holds a few hundred bytes a role, and is read as a whole.
    """
    text = b"".join(bytes(chunk) for chunk in chunks).decode(errors="surrogateescape")
    if text.startswith(_MARKER):
        yield text.encode(errors="surrogateescape")
        return
    yield _MARKER.encode()
    for statement in _rewritten(text):
        yield statement.encode(errors="surrogateescape")


def _rewritten(text: str) -> Iterator[str]:
    place = 0
    while place < len(text):
        if between := _BETWEEN.match(text, place):
            place = between.end()
            yield between[0]
            continue
        match = _STATEMENT.match(text, place)
        if match is None:
            raise IntegrityError("the script of roles and tablespaces ends in the middle of a statement")
        place = match.end()
        yield _guarded(match[0])


def _guarded(statement: str) -> str:
    if _HARMLESS.match(statement):
        return statement
    if match := _CREATE.match(statement):
        return _creation(statement, match["kind"], _plain(match["name"]))
    for pattern in _OF:
        if match := pattern.match(statement):
            if not match["kind"] and match["name"] == "PUBLIC":
                break  # that would be a right of every role that is there
            return _if_made(statement, match["kind"] or "ROLE", _plain(match["name"]))
    if match := _MEMBERSHIP.match(statement):
        return _membership(statement, _plain(match["of"]), _plain(match["name"]))
    words = " ".join(statement.split()[:6])
    return _block(f"RAISE WARNING '%', {literal(f'not run, since it may change what is there: {words} …')};")


def _creation(statement: str, kind: str, name: str) -> str:
    if kind == "ROLE":
        known = f"EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {literal(name)})"
        return _block(f"IF NOT {known} THEN {statement} {_mark(kind, name)} END IF;")
    known = f"EXISTS (SELECT FROM pg_catalog.pg_tablespace WHERE spcname = {literal(name)})"
    # It cannot be made in a block, and is refused where it is there.
    return _block(f"IF NOT {known} THEN {_mark(kind, name)} END IF;") + "\n" + statement


def _if_made(statement: str, kind: str, name: str) -> str:
    return _block(f"IF {_made(kind, name)} THEN {statement} END IF;")


def _membership(statement: str, group: str, member: str) -> str:
    """A role that is there becomes no member of another, which is told unless it is one."""
    known = (
        "EXISTS (SELECT FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid "
        f"JOIN pg_catalog.pg_roles r ON r.oid = m.member WHERE g.rolname = {literal(group)} "
        f"AND r.rolname = {literal(member)})"
    )
    told = literal(f'role "{member}" was there and is left alone: it is no member of "{group}"')
    return _block(
        f"IF {_made('ROLE', member)} THEN {statement} ELSIF NOT {known} THEN RAISE WARNING '%', {told}; END IF;"
    )


def _mark(kind: str, name: str) -> str:
    return f"PERFORM pg_catalog.set_config('{_setting(kind, name)}', 'made', false);"


def _made(kind: str, name: str) -> str:
    return f"pg_catalog.current_setting('{_setting(kind, name)}', true) = 'made'"


def _setting(kind: str, name: str) -> str:
    """A setting of the session that says so: names may hold what those of settings may not."""
    return f"holdfast.{kind.lower()}_{hashlib.sha256(name.encode(errors='surrogateescape')).hexdigest()[:24]}"


def _block(body: str) -> str:
    tag, number = "$holdfast$", 0
    while tag in body:
        number += 1
        tag = f"$holdfast{number}$"
    return f"DO {tag} BEGIN {body} END {tag};"


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
