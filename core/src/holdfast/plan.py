"""Plans: what a run is described by, the same frozen plain data for Python, jobs, agents and the command line.

`BackupOptions` and `RestoreOptions` are the only lists of what a run can be told. The functions of the package,
`Pipeline` and the tasks take their keywords from them (`holdfast.signature`), plans narrow them to plain data, and the
request that an engine gets takes from a plan what it names alike. A new option is a field there, a line of its command
in `holdfast.cli`, and a field of the request in `holdfast.api`.
"""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, NoReturn, Self

import msgspec

from holdfast.api import Check, Codec, Hasher, RetentionMode, Storage
from holdfast.decodable import decodable
from holdfast.errors import UsageError, lower_first, quote_name
from holdfast.policy import Texts, check_percent
from holdfast.retention_period import check_retention
from holdfast.signature import check_names, keywords_of
from holdfast.sizes import parse_size
from holdfast.url import DatabaseURL, redact, secrets_of

MAX_JOBS = 256
_LONGEST_TAG = 80  # bytes: the file name of a label holds it in hexadecimal and has to stay below 255
_LONGEST_RUN = 200  # bytes
_RESOLVED = {"options", "jobs"}  # a request has them too, but checked and with their defaults

VerifyWritten = Literal["none", "sample", "all"]
Checksum = str | Callable[[], Hasher]
Checksums = Sequence[Checksum]


class FrozenOptions(dict[str, Any]):
    """The options of a plan, which cannot be changed either: they compare, hash and pickle by value."""

    def _refuse(self, *_args: object, **_more: object) -> NoReturn:
        raise TypeError("the options of a plan cannot be changed: make another plan of it")

    __setitem__ = __delitem__ = __ior__ = update = pop = popitem = clear = setdefault = _refuse

    def __hash__(self) -> int:  # type: ignore[override]  # a dict says that it has none
        """Equal options have equal keys; the values may be lists."""
        return hash(frozenset(self))

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as a whole: one by one is how they would be changed."""
        return (FrozenOptions, (dict(self),))


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What all plans can do: they compare by value, hash, pickle and go through JSON.

    A plan with a secret in one of its URLs stays in its process: it is shown without the secret, and neither pickles
    nor turns into data.
    """

    kind: ClassVar[str] = "plan"  #: what messages call it
    database: ClassVar[str] = ""  #: the field that holds the URL of the database

    def __post_init__(self) -> None:
        """Refuse what no run could mean."""
        _check_types(self)
        DatabaseURL.parse(self._url)

    def __repr__(self) -> str:
        """Show what was given, without secrets."""
        defaults = {field.name: field.default for field in msgspec.structs.fields(self)}
        given = {
            name: redact(value) if isinstance(value, str) and "://" in value else value
            for name, value in msgspec.structs.asdict(self).items()
            if value not in (None, (), {}) and value != defaults[name]
        }
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in given.items())})"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by value, unless that would carry a secret away."""
        return (type(self).from_data, (self.as_data(),))

    def as_data(self) -> dict[str, Any]:
        """Return plain data that `from_data` takes; a secret in a URL is a `UsageError`."""
        _check_portable(self._url, self._store)
        data: dict[str, Any] = msgspec.to_builtins(self)
        return {name: value for name, value in data.items() if value != {}}

    def to_json(self) -> str:
        """Write the plan as JSON; a secret in a URL is a `UsageError`."""
        return msgspec.json.encode(self.as_data()).decode()

    @classmethod
    def from_data(cls, data: Any) -> Self:
        """Read a plan from plain data, such as a table of TOML; what does not fit is a `UsageError`."""
        try:
            return msgspec.convert(data, decodable(cls))
        except msgspec.ValidationError as error:
            raise UsageError(f"not a {cls.kind}: {lower_first(str(error))}") from error

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a plan from JSON."""
        try:
            return cls.from_data(msgspec.json.decode(text))
        except msgspec.DecodeError as error:
            raise UsageError(f"not a {cls.kind}: {lower_first(str(error))}") from error

    def request_fields(self, request: type) -> dict[str, Any]:
        """What a request to an engine takes over as it is: the fields of the same name, except those left at None."""
        names = {field.name for field in dataclasses.fields(request)} - _RESOLVED
        fields = msgspec.structs.asdict(self)
        return {name: value for name, value in fields.items() if name in names and value is not None}

    def _changed(self, changes: dict[str, Any]) -> Self:
        check_names(changes, self.__struct_fields__)
        return msgspec.structs.replace(self, **changes)

    @property
    def _url(self) -> str:
        return str(getattr(self, self.database))

    @property
    def _store(self) -> str:
        return getattr(self, "store", None) or ""


class BackupOptions(Plan, frozen=True, kw_only=True):
    """Everything that a backup can be told: the keywords of the functions that make one."""

    #: The URL of the database.
    source: str = ""
    #: A path or URL; None means `HOLDFAST_STORE`, else `./backups`.
    store: str | os.PathLike[str] | Storage | None = None
    #: The options of its storage, such as those that `holdfast plugins show s3` lists.
    store_options: Mapping[str, Any] = {}
    #: The name of the source in the store; None means one made from the name of the database.
    name: str | None = None
    #: The codec, such as `zstd:3`; None means `HOLDFAST_CODEC`, else the best that is installed.
    codec: str | Codec | None = None
    #: Checksums besides SHA-256, which is always taken.
    checksums: Checksums = ()
    #: The number of parallel jobs; None means `HOLDFAST_JOBS`, else the usable CPUs, at most 4.
    jobs: int | None = None
    #: Patterns of the objects to back up, where the engine can; empty means all of them.
    select: Texts = ()
    #: Patterns of objects to leave out, where the engine can.
    exclude: Texts = ()
    #: Kinds of objects to leave out, such as `trigger`, where the engine can.
    exclude_kinds: Texts = ()
    #: The engine's own options.
    options: Mapping[str, Any] = {}
    #: Who can open the backup, which is encrypted then: `age1…`, or the line of an ssh key; several may be given.
    recipients: Texts = ()
    #: A file of recipients, a line each; without either that of `HOLDFAST_RECIPIENTS_FILE`, else nothing is encrypted.
    recipients_file: str | None = None
    #: The cipher; None means `age`, where there are recipients.
    cipher: str | None = None
    #: Whether to record a proof; None is the engine's default.
    proof: bool | None = None
    #: Whether to run the engine's own check of the source, `full` the deeper one; None is the engine's default.
    check: Check | None = None
    #: Whether to back up a source that this check finds damaged, and mark the backup as damaged.
    allow_damaged: bool = False
    #: Whether to make the store if it is not there; without, a store that was unmounted or moved is an error.
    create: bool = True
    #: The least size of the backup before compression, in bytes or as a text such as `20MB`; below, it is refused.
    min_size: int | str | None = None
    #: By how many percent the database may have shrunk since its last backup; beyond, it is refused. None means 90, and
    #: only a warning.
    max_shrink: float | None = None
    #: Whether to write into a store that is another user's alone, who could then neither read nor prune the backup.
    foreign_store: bool = False
    #: Whether to take over a `name` that belongs to another database.
    adopt: bool = False
    #: The name of the host that the database lies on; None means `HOLDFAST_HOST`, else the system's own.
    host: str | None = None
    #: How much of what was written is read back and decoded before the backup counts; None means `sample`.
    verify_written: VerifyWritten | None = None
    #: Tags to keep with the backup.
    tags: Texts = ()
    #: The occurrence that it is made for, such as `nightly-2026-11-29`: a good backup of this source and occurrence is
    #: returned, and no other made.
    run: str | None = None
    #: For how long nobody can delete the backup, such as `30d`, in a store that can do that (object lock).
    retain: str | None = None
    #: Who can lift that: `governance`, those with a right of its own, or `compliance`, nobody. None is `governance`.
    retain_mode: RetentionMode | None = None


class BackupFields(BackupOptions, frozen=True, kw_only=True):
    """The same with every part by name, as data can hold it."""

    store: str | None = None
    codec: str | None = None
    checksums: Texts = ()


class BackupPlan(BackupFields, frozen=True, kw_only=True):
    """One backup of one source, with every part by name; the fields are those of `BackupOptions`.

    It compares by value, pickles and goes through JSON; with a secret in a URL it does neither.
    """

    kind: ClassVar[str] = "backup plan"
    database: ClassVar[str] = "source"

    source: str

    def __post_init__(self) -> None:
        """Refuse what no run could mean."""
        super().__post_init__()
        check_jobs(self.jobs)
        if self.min_size is not None:
            parse_size("min_size", self.min_size)
        check_percent("max_shrink", self.max_shrink)
        for tag in self.tags:
            check_tag(tag)
        if self.run is not None:
            check_run(self.run)
        check_retention(self.retain, self.retain_mode)

    @keywords_of(BackupFields)
    def replace(self, **changes: Any) -> "BackupPlan":
        """Return another plan with some fields changed."""
        return self._changed(changes)


class RestoreOptions(Plan, frozen=True, kw_only=True):
    """Everything that a restore can be told: the keywords of the functions that make one."""

    #: Which backup: an id, the beginning of one, `latest` or `NAME/latest`.
    backup: str = ""
    #: The URL of the database to restore into.
    target: str = ""
    #: A path or URL; None means `HOLDFAST_STORE`, else `./backups`.
    store: str | os.PathLike[str] | Storage | None = None
    #: The options of its storage, such as those that `holdfast plugins show s3` lists.
    store_options: Mapping[str, Any] = {}
    #: Whether to replace a target that holds data, which is refused otherwise.
    replace: bool = False
    #: Whether to restore into a database that others have open, where the engine can.
    live: bool = False
    #: Whether to restore a damaged backup as far as possible.
    allow_damaged: bool = False
    #: Whether to run the engine's own check of the result, `full` the deeper one; None is the engine's default.
    check: Check | None = None
    #: The number of parallel jobs; None means `HOLDFAST_JOBS`, else the usable CPUs, at most 4.
    jobs: int | None = None
    #: Patterns of the objects to restore, where the engine can; empty means all of them.
    select: Texts = ()
    #: Patterns of objects to leave out, where the engine can.
    exclude: Texts = ()
    #: Kinds of objects to leave out, such as `trigger`, where the engine can.
    exclude_kinds: Texts = ()
    #: The engine's own options.
    options: Mapping[str, Any] = {}
    #: A file, readable by nobody else, with an identity that opens an encrypted backup; None means `HOLDFAST_IDENTITY`.
    identity: str | None = None
    #: A command, as a list of words, that prints the identity.
    identity_command: Texts = ()


class RestoreFields(RestoreOptions, frozen=True, kw_only=True):
    """The same with the store by name, as data can hold it."""

    store: str | None = None


class RestorePlan(RestoreFields, frozen=True, kw_only=True):
    """One restore of one backup; the fields are those of `RestoreOptions`, the guarantees those of a `BackupPlan`."""

    kind: ClassVar[str] = "restore plan"
    database: ClassVar[str] = "target"

    backup: str
    target: str

    def __post_init__(self) -> None:
        """Refuse what no run could mean."""
        if self.target == "":
            raise UsageError("a restore needs a target, the URL of a database")
        super().__post_init__()
        check_jobs(self.jobs)

    @keywords_of(RestoreFields)
    def evolve(self, **changes: Any) -> "RestorePlan":
        """Return another plan with some fields changed: what `replace` does for a backup, which here is an option."""
        return self._changed(changes)


def check_jobs(jobs: int | None) -> None:
    """Refuse a number of jobs that is none, or that would only cost memory."""
    if jobs is not None and (type(jobs) is not int or not 1 <= jobs <= MAX_JOBS):
        raise UsageError(f"jobs is {jobs!r}, expected a whole number from 1 to {MAX_JOBS}")


def check_tag(tag: str) -> str:
    """Return a tag, or raise `UsageError` for one that cannot be kept."""
    return _check_text("tag", tag, _LONGEST_TAG)


def check_run(run: str) -> str:
    """Return the name of an occurrence, or raise `UsageError` for one that cannot be kept."""
    return _check_text("run", run, _LONGEST_RUN)


def _check_text(what: str, text: str, most: int) -> str:
    if not text or not text.isprintable() or text != text.strip() or len(text.encode(errors="replace")) > most:
        raise UsageError(
            f"not a {what}: {quote_name(text)}",
            hint=f"use 1 to {most} bytes of printable text without spaces around it",
        )
    return text


def _check_types(plan: Plan) -> None:
    """Refuse values of a wrong type, which a Struct made in a program takes as they are; a list is a tuple.

    A text is also a sequence and a true value: `tags="nightly"` would be seven tags, `replace="no"` would replace.
    The message shows no value, because a URL may hold a secret.
    """
    for field in msgspec.structs.fields(plan):
        try:
            value = msgspec.convert(getattr(plan, field.name), field.type)
        except (msgspec.ValidationError, TypeError) as error:
            raise UsageError(f"{field.name}: {lower_first(str(error))}") from error
        frozen = FrozenOptions(value) if isinstance(value, dict) else value
        msgspec.structs.force_setattr(plan, field.name, frozen)


def _check_portable(url: str, store: str) -> None:
    """Refuse to turn a plan into data, or to pickle it, with a secret in a URL."""
    from holdfast.defaults import installed

    parsed = DatabaseURL.parse(url)
    if parsed.query and not parsed.password:
        installed()  # its engine says which parameters of the URL are no secrets
    if not parsed.secrets and not secrets_of(store):
        return
    what = "a password" if parsed.password else "a secret"
    raise UsageError(
        f"the plan for {redact(url if parsed.secrets else store)} holds {what} and cannot be serialized",
        hint="leave the secret out of the URL, and give it where the plan runs: in the environment (PGPASSWORD, "
        "MYSQL_PWD) or in a file such as ~/.pgpass or ~/.my.cnf",
    )
