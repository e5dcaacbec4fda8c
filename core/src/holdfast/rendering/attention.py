"""What on a report needs attention, the most urgent first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from holdfast.operations.report import Report, SourceReport
from holdfast.rendering.html import age, counted, moment, text


@dataclass(frozen=True, kw_only=True)
class NumberedSource:
    """A source with its number on the page, and the store that it is in."""

    number: int
    location: str
    report: SourceReport

    @property
    def link(self) -> str:
        """Its name, leading to its history."""
        return f'<a href="#h{self.number}">{text(self.report.survey.name)}</a>'


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is wrong with a source, or with a store, where `source` is None; `detail` is HTML."""

    what: str
    detail: str
    location: str
    source: NumberedSource | None = None
    is_urgent: bool = True


def attention(report: Report, sources: Sequence[NumberedSource]) -> list[Problem]:
    """What is unread, overdue, of a wrong clock, unproven and damaged, in this order, the oldest first."""
    late = sorted((each for each in sources if each.report.is_overdue), key=lambda each: _time(each, proven=False))
    unproven = sorted((each for each in sources if each.report.is_unproven), key=lambda each: _time(each, proven=True))
    return [
        *_unread(report),
        *(_overdue(each, report.read_at) for each in late),
        *(_ahead(each, report.read_at) for each in sources if each.report.survey.ahead),
        *(_unproven(each, report.read_at) for each in unproven),
        *(_damaged(each) for each in sources if each.report.damaged or each.report.unknown),
    ]


def _time(source: NumberedSource, *, proven: bool) -> tuple[float, str]:
    survey = source.report.survey
    time = survey.last_proven if proven else survey.last_success
    return time.timestamp() if time else 0.0, survey.name


def _unread(report: Report) -> Iterator[Problem]:
    for store in report.stores:
        if store.failure is not None:
            yield Problem(what="store not read", detail=text(store.failure.message), location=store.location)
        for line in store.unread:
            yield Problem(what="not read", detail=text(line), location=store.location)


def _since(time: datetime | None, now: datetime, what: str) -> str:
    if time is None:
        return "never"
    return f'<span class=t>{moment(time)}</span> <span class="soft t">{what} {age(now - time)} ago</span>'


def _overdue(source: NumberedSource, now: datetime) -> Problem:
    since = _since(source.report.survey.last_success, now, "good backup")
    return Problem(what="overdue", detail=since, location=source.location, source=source)


def _unproven(source: NumberedSource, now: datetime) -> Problem:
    since = _since(source.report.survey.last_proven, now, "proven")
    return Problem(what="unproven", detail=since, location=source.location, source=source, is_urgent=False)


def _damaged(source: NumberedSource) -> Problem:
    bad, unknown = source.report.damaged, source.report.unknown
    many = counted(len(source.report.survey.entries), "backup")
    words = [*([f"{bad} damaged"] if bad else []), *([f"{unknown} that cannot be judged"] if unknown else [])]
    what = "damaged" if bad else "unknown"
    detail = f"{' and '.join(words)} of {many}"
    return Problem(what=what, detail=detail, location=source.location, source=source, is_urgent=False)


def _ahead(source: NumberedSource, now: datetime) -> Problem:
    ahead = source.report.survey.ahead
    detail = f"<span class=t>{moment(ahead)}</span> is {age(ahead - now)} ahead of this clock" if ahead else ""
    return Problem(what="wrong clock", detail=detail, location=source.location, source=source)
