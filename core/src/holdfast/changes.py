"""What a restore does to what its target holds, object by object: the same words for every engine."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from holdfast.errors import UnsafeError, quote_name
from holdfast.field_docs import explain_fields

_SHOWN = 20  # objects that a message names

REPLACED, ADDED, GONE = "replaced", "added", "gone"


@explain_fields
@dataclass(frozen=True, kw_only=True)
class Change:
    """What happens to one object of a target."""

    action: str  #: `replaced`, `added`, or `gone`: what is there, is not in the backup, and is not kept
    kind: str  #: what it is, such as `table`
    name: str  #: which it is, as the target calls it
    rows: int | None = None  #: the rows that it has in the target now, None where that is not known or says nothing
    new_rows: int | None = None  #: the rows that it has in the backup, likewise

    def __str__(self) -> str:
        """Say it in one line."""
        now, new = _rows(self.rows), _rows(self.new_rows)
        replaced = " by ".join(filter(None, [now, new])) if now or not new else f"by {new}"
        rows = {REPLACED: replaced, ADDED: new, GONE: now}[self.action]
        return f"{self._label}: {self.action}{f' ({rows})' if rows else ''}"

    @property
    def here(self) -> str:
        """The object with the rows that it has in the target."""
        return f"{self._label}{f' ({rows})' if (rows := _rows(self.rows)) else ''}"

    @property
    def _label(self) -> str:
        return f"{self.kind} {quote_name(self.name)}"


@explain_fields
@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a restore would do to its target; what is not named among the changes stays, unless it is `whole`."""

    changes: tuple[Change, ...] = ()  #: object by object
    whole: bool = False  #: whether the backup takes the place of the whole database


def preview_objects(
    new: Iterable[str],
    there: Iterable[str],
    *,
    selective: bool,
    kind: str = "table",
    rows: Mapping[str, int] | None = None,
) -> Preview:
    """What a restore of the objects `new` does to a target that holds those of `there`.

    `selective` is that of the request: whatever else is there stays then, and is `gone` otherwise. `rows` may say how
    many rows objects of the target have.
    """
    names, held = list(new), set(there)
    actions = {name: REPLACED if name in held else ADDED for name in names}
    if not selective:
        actions |= dict.fromkeys(sorted(held - set(names)), GONE)
    counted = rows or {}
    changes = (Change(action=action, kind=kind, name=name, rows=counted.get(name)) for name, action in actions.items())
    return Preview(changes=tuple(changes), whole=not selective)


def refuse_replacing(target: str, changes: Iterable[Change]) -> None:
    """Refuse to put selected objects in the place of what is there already, which nobody has allowed (`--replace`).

    Changes that only add are no reason. `target` is the target as messages name it.
    """
    there = [change for change in changes if change.action != ADDED]
    replaced = [change.here for change in there if change.action == REPLACED]
    if replaced:
        raise UnsafeError(
            f"{target} already holds {_listed(replaced)}",
            hint="use --replace to change this and leave all other tables as they are: "
            f"{_listed([str(change) for change in there])}",
        )


def _listed(texts: Sequence[str]) -> str:
    more = len(texts) - _SHOWN
    return ", ".join(texts[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _rows(count: int | None) -> str:
    return "" if count is None else f"{count} row{'' if count == 1 else 's'}"
