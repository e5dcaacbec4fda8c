"""What all runs share: events, and errors without secrets."""

import json
import logging
import re
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from holdfast.api import Event, EventType, IntegrityError, Operation
from holdfast.error_boundary import scrub, translate_errors
from holdfast.errors import HoldfastError
from holdfast.run import Run
from holdfast.testing.memory import memory_registry


def a_run(on_event: Any = None) -> Run:
    run = Run(Operation.BACKUP, registry=memory_registry(), on_event=on_event)
    run.identify("20261124T200000Z-abc123", "app")
    return run


def test_an_event_says_what_happened_in_which_run_and_how_far_it_is() -> None:
    events: list[Event] = []
    run = a_run(events.append)
    run.total = 10
    run.count(4)
    run.emit(EventType.STREAM, stream="data", size_bytes=4)
    (event,) = events
    assert (event.type, event.operation, event.id, event.name) == ("stream", "backup", run.id, "app")
    assert (event.stream, event.done, event.total, event.detail) == ("data", 4, 10, {"size_bytes": 4})
    assert event.time.tzinfo is not None


def test_a_warning_of_another_thread_is_told_by_the_one_that_runs_also_where_the_run_fails() -> None:
    told: list[tuple[str, int]] = []
    run = a_run(lambda event: told.append((event.type, threading.get_ident())))

    def warn_elsewhere() -> None:
        thread = threading.Thread(target=run.warn, args=("odd",))
        thread.start()
        thread.join()

    warn_elsewhere()
    run.tick()
    warn_elsewhere()
    with pytest.raises(HoldfastError, match="ZeroDivisionError"), run:
        raise ZeroDivisionError
    here = threading.get_ident()
    assert told == [("warning", here), ("warning", here), ("failed", here)]
    assert run.warnings == ["odd", "odd"]


def test_progress_is_told_only_when_there_was_some() -> None:
    events: list[Event] = []
    run = a_run(events.append)
    run.tick()
    run.count(1)
    run.tick()
    run.tick()
    assert [(event.type, event.done) for event in events] == [("progress", 1)]


def test_a_log_record_carries_the_event_whatever_its_details_are_called(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "holdfast"):
        a_run().emit(EventType.FINISHED, name="app", message="m", args="x", size_bytes=3)
    (record,) = caplog.records
    fields = vars(record)
    assert (fields["operation"], fields["event"], fields["size_bytes"]) == ("backup", "finished", 3)
    assert record.name == "holdfast.run"


@pytest.mark.parametrize("kind", [kind for kind in EventType if kind not in ("finished", "failed")])
def test_an_error_of_the_watcher_ends_the_run_and_says_whose_it_is(kind: EventType) -> None:
    def watch(event: Event) -> None:
        raise KeyError("boom")

    with pytest.raises(HoldfastError, match="the watcher failed: KeyError: 'boom'") as caught:
        a_run(watch).emit(kind)
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("kind", [EventType.FINISHED, EventType.FAILED])
def test_an_error_of_the_watcher_cannot_change_what_has_been_decided(
    kind: EventType, caplog: pytest.LogCaptureFixture
) -> None:
    def watch(event: Event) -> None:
        raise KeyError("boom")

    a_run(watch).emit(kind)
    assert "the watcher failed on" in caplog.text


def test_an_error_of_our_own_passes_through_the_watcher_unchanged() -> None:
    def watch(event: Event) -> None:
        raise IntegrityError("not like this", hint="h")

    with pytest.raises(IntegrityError, match=r"^not like this$"):
        a_run(watch).emit(EventType.STARTED)


@pytest.mark.parametrize("error", [ValueError("boom"), KeyboardInterrupt(), HoldfastError("boom")])
def test_whatever_ends_a_run_is_told_once_as_failed(error: BaseException) -> None:
    events: list[Event] = []
    with pytest.raises(HoldfastError if isinstance(error, Exception) else type(error)), a_run(events.append):
        raise error
    assert [event.type for event in events] == ["failed"]
    assert events[0].message


URL = "postgresql://me:p%40ss%2Fword@db.example/app?sslpassword=k3y%20x&connect_timeout=require"


@pytest.mark.parametrize(
    "said", ["p@ss/word", "p%40ss%2Fword", "k3y x", "k3y%20x", "user=me password=p@ss/word host=h"]
)
@pytest.mark.parametrize("kind", [HoldfastError, ValueError, OSError])
def test_secrets_of_a_url_do_not_reach_the_error_or_its_hint(said: str, kind: type[Exception]) -> None:
    with pytest.raises(HoldfastError) as caught, translate_errors("backup failed", URL):
        raise IntegrityError(f"no {said}", hint=f"try {said}") if kind is HoldfastError else kind(f"no {said}")
    for secret in ("p@ss/word", "p%40ss%2Fword", "k3y x", "k3y%20x"):
        assert secret not in caught.value.message + (caught.value.hint or "") + str(caught.value)
    assert "***" in caught.value.message


SHORT = "mysql://app:app@db.example/app"


@pytest.mark.parametrize(
    "said",
    [
        "cannot apply the mapping of public.app_users in app.py",
        "cannot read mysql://app:***@db.example/app: table app.users, apps, my-app-1, webapp",
        "snapshot of database happy",
    ],
)
def test_a_short_password_leaves_other_words_alone(said: str) -> None:
    assert scrub(said, SHORT) == said


@pytest.mark.parametrize(
    "said",
    [
        "password=app host=x", "password='app'", 'PASSWORD "App"', "(app)", "app", "no app, app.", "app: no", "b'app'",
        f"cannot open {SHORT}", "mysql%3A%2F%2Fme%3Aapp%40db", r"b'p\x00\x00\x08app\x00'", r"'\napp\n'",
        "mysql -papp -h x", "me:app@db", "[app]", "`app`", "app\nnext",
    ],
)  # fmt: skip
def test_a_short_password_is_hidden_where_it_is_a_value(said: str) -> None:
    hidden = scrub(said, SHORT)
    assert "***" in hidden
    assert not re.search(r"\bp?app\b", hidden.replace("mysql://app:***@db.example/app", ""), re.IGNORECASE)


@pytest.mark.parametrize("password", ["a'b", 'a"b', "a\\b", "a  b", "a\nb", "\xe4'b", "%2F", "x y'z\\", "."])
@pytest.mark.parametrize(
    "quoting",
    [
        repr,
        json.dumps,
        "='{}'".format,
        lambda text: "'" + text.replace("'", "''") + "'",
        lambda text: "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'",
        lambda text: " ".join(f"password {text} !".split()),
        lambda text: quote(text, safe=""),
    ],
)
def test_a_password_is_hidden_however_it_is_quoted(password: str, quoting: Callable[[str], str]) -> None:
    url = f"mysql://me:{quote(password, safe='')}@db.example/app"
    hidden, expected = scrub(f"no {quoting(password)} (end)", url), f"no {quoting('***')} (end)"
    assert hidden.replace('"', "'") == expected.replace('"', "'").replace("%2A%2A%2A", "***")


def test_an_error_keeps_its_class_and_attributes_when_it_is_cleaned() -> None:
    class PluginsOwnError(IntegrityError):
        def __init__(self, page: int) -> None:
            super().__init__(f"page {page} of p@ss/word")
            self.page = page

    with pytest.raises(PluginsOwnError, match=r"^page 7 of \*\*\*$") as caught, translate_errors("x", URL):
        raise PluginsOwnError(7)
    assert caught.value.page == 7


def test_what_is_harmless_in_a_url_stays_readable() -> None:
    assert scrub("cannot require timeout of db.example/app for me", URL) == (
        "cannot require timeout of db.example/app for me"
    )


def test_a_system_error_names_the_file_and_the_reason() -> None:
    with (
        pytest.raises(HoldfastError, match=r"^cannot write: /some/file: permission denied$"),
        translate_errors("cannot write"),
    ):
        raise PermissionError(13, "Permission denied", "/some/file")


def test_a_thread_that_the_limits_do_not_allow_is_said_with_what_to_do() -> None:
    before = threading.stack_size(1 << 46)  # more than any address space has
    try:
        with (
            pytest.raises(HoldfastError, match=r"^cannot do it: no thread can be started: .*ulimit -v"),
            translate_errors("cannot do it"),
        ):
            threading.Thread(target=print).start()
    finally:
        threading.stack_size(before)
