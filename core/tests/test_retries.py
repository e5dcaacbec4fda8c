"""Trying again: for long where that helps, not once where it does not, and never by all threads at the same time."""

import threading
import time

import pytest

from holdfast.api import FailedTry, Retries

FAILURES = {
    "cut off": FailedTry(passes=True, answered=False),
    "busy": FailedTry(passes=True, busy=True),
    "refused": FailedTry(passes=False),
    "there": FailedTry(passes=False, doubtful=True),
}


class Service:
    """Answers calls by what is told it in turn, and notes when each came."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.calls: list[float] = []

    def __call__(self) -> str:
        self.calls.append(now[0])
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer in FAILURES:
            raise ConnectionError(answer)
        return answer


now = [0.0]


@pytest.fixture
def retries(monkeypatch: pytest.MonkeyPatch) -> Retries:
    now[0] = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return Retries(lambda error: FAILURES.get(str(error)))


def call(retries: Retries, service: Service, again: str | None = None) -> str:
    return retries.call(
        service, fail=lambda error: RuntimeError(f"given up: {error}"), again=(lambda: again) if again else None
    )


def test_what_passes_is_tried_for_minutes_with_pauses_that_grow_from_nothing(retries: Retries) -> None:
    assert call(retries, Service("well")) == "well"
    service = Service("busy")
    with pytest.raises(RuntimeError, match="given up: busy"):
        call(retries, service)
    pauses = [later - earlier for earlier, later in zip(service.calls, service.calls[1:], strict=False)]
    assert len(pauses) > 10
    assert max(pauses[:1]) < 0.8 < 5 < max(pauses) < 20.3
    assert 250 < service.calls[-1] - service.calls[0] < 300


def test_what_has_never_answered_is_given_up_soon_and_what_cannot_help_at_once(retries: Retries) -> None:
    service = Service("cut off")
    with pytest.raises(RuntimeError):
        call(retries, service)
    assert service.calls[-1] - service.calls[0] < 8
    service = Service("refused")
    with pytest.raises(RuntimeError):
        call(retries, service)
    assert len(service.calls) == 1


def test_what_is_no_answer_of_the_service_passes_as_it_is(retries: Retries) -> None:
    with pytest.raises(ZeroDivisionError):
        retries.call(lambda: 1 // 0, fail=lambda error: RuntimeError(str(error)))


@pytest.mark.parametrize("answers", [("cut off", "there"), ("there",)])
def test_a_try_that_was_carried_out_is_not_taken_for_anothers(retries: Retries, answers: tuple[str, ...]) -> None:
    assert call(retries, Service(*answers), again="ours") == "ours"
    with pytest.raises(RuntimeError, match="there"):
        call(retries, Service(*answers))


def test_all_threads_wait_for_a_service_that_is_busy() -> None:
    retries = Retries(lambda error: FAILURES.get(str(error)))
    retries._pause_until = time.monotonic() + 0.3
    began = time.monotonic()
    ended: list[float] = []

    def work() -> None:
        call(retries, Service("well"))
        ended.append(time.monotonic())

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert min(ended) - began >= 0.29
