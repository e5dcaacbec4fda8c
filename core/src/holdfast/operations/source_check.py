"""The check of a source, or of the server of a drill: what a run needs of it and has; nothing is changed."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from holdfast.api import CheckRequest, Engine, Operation, Requirement
from holdfast.defaults import installed
from holdfast.error_boundary import error_message, scrub, translate_errors
from holdfast.errors import HoldfastError, PluginError
from holdfast.operations._drill_server import drill_server
from holdfast.plan import BackupPlan
from holdfast.plugins.guard import check_fields, provider
from holdfast.plugins.registry import Registry
from holdfast.scratch import scratch_folder
from holdfast.setup import BackupSetup, Parts, complete, resolve_backup
from holdfast.url import redact

DEFAULT_TIMEOUT = 60.0  #: seconds for each answer
_MOST = 1000  # requirements that an engine may tell
_CLASSES: dict[int, type[HoldfastError]] = {kind.exit_code: kind for kind in HoldfastError.__subclasses__()}


@dataclass(frozen=True, kw_only=True)
class SourceCheck:
    """What a backup of a source, and a drill where one was asked for, needs and has, in the order in which it was seen.

    `failure` is the error that a backup would end with, or that says what it would lack; None where nothing is in its
    way.
    """

    source: str  #: the URL of the source, or of the server of a drill, without its secrets
    requirements: tuple[Requirement, ...]  #: what was looked at

    @property
    def failure(self) -> HoldfastError | None:
        """The first thing that has failed."""
        return next((_failure(each) for each in self.requirements if each.state == "failed"), None)

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        failure = {"message": self.failure.message, "exit_code": self.failure.exit_code} if self.failure else None
        return {
            "source": self.source,
            "requirements": [asdict(each) for each in self.requirements],
            "failure": failure,
        }

    def raise_for_failure(self) -> None:
        """Raise what a backup would fail with."""
        if self.failure is not None:
            raise self.failure


def _failure(requirement: Requirement) -> HoldfastError:
    kind = _CLASSES.get(requirement.exit_code, HoldfastError)
    return kind(f"{requirement.name}: {requirement.detail}", hint=requirement.remedy)


def check_source(
    source: str | BackupPlan,
    /,
    *,
    engine: Engine | None = None,
    registry: Registry | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> SourceCheck:
    """Tell what a backup of a source needs and whether it is there; nothing is changed, and no row is read.

    `source` is a URL or a whole plan. What would be missing is a requirement that has `failed`, with what mends it. A
    server that says nothing for `timeout` seconds is one too.

    Example::

        checked = holdfast.check_source("postgresql://backup@db.example/shop")
        for each in checked.requirements:
            print(each.name, each.state, each.detail, each.remedy)
    """
    registry = registry or installed()
    plan = BackupPlan(source=source) if isinstance(source, str) else source
    requirements: list[Requirement] = []
    try:
        with translate_errors(f"cannot check {redact(plan.source)}", plan.source):
            setup = resolve_backup(plan, registry, Parts(engine=engine))
    except HoldfastError as error:
        requirements.append(_of_error("plugins", error))
    else:
        requirements.append(Requirement(name="plugins", state="ok", detail=_parts(setup)))
        fields = plan.request_fields(CheckRequest)

        def request(folder: Path) -> CheckRequest:
            options = {"options": setup.options, "jobs": setup.jobs}
            return CheckRequest(url=plan.source, scratch=folder, **options, **fields)

        requirements += _asked(setup.engine, request, plan.source, timeout)
    return SourceCheck(source=redact(plan.source), requirements=tuple(requirements))


def check_drill(
    source: str,
    into: str | None,
    *,
    options: dict[str, Any] | None = None,
    registry: Registry,
    timeout: float = DEFAULT_TIMEOUT,
) -> SourceCheck:
    """The same for a drill of the backups of a source: `into` is as for a drill."""
    from holdfast.plugins.engine import options_for
    from holdfast.url import DatabaseURL

    try:
        with translate_errors("cannot check the drill", source, into or ""):
            engine = registry.engine(DatabaseURL.parse(source).scheme)
            server = drill_server(engine, into)
            checked = options_for("restore", engine, options or {})
    except HoldfastError as error:
        return SourceCheck(source=redact(into or source), requirements=(_of_error("plugins", error),))

    def request(folder: Path) -> CheckRequest:
        return CheckRequest(url=server, scratch=folder, operation=Operation.DRILL, options=checked)

    told = _asked(engine, request, server or "", timeout)
    return SourceCheck(source=redact(server) if server else "", requirements=tuple(told))


def _parts(setup: BackupSetup) -> str:
    return f"{provider(setup.engine)}, codec {setup.codec_spec}, checksums {', '.join(setup.hashers)}"


def _of_error(name: str, error: HoldfastError) -> Requirement:
    return Requirement(
        name=name, state="failed", detail=error_message(error), remedy=error.hint, exit_code=error.exit_code
    )


def _asked(engine: Engine, request: Callable[[Path], CheckRequest], url: str, timeout: float) -> Iterator[Requirement]:
    """What an engine tells, one by one, and what keeps it from telling the rest; without the secrets of the URL."""
    engine = complete(engine)
    for told in _within(timeout, lambda: _told(engine, request, url)):
        remedy = None if told.remedy is None else scrub(told.remedy, url)
        yield replace(told, detail=scrub(told.detail, url), remedy=remedy)


def _told(engine: Engine, request: Callable[[Path], CheckRequest], url: str) -> Iterator[Requirement]:
    try:
        with (
            translate_errors(f"cannot look at {redact(url) if url else 'the scratch place'}", url),
            scratch_folder() as own,
        ):
            told = engine.check(request(own))
            if told is None:
                detail = f"{provider(engine)} does not tell what it needs"
                yield Requirement(name="engine", state="unknown", detail=detail)
            for number, requirement in enumerate(told or ()):
                if number == _MOST:
                    raise PluginError(f"{provider(engine)} tells more than {_MOST} requirements, without an end")
                check_fields(engine, "check()", requirement)
                yield requirement
    except HoldfastError as error:
        yield _of_error("connection" if error.exit_code in (12, 15) else "check", error)


def _within(timeout: float, ask: Callable[[], Iterable[Requirement]]) -> Iterator[Requirement]:
    """What a thread yields, until it says nothing for so long: it is left to wait for an answer that nobody needs."""
    told: queue.Queue[Requirement | BaseException | None] = queue.Queue()

    def run() -> None:
        try:
            for each in ask():
                told.put(each)
            told.put(None)
        except BaseException as error:  # noqa: BLE001 (raised by the thread that waits)
            told.put(error)

    threading.Thread(target=run, name="holdfast-check", daemon=True).start()
    while True:
        try:
            each = told.get(timeout=timeout)
        except queue.Empty:
            yield Requirement(name="connection", state="failed", detail=f"no answer within {timeout:g} s", exit_code=15)
            return
        if each is None:
            return
        if isinstance(each, BaseException):
            raise each
        yield each
