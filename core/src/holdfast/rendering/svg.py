"""Pictures of the history of a source: a calendar of its backups, and lines of sizes and durations.

They are written by hand, and short: two hundred of each are on a page of less than a megabyte.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta

WEEKS = 53
_ROW = 100  # more than weeks
_STEP = 10  # units from day to day and from week to week
_LEFT, _TOP = 0, 14  # room for the names of months
_WIDTH, _HEIGHT = WEEKS * _STEP, _TOP + 7 * _STEP
_PACE, _CHART = 4, 40  # units of a line from week to week, and of its height


def first_day(last: date) -> date:
    """The Monday with which the calendar begins that ends with the week of this day."""
    return last - timedelta(days=last.weekday() + (WEEKS - 1) * 7)


def shared(last: date) -> str:
    """What all calendars of a page have in common: the names of the months, and the days so far."""
    start = first_day(last)
    months = []
    for week in range(WEEKS):
        monday = start + timedelta(days=week * 7)
        sunday = monday + timedelta(days=6)
        if sunday.day <= 7 and week < WEEKS - 2:
            months.append(f'<text x="{week * _STEP}" y="9">{sunday:%b}</text>')
    days = (last - start).days + 1
    return (
        "<svg class=hidden aria-hidden=true focusable=false width=0 height=0><symbol id=cal "
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}">{"".join(months)}<path class=d d="{_shortest(range(days))}"/></symbol></svg>'
    )


def calendar(number: int, name: str, states: Mapping[int, str], last: date, about: str) -> str:
    """The days of a year, a column each week; `states` has a class by the number of the day."""
    kinds: dict[str, list[int]] = {}
    for day, kind in sorted(states.items()):
        kinds.setdefault(kind, []).append(day)
    paths = "".join(f'<path class={kind} d="{_shortest(days)}"/>' for kind, days in sorted(kinds.items()))
    return (
        f'<svg class=cal viewBox="0 0 {_WIDTH} {_HEIGHT}" role=img aria-labelledby="c{number} e{number}">'
        f"<title id=c{number}>Calendar of {name} until {last}</title><desc id=e{number}>{about}</desc>"
        f"<use href=#cal />{paths}</svg>"
    )


def _shortest(days: Sequence[int]) -> str:
    """Days as a path of lines, dashed by the style: down the weeks, or along the weekdays if that is shorter."""
    down = "".join(
        f"M{start // 7 * _STEP + 4} {_TOP + start % 7 * _STEP}v{length * _STEP - 2}"
        for start, length in _runs([(day, day // 7) for day in days])
    )
    order = sorted((day % 7, day // 7) for day in days)
    along = "".join(
        f"M{start % _ROW * _STEP} {_TOP + start // _ROW * _STEP + 4}h{length * _STEP - 2}"
        for start, length in _runs([(weekday * _ROW + week, weekday) for weekday, week in order])
    )
    return min(down, along, key=len)


def _runs(numbered: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Numbers, each with the line that it is in, as where each run of them in a line starts and how long it is."""
    start, length, row = 0, 0, -1
    for number, row_of in numbered:
        if row_of == row and number == start + length:
            length += 1
            continue
        if length:
            yield start, length
        start, length, row = number, 1, row_of
    if length:
        yield start, length


def line(identity: str, name: str, values: Sequence[float | None], about: str) -> str:
    """A line over the weeks of the calendar, from zero to the largest value; where there is none it is broken."""
    width, height = _PACE * (WEEKS - 1), _CHART
    top = max((value for value in values if value is not None), default=0) or 1
    parts: list[str] = []
    before: int | None = None
    for week, value in enumerate(values):
        y = None if value is None else height - round(value / top * (height - 2)) - 1
        if y is not None:
            mark = "" if before is None or y < before else " "  # that of a negative number tells it apart
            parts.append(f"M{week * _PACE} {y}h0l" if before is None else f"{_PACE}{mark}{y - before} ")
        before = y
    drawn = "".join(parts).replace("h0lM", "h0M").replace(" M", "M").rstrip(" l")
    return (
        f'<svg class=line viewBox="0 0 {width} {height}" role=img aria-labelledby="{identity} d{identity}">'
        f"<title id={identity}>{name}</title><desc id=d{identity}>{about}</desc>"
        f'<path class=axis d="M0 {height - 0.5}h{width}"/><path d="{drawn}"/></svg>'
    )
