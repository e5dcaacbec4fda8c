"""Pieces of HTML: text that stays text, tables, and how times, ages and sizes are written for people."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape

from holdfast.rendering.characters import printable

_LONGEST = 300  # characters of what somebody else wrote


def text(value: str) -> str:
    """What a page shows as it is, whatever is in it."""
    return escape(printable(value, _LONGEST))


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table: whether it holds numbers, is left out where there is no room, and may have long words."""

    title: str
    is_number: bool = False
    is_extra: bool = False
    is_long: bool = False

    @property
    def mark(self) -> str:
        """The attribute of its cells."""
        names = [
            *(["n"] if self.is_number else []),
            *(["x"] if self.is_extra else []),
            *(["l"] if self.is_long else []),
        ]
        return f' class="{" ".join(names)}"' if len(names) > 1 else f" class={names[0]}" if names else ""


def table(caption: str, columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML, the first of each row its head; end tags that HTML does without are left out."""
    head = "".join(f"<th scope=col{column.mark}>{column.title}" for column in columns)
    marks = [column.mark for column in columns]
    body = "\n".join(
        f"<tr><th scope=row{marks[0]}>{cells[0]}"
        + "".join(f"<td{mark}>{cell}" for mark, cell in zip(marks[1:], cells[1:], strict=True))
        for cells in rows
    )
    return f"<table><caption>{caption}</caption><thead><tr>{head}<tbody>\n{body}</table>"


def scrolled(title: str, inner: str) -> str:
    """What may be wider than the window: it scrolls by itself, also by the keyboard."""
    return f'<div class=scroll role=group tabindex=0 aria-label="{title} as a table">{inner}</div>'


def counted(number: int, what: str, several: str = "") -> str:
    """A number with what it counts: `1 source`, `2 sources`."""
    return f"{number:,} {what if number == 1 else several or f'{what}s'}"


def moment(time: datetime | None) -> str:
    """A time to the minute; never is a word."""
    return f"{time:%Y-%m-%d %H:%M}" if time else "never"


def age(time: timedelta) -> str:
    """A span in its largest units: `10 min`, `26 h`, `3 d 4 h`, `29 d`."""
    minutes = max(0, int(time.total_seconds() // 60))
    days, hours = divmod(minutes // 60, 24)
    if minutes < 60:
        return f"{minutes} min"
    if days < 2 and minutes != 24 * 60:
        return f"{minutes // 60} h"
    return f"{days:,} d {hours} h" if hours and days < 10 else f"{days:,} d"


def seconds(value: float) -> str:
    """How long something took: `4.2 s`, `3 min 20 s`."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else age(timedelta(minutes=minutes))


def size(count: int) -> str:
    """Bytes for people: `1.2 MB`, in powers of 1000."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if value < 999.5 or unit == "PB":
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError
