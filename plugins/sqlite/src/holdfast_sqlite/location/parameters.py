"""What applications write behind the `?` of an SQLite URL: nothing to a backup, explained where it would be."""

from holdfast.api import DatabaseURL, UsageError

# Of SQLite's URIs, of SQLAlchemy and Python's sqlite3, of Django, Rails, Prisma and Go's drivers (which begin with _).
HARMLESS = frozenset(
    {
        "mode", "cache", "immutable", "psow", "vfs", "nolock", "uri", "timeout", "check_same_thread", "isolation_level",
        "detect_types", "cached_statements", "autocommit", "connection_limit", "socket_timeout", "pool", "pool_timeout",
        "busy_timeout", "busytimeout", "journal_mode", "synchronous", "foreign_keys", "cache_size", "transaction_mode",
        "conn_max_age", "encoding", "schema", "_pragma", "_busy_timeout", "_timeout", "_journal_mode", "_journal",
        "_foreign_keys", "_fk", "_synchronous", "_sync", "_cache_size", "_txlock", "_loc", "_mutex", "_time_format",
        "_auto_vacuum", "_vacuum", "_case_sensitive_like", "_cslike", "_defer_foreign_keys", "_defer_fk",
        "_ignore_check_constraints", "_locking_mode", "_locking", "_query_only", "_recursive_triggers", "_rt",
        "_secure_delete", "_stmt_cache_size", "_writable_schema",
    }
)  # fmt: skip
_KEYS = (
    "key", "hexkey", "textkey", "password", "passphrase", "pragma_key", "auth", "auth_user", "auth_pass", "auth_crypt",
    "auth_salt", "cipher", "kdf_iter",
)  # fmt: skip
_LOCKING = ("unix", "unix-excl", "win32")  # the ways to lock that are those of files here
_TRUE = ("1", "true", "yes", "on")


def check_parameters(url: DatabaseURL) -> None:
    """Let pass what says how an application opens the database; `UsageError` for what a backup could not honour."""
    if url.user is not None or url.password is not None:
        raise _encrypted(f"the URL {url.redacted()} holds a user or password")
    for name, value in url.query:
        lower = name.lower()
        if lower.lstrip("_") in _KEYS or "cipher" in lower:
            raise _encrypted(f"the SQLite URL holds ?{name}=")
        if lower not in HARMLESS:
            raise UsageError(
                f"an SQLite URL has no parameter {name!r}", hint="leave it out; write a ? in a file name as %3F"
            )
        _check_value(lower, value)


def _check_value(name: str, value: str) -> None:
    if (name, value) == ("mode", "memory"):
        raise UsageError(
            "an SQLite database in memory (mode=memory) belongs to its process and cannot be reached from here",
            hint="let that process write it to a file (VACUUM INTO)",
        )
    if (name == "nolock" and value in _TRUE) or (name == "vfs" and value not in _LOCKING):
        raise UsageError(
            f"the URL says ?{name}={value}: its program takes no locks that others could see, so that nothing tells "
            "whether it is writing",
            hint="stop that program for the time of the backup, and leave the parameter out",
        )


def _encrypted(reason: str) -> UsageError:
    return UsageError(
        f"{reason}, and Holdfast decrypts no database",
        hint="leave it out: --allow-damaged backs up an encrypted file as it is, together with its log",
    )


def is_uri(url: DatabaseURL) -> bool:
    """Whether the path is to be read as SQLite's `file:` URI."""
    return any(name.lower() == "uri" and value.lower() in _TRUE for name, value in url.query)
