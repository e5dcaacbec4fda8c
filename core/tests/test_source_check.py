"""`check_source`: what an engine tells of its needs, bounded and without secrets."""

import os
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from support.postgres_faults import wait_until

import holdfast
from holdfast.api import CheckRequest, CredentialsError, HoldfastError, Operation, Requirement, UnreachableError
from holdfast.errors import PluginError
from holdfast.operations.source_check import check_drill
from holdfast.plan import BackupPlan
from holdfast.testing.memory import MemoryEngine, MemoryPlugin, memory_registry

URL = "memory://user:hunter2secret@host/app"
OK = Requirement(name="rights", state="ok")


class Telling(MemoryPlugin):
    """Tells what it is given."""

    def __init__(self, told: Any) -> None:
        super().__init__()
        self.told = told
        self.requests: list[CheckRequest] = []

    @holdfast.api.hookimpl
    def holdfast_check(self, scheme: str, request: CheckRequest) -> Iterable[Requirement] | None:
        assert scheme == "memory"
        self.requests.append(request)
        return self.told(request) if callable(self.told) else self.told  # type: ignore[no-any-return]


def checked(told: Any, **more: Any) -> holdfast.SourceCheck:
    registry = holdfast.Registry(plugins=[Telling(told)], discover=False, environ={})
    return holdfast.check_source(URL, registry=registry, **more)


def states(result: holdfast.SourceCheck) -> list[tuple[str, str]]:
    return [(each.name, each.state) for each in result.requirements]


def test_what_an_engine_tells_is_told_in_its_order() -> None:
    warning = Requirement(name="clock", state="warning", detail="late")
    result = checked([OK, warning])
    assert states(result) == [("plugins", "ok"), ("rights", "ok"), ("clock", "warning")]
    assert result.failure is None
    assert result.source == "memory://user:***@host/app"


def test_an_engine_that_does_not_tell_is_no_failure() -> None:
    for engine in (None, MemoryEngine()):
        result = holdfast.check_source("memory://host/app", registry=memory_registry(), engine=engine)
        assert states(result) == [("plugins", "ok"), ("engine", "unknown")]
        assert result.failure is None


def test_an_engine_given_as_an_object_may_tell_too() -> None:
    class Knowing(MemoryEngine):
        def check(self, request: CheckRequest) -> Iterable[Requirement] | None:
            assert request.url == URL
            return [OK]

    result = holdfast.check_source(URL, registry=memory_registry(), engine=Knowing())
    assert states(result) == [("plugins", "ok"), ("rights", "ok")]


@pytest.mark.parametrize(
    ("code", "kind"), [(0, HoldfastError), (12, CredentialsError), (14, PluginError), (15, UnreachableError)]
)
def test_the_first_failure_is_that_of_a_backup(code: int, kind: type[HoldfastError]) -> None:
    bad = Requirement(name="rights", state="failed", detail="no SELECT", remedy="GRANT SELECT", exit_code=code)
    result = checked([OK, bad, Requirement(name="space", state="failed", exit_code=1)])
    assert type(result.failure) is kind
    assert result.failure.hint == "GRANT SELECT"
    assert result.as_data()["failure"] == {"message": "rights: no SELECT", "exit_code": kind.exit_code}
    with pytest.raises(kind):
        result.raise_for_failure()


def test_what_was_told_before_an_error_is_kept_and_the_error_is_told() -> None:
    def told(request: CheckRequest) -> Iterator[Requirement]:
        yield OK
        raise UnreachableError(f"lost {request.url}", hint="hunter2secret")

    result = checked(told)
    assert states(result) == [("plugins", "ok"), ("rights", "ok"), ("connection", "failed")]
    assert isinstance(result.failure, UnreachableError)
    assert "hunter2secret" not in str(result.as_data()) + repr(result)


def test_secrets_in_what_an_engine_tells_are_hidden() -> None:
    leak = Requirement(name="rights", state="warning", detail="by hunter2secret", remedy="SET PASSWORD hunter2secret")
    assert "hunter2secret" not in repr(checked([leak]))


def test_a_server_that_hangs_is_bounded_and_said() -> None:
    going_on = threading.Event()

    def told(_request: CheckRequest) -> Iterator[Requirement]:
        yield OK
        going_on.wait(20)

    result = checked(told, timeout=0.2)
    going_on.set()
    assert states(result) == [("plugins", "ok"), ("rights", "ok"), ("connection", "failed")]
    assert "no answer within 0.2 s" in result.requirements[-1].detail
    assert isinstance(result.failure, UnreachableError)
    wait_until(lambda: not os.listdir(os.environ["TMPDIR"]))  # the thread that was left has gone on, and ends


def endless(_request: CheckRequest) -> Iterator[Requirement]:
    while True:
        yield OK


@pytest.mark.parametrize(
    "told",
    [endless, ["text"], "text", [Requirement(name="x", state="fine")], 3],  # type: ignore[arg-type]
    ids=["endless", *"1234"],
)
def test_what_breaks_the_contract_is_a_failure_of_the_plugin(told: Any) -> None:
    assert isinstance(checked(told).failure, PluginError)


def test_a_plan_that_cannot_be_carried_out_is_told() -> None:
    plan = BackupPlan(source="memory://host/app", codec="nonesuch")
    result = holdfast.check_source(plan, registry=memory_registry())
    assert states(result) == [("plugins", "failed")]
    assert isinstance(result.failure, PluginError)


def test_an_engine_gets_what_a_dump_would_get() -> None:
    plugin = Telling([OK])
    registry = holdfast.Registry(plugins=[plugin], discover=False, environ={})
    holdfast.check_source(BackupPlan(source=URL, allow_damaged=False), registry=registry)
    check_drill("memory://host/app", "memory://other/", registry=registry)
    of_backup, of_drill = plugin.requests
    assert (of_backup.url, of_backup.operation) == (URL, Operation.BACKUP)
    assert (of_drill.url, of_drill.operation) == ("memory://other/", Operation.DRILL)


def test_a_drill_on_another_engine_is_refused() -> None:
    assert check_drill("memory://host/app", "sqlite:///x", registry=memory_registry()).failure is not None


@pytest.mark.parametrize(("server", "state"), [(1000.0, "ok"), (950.0, "ok"), (800.0, "warning"), (1300.0, "warning")])
def test_clocks_may_differ_by_a_minute_and_what_the_question_took(server: float, state: str) -> None:
    told = Requirement.of_clock(server, 1000.0, 1005.0)
    assert (told.name, told.state) == ("clock", state)
    if state == "warning":
        assert ("behind" if server < 1000 else "ahead of") in told.detail
