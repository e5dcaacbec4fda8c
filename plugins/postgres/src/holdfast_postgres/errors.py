"""Errors of the server, of libpq and of client programs as errors of Holdfast, by their SQLSTATE.

Manual: appendix "PostgreSQL Error Codes".
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg

from holdfast.api import CredentialsError, HoldfastError, IntegrityError, LockedError, UnreachableError, quote_name


class OutOfLocksError(HoldfastError):
    """The server has no room for more locks."""


_BY_STATE: dict[str, type[HoldfastError]] = {
    "42501": CredentialsError,  # insufficient_privilege
    "55P03": LockedError,  # lock_not_available
    "55006": LockedError,  # object_in_use
    "40P01": LockedError,  # deadlock_detected
    "40001": LockedError,  # serialization_failure: on a standby a conflict with recovery
    "3D000": UnreachableError,  # no such database
    "53300": UnreachableError,  # too_many_connections
    "57P01": UnreachableError,  # admin_shutdown
    "57P02": UnreachableError,  # crash_shutdown
    "57P03": UnreachableError,  # cannot_connect_now
    "57P04": UnreachableError,  # database_dropped
    "57P05": UnreachableError,  # idle_session_timeout
    "XX001": IntegrityError,  # data_corrupted
    "XX002": IntegrityError,  # index_corrupted
}
RESTORE_DENIED = "restore as a superuser, or as a role that may make what is named"
_READ_DENIED = "grant the role pg_read_all_data, or SELECT on every table and sequence and USAGE on every schema"
_BY_CLASS: dict[str, type[HoldfastError]] = {"08": UnreachableError, "28": CredentialsError}

# libpq hands no SQLSTATE on when a connection fails, only the server's text.
_DENIED = (
    r"(?i)authentication failed|no password supplied|pg_hba\.conf|permission denied|role .* does not exist"
    r"|is not permitted to log in|certificate|SSL error|private key|does not support SSL|SSL is not enabled"
    r"|GSS"
)
_LOST = (
    r"(?i)server closed the connection|could not connect|connection to server|terminating connection|connection reset"
    r"|SSL SYSCALL|could not receive data|could not send data|lost synchronization|no connection to the server"
    r"|shutting down|starting up|recovery mode"
)
# What the import of a snapshot says once its session has ended; the words change between versions.
_SNAPSHOT = r"invalid snapshot identifier|snapshot .* does not exist|could not import the requested snapshot"
# The system catalog disagrees with itself, for which the server has XX000 and pg_dump no code. Never translated by the
# server; it may also be that somebody drops an object just now, since some of it is read outside of any snapshot.
_CATALOG_DAMAGED = r"with OID \d+ (does not exist|not found)|^failed sanity check|catalog is missing \d+ attribute"
_CATALOG_CHANGED = r"cache lookup failed|query returned 0 rows instead of one: EXECUTE dump"
# What pg_dump and pg_restore say, which print no SQLSTATE and have no option to: their connections are theirs alone.
# The first that fits; a text that is not here has no state, as that of a server which speaks another language.
# Compiled when they are asked for: that takes 10 ms of the start of every backup.
_STATES = (
    (_CATALOG_DAMAGED, "XX001"),
    (_CATALOG_CHANGED, "XX000"),
    (r"permission denied|must be (superuser|owner|member|able to SET ROLE)|must have .*privilege", "42501"),
    (r"violates foreign key constraint", "23503"),
    (r"could not create unique index|violates unique constraint|duplicate key value", "23505"),
    (r"violates (check|partition) constraint|is violated by some row|^no partition of relation", "23514"),
    (r"violates not-null constraint|contains null values", "23502"),
    (r"could not create exclusion constraint|violates exclusion constraint", "23P01"),
    (r"invalid byte sequence for encoding", "22021"),
    (r"has no equivalent in encoding", "22P05"),
    (r"invalid input syntax|malformed (array|record|range) literal", "22P02"),
    (r"out of range", "22003"),
    (r"value too long for type", "22001"),
    (r"missing data for column|extra data after last expected column", "22P04"),
    (r"division by zero", "22012"),
    (r"^(role|collation|tablespace|extension|schema) .* does not exist", "42704"),
    (r"^(relation|table) .* does not exist", "42P01"),
    (r"^(type|data type) .* (does not exist|has no default operator class)", "42704"),
    (
        r"^(function|operator|procedure|aggregate) .* does not exist|^operator does not exist|could not identify an? ",
        "42883",
    ),
    (r"already has a default value", "55000"),
    (r"already exists", "42710"),
    (r"syntax error", "42601"),
    (r"could not extend file|No space left on device", "53100"),
    (r"out of memory|out of shared memory", "53200"),
    (r"too many (clients|connections for)|remaining connection slots", "53300"),
    (r"canceling statement due to conflict with recovery|terminating connection due to conflict", "40001"),
    (r"deadlock detected", "40P01"),
    (r"due to lock timeout|could not obtain lock", "55P03"),
    (r"due to (statement timeout|user request)", "57014"),
    (r"terminating connection due to administrator command", "57P01"),
    (
        r"invalid page in block|missing chunk number|compressed .*data is corrupt|invalid internal value for enum",
        "XX001",
    ),
)

# What a server says of rows and definitions themselves: data exceptions, broken constraints, errors of functions.
_CONTENT_CLASSES = ("21", "22", "23", "38", "39", "P0")
# What is not as a statement needs it: other objects of the backup, such as the default of a parent where an identity
# column is to be; or the server itself, which has settings that no message translates.
_NOT_READY = "55000"
_SERVER_NOT_READY = r"shared_preload_libraries|must be (pre)?loaded|wal_level|max_[a-z_]+s\b|recovery"
# Of a value that this server does not know, such as a locale; of a role or collation that it has not.
_ENVIRONMENT = frozenset({"22023", "42501", "42704"})

_COPIED = r"\w+: +COPY (?P<table>[^,]+), "  # of the context, whose other words are in the server's language
_CAUSE = r"(?:detail|error): Error message from server: (?P<text>.*)"
_SEVERITY = r"(?:ERROR|FATAL|PANIC):\s+(?:(?P<state>[0-9A-Z]{5}):\s+)?(?P<text>.*)"

# Never translated: the name of the setting, in the hint of the server.
_OUT_OF_LOCKS = r"max_locks_per_transaction|out of shared memory"
_OUT_OF_LOCKS_HINT = "raise max_locks_per_transaction on the server"
# Never translated. A row of COPY may have 1 GB, and as text bytea takes two characters a byte.
_TOO_LONG = r"invalid memory alloc request size|[Cc]annot enlarge string buffer"
_TOO_LONG_HINT = (
    "a row takes more than 1 GB as text: use the format parallel, which reads bytea in binary where the other columns "
    "are of built-in types or enums; or --exclude the table"
)

_HINTS = {
    "55P03": "end the session that holds the lock, or use -o lock_timeout=SECONDS to wait longer",
    "55006": "end the sessions that use it",
    "55P02": "set it in the configuration of the server, and start it again",
    "53300": "lower --jobs, or raise max_connections on the server, or the CONNECTION LIMIT of role or database",
    "40001": "back up the primary, or set hot_standby_feedback=on and more max_standby_streaming_delay on the standby",
    "53100": "make room on the disk of the server",
    "53200": "free memory on the server",
    "25006": "name the primary: this server is a standby, or its sessions may change nothing",
    "22P05": "restore into a database with the encoding of the source, such as -o create=true makes",
}
_LARGE_OBJECTS_HINT = (
    "grant the role SELECT on each large object, which pg_read_all_data does not give, or as a superuser set "
    "ALTER ROLE … SET lo_compat_privileges = on"
)

_LOOK_FOR_OID = "as a superuser find what refers to that OID"
_WORDS = {
    _CATALOG_DAMAGED: "the system catalog refers to what is not there, as after a lost page or a DELETE by hand: "
    f"{_LOOK_FOR_OID}, and put it right or drop it",
    _CATALOG_CHANGED: "back up again, in case somebody dropped an object just now; said again it means that the "
    f"system catalog is damaged: {_LOOK_FOR_OID}, and drop it",
    "no answer from the server|connection timeout expired": "see whether the server runs, and whether the network, "
    "proxy or pooler before it passes on what it takes",
    "server closed the connection unexpectedly": "the log of the server says why, such as a restart, or a disk for its "
    "WAL that is full",
    "query_wait_timeout": "the pool has too few sessions of the server for so many jobs: lower --jobs, let the "
    "pool have more, or use the address of the server itself",
    "shared_preload_libraries|must be preloaded": "add the extension to shared_preload_libraries of that server, "
    "and start it again",
}


def server_error(error: psycopg.Error, action: str, *, denied: str = _READ_DENIED) -> HoldfastError:
    """Translate an error of psycopg; the message is one line that begins with `action`.

    `denied` says what to do where the role may not do that: by itself, where it may not read.
    """
    text = _one_line(error.diag.message_primary or str(error))
    state = _state(error.sqlstate or "", text)
    if state == "53200" and re.search(_OUT_OF_LOCKS, f"{error.diag.message_hint} {text}"):
        return OutOfLocksError(f"{action}: {text}", hint=_OUT_OF_LOCKS_HINT)
    if "row-level security" in text or "row security" in text:
        return _row_security(action, text)
    kind = _kind(state, text)
    return kind(f"{action}: {text}", hint=_hint(state, text, kind, denied))


def client_error(program: str, code: int, lines: Sequence[str], action: str) -> HoldfastError:
    """Translate the failure of a client program, from its exit code and its lines on standard error."""
    return client_failure(program, code, lines, action)[0]


def client_failure(program: str, code: int, lines: Sequence[str], action: str) -> tuple[HoldfastError, str]:
    """The failure of a client program translated, with its SQLSTATE, empty where that is not known."""
    state, text = "", ""
    for line in lines:
        match = re.search(_SEVERITY, line)
        if match:
            state, text = match["state"] or "", match["text"]
            break
    # pg_dump says "detail: Query failed: ERROR: …", and first of all "error: …".
    text = text or next((line.partition("error:")[2] for line in lines if "error:" in line), "") or "".join(lines[-1:])
    # Why a COPY came to an end it says in the next line, a "detail:" since version 15.
    cause = next((match["text"] for line in lines if (match := re.search(_CAUSE, line))), "")
    text = _one_line(f"{text} {cause}" if cause not in text else text)
    if "row-level security" in text:
        return _row_security(action, text), state
    if not text:
        text = f"killed by signal {-code}" if code < 0 else f"exit code {code} with no error output"
    if "lock timeout" in text or (program == "pg_dump" and "statement timeout" in text):
        # pg_dump's --lock-wait-timeout is a statement_timeout around its LOCK TABLE; others it sets to 0.
        state, text = "55P03", "could not lock a table in time"
    if re.search(_SNAPSHOT, text):
        return UnreachableError(f"{action}: the session that held the snapshot was lost"), state
    if any(re.search(_OUT_OF_LOCKS, line) for line in lines):
        return OutOfLocksError(f"{action}: {program}: {text}", hint=_OUT_OF_LOCKS_HINT), "53200"
    state = _state(state or state_of(text), text)
    kind = _kind(state, text)
    hint = _TOO_LONG_HINT if re.search(_TOO_LONG, text) else _hint(state, text, kind)
    table = next((match["table"] for line in lines if (match := re.match(_COPIED, line))), "")
    about = f"rows of table {table}: " if table else ""
    return kind(f"{action}: {program}: {about}{text}", hint=hint), state


def restore_error(text: str, action: str, *, state: str = "") -> HoldfastError:
    """Translate a fatal message of pg_restore or psql, by its SQLSTATE where that is known."""
    flat = _one_line(text)
    state = state or state_of(flat)
    if state == "53200" and re.search(_OUT_OF_LOCKS, flat):
        return OutOfLocksError(f"{action}: {flat}", hint=_OUT_OF_LOCKS_HINT)
    kind = _kind(state, flat)
    hint = RESTORE_DENIED if state == "42501" else _hint(state, flat, kind)
    return kind(f"{action}: {flat}", hint=hint)


def content_error(error: HoldfastError, state: str, *, same_major: bool) -> HoldfastError:
    """In a drill: an error that the backup is damaged, where the server refuses what is in it."""
    if state == _NOT_READY and re.search(_SERVER_NOT_READY, error.message):
        return error
    if type(error) is HoldfastError and is_content(state, same_major=same_major):
        return IntegrityError(error.message, hint=error.hint)
    return error


def is_recovery_conflict(text: str) -> bool:
    """Whether a standby ended what stood in the way of replaying changes; never translated by pg_dump."""
    return "conflict with recovery" in text


def state_of(text: str) -> str:
    """The SQLSTATE of a message in English that came without one; empty where that is not known."""
    return next((state for pattern, state in _STATES if re.search(pattern, text)), "")


def is_content(state: str, *, same_major: bool) -> bool:
    """Whether a server refuses rows or definitions for what they are, which says something about the backup.

    What it refuses for want of a role, a right, space or time says nothing about it. Another major version may know
    words or routines no longer, so that for it only rows and constraints tell.
    """
    if state in _ENVIRONMENT:
        return False
    return state.startswith(_CONTENT_CLASSES) or (same_major and state.startswith(("42", "3F", _NOT_READY)))


def _state(state: str, text: str) -> str:
    """The SQLSTATE, found by the text where that tells more: what ended a statement was not always the user (57014)."""
    return (state_of(text) or state) if state in ("", "57014", "XX000", "22P03") else state


def _row_security(action: str, text: str) -> CredentialsError:
    return CredentialsError(
        f"{action}: {text}, so that rows would be missing",
        hint="back up as the owner of the table, as a superuser, or as a role with BYPASSRLS",
    )


def _kind(state: str, text: str) -> type[HoldfastError]:
    known = _BY_STATE.get(state) or _BY_CLASS.get(state[:2])
    if known:
        return known
    if state in ("", "XX000"):
        if re.search(r'database ".*" does not exist', text):
            return UnreachableError
        if re.search(_DENIED, text):
            return CredentialsError
        if not state and re.search(_LOST, text):
            return UnreachableError
    return HoldfastError


def _hint(state: str, text: str, kind: type[HoldfastError], denied: str = _READ_DENIED) -> str | None:
    if state == "42501":
        return _LARGE_OBJECTS_HINT if "large object" in text else denied
    if state in _HINTS:
        return _HINTS[state]
    if kind is UnreachableError and "database" in text and "does not exist" in text:
        return "check the name of the database in the URL"
    if kind is CredentialsError and "password" in text:
        return "give the password in the URL, in PGPASSWORD, or in ~/.pgpass"
    return next((hint for pattern, hint in _WORDS.items() if re.search(pattern, text)), None)


def _one_line(text: str) -> str:
    flat = " ".join(text.split()).removeprefix("connection failed: ")
    return flat if flat.isprintable() else quote_name(flat)


def some_names(names: Sequence[str], limit: int = 5) -> str:
    """A few names and how many more."""
    text = ", ".join(quote_name(name) for name in names[:limit])
    return f"{text} and {len(names) - limit} more" if len(names) > limit else text


def some_lines(lines: Sequence[str], limit: int = 10) -> list[str]:
    """A few messages and how many more."""
    return [*lines[:limit], f"and {len(lines) - limit} more"] if len(lines) > limit else list(lines)


@contextmanager
def translate_errors(action: str, *, denied: str = _READ_DENIED) -> Iterator[None]:
    """Raise psycopg's errors of the block as ours: see `server_error`."""
    try:
        yield
    except psycopg.Error as error:
        raise server_error(error, action, denied=denied) from error
