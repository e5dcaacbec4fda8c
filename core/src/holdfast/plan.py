"""Plans: what a run is described by, the same frozen plain data for Python, jobs, agents and the command line."""

from typing import Any, Self

import msgspec

from holdfast.errors import UsageError, lower_first, quote_name
from holdfast.url import DatabaseURL, redact, secrets_of

MAX_JOBS = 256
_LONGEST_TAG = 80  # bytes: the file name of a label holds it in hexadecimal and has to stay below 255


class FrozenOptions(dict[str, Any]):
    """The options of a plan, which cannot be changed either: they compare, hash and pickle by value."""

    def _refuse(self, *_args: object, **_more: object) -> Any:
        raise TypeError("the options of a plan cannot be changed: make another plan of it")

    __setitem__ = __delitem__ = __ior__ = update = pop = popitem = clear = setdefault = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        """Equal options have equal keys; the values may be lists."""
        return hash(frozenset(self))

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as a whole: one by one is how they would be changed."""
        return (FrozenOptions, (dict(self),))


class BackupPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One backup of one source.

    `source` is a database URL; `store` None means `HOLDFAST_STORE`, else `./backups`; `codec` None means the
    best that is installed; `checksums` are taken besides SHA-256; `jobs` None means the usable CPUs, at most 4;
    `proof` and `check` None mean that the engine's default holds. `options` are the engine's own.

    It compares by value, pickles and goes through JSON; with a secret in its URL it does neither.
    """

    source: str
    store: str | None = None
    name: str | None = None
    codec: str | None = None
    checksums: tuple[str, ...] = ()
    jobs: int | None = None
    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    options: dict[str, Any] = {}
    proof: bool | None = None
    check: bool | None = None
    allow_damaged: bool = False
    adopt: bool = False
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no run could mean."""
        _check_types(self)
        DatabaseURL.parse(self.source)
        check_jobs(self.jobs)
        for tag in self.tags:
            check_tag(tag)

    def __repr__(self) -> str:
        """Show the plan without the secrets of its source."""
        given = {
            key: value for key, value in msgspec.structs.asdict(self).items() if value not in (None, (), {}, False)
        }
        given["source"] = redact(self.source)
        if self.store is not None and "://" in self.store:
            given["store"] = redact(self.store)
        return f"BackupPlan({', '.join(f'{key}={value!r}' for key, value in given.items())})"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by value, unless that would carry a password away."""
        return (_build, (self.as_data(),))

    def replace(self, **changes: Any) -> Self:
        """Return another plan with some fields changed."""
        return msgspec.structs.replace(self, **changes)

    def as_data(self) -> dict[str, Any]:
        """Return plain data that `from_data` takes; a secret in the URL is a `UsageError`."""
        _check_portable(self.source, self.store)
        data: dict[str, Any] = msgspec.to_builtins(self)
        return {key: value for key, value in data.items() if value != {}}

    def to_json(self) -> str:
        """Write the plan as JSON; a secret in the URL is a `UsageError`."""
        return msgspec.json.encode(self.as_data()).decode()

    @classmethod
    def from_data(cls, data: Any) -> Self:
        """Read a plan from plain data, such as a table of TOML; what does not fit is a `UsageError`."""
        try:
            return msgspec.convert(data, cls)
        except msgspec.ValidationError as error:
            raise UsageError(f"not a backup plan: {lower_first(str(error))}") from error

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a plan from JSON."""
        try:
            return cls.from_data(msgspec.json.decode(text))
        except msgspec.DecodeError as error:
            raise UsageError(f"not a backup plan: {lower_first(str(error))}") from error


def check_jobs(jobs: int | None) -> None:
    """Refuse a number of jobs that is none, or that would only cost memory."""
    if jobs is not None and (type(jobs) is not int or not 1 <= jobs <= MAX_JOBS):
        raise UsageError(f"jobs is {jobs!r}, expected a whole number from 1 to {MAX_JOBS}")


def check_tag(tag: str) -> str:
    """Return a tag, or raise `UsageError` for one that cannot be kept."""
    if not tag or not tag.isprintable() or tag != tag.strip() or len(tag.encode(errors="replace")) > _LONGEST_TAG:
        raise UsageError(
            f"not a tag: {quote_name(tag)}",
            hint=f"a tag is 1 to {_LONGEST_TAG} bytes of printable text without spaces around",
        )
    return tag


def _check_types(plan: msgspec.Struct) -> None:
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


def _check_portable(url: str, store: str | None) -> None:
    """Refuse to write a plan down, or send it away, with a secret in a URL."""
    parsed = DatabaseURL.parse(url)
    if not parsed.secrets and not secrets_of(store or ""):
        return
    where = url if parsed.secrets else store or ""
    what = "a password" if parsed.password else "a secret"
    raise UsageError(
        f"the plan for {redact(where)} holds {what} and cannot be written down or sent away",
        hint="leave the password out of the URL and name a password_command, a file or an environment "
        "variable where the plan runs",
    )


def _build(data: dict[str, Any]) -> BackupPlan:
    return BackupPlan.from_data(data)


class RestorePlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One restore: `backup` is an id, a unique prefix, `latest` or `NAME/latest`; `target` a database URL."""

    backup: str
    target: str
    store: str | None = None
    replace: bool = False
    live: bool = False
    allow_damaged: bool = False
    check: bool | None = None
    jobs: int | None = None
    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    options: dict[str, Any] = {}

    def __post_init__(self) -> None:
        """Refuse what no run could mean."""
        _check_types(self)
        DatabaseURL.parse(self.target)
        check_jobs(self.jobs)

    def __repr__(self) -> str:
        """Show the plan without the secrets of its target."""
        return f"RestorePlan(backup={self.backup!r}, target={redact(self.target)!r})"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by value, unless that would carry a password away."""
        _check_portable(self.target, self.store)
        return (_build_restore, (msgspec.structs.asdict(self),))


def _build_restore(data: dict[str, Any]) -> RestorePlan:
    return RestorePlan(**data)
