"""Which tables and views a selection keeps."""

from __future__ import annotations

from fnmatch import fnmatchcase

from holdfast_sqlite.catalog import Entry
from holdfast_sqlite.child.channel import TaskError
from holdfast_sqlite.tokens import folded, label
from holdfast_sqlite.virtual_tables.ownership import Belongings

TYPE_CHECKING = False  # see `tokens`
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MOST_NAMES = 20  # in a message


class Choice:
    """The tables and views that stay, by their names in the schema, and what the user has to know of that."""

    def __init__(self, keep: set[str], warnings: list[str]) -> None:
        self.keep = keep
        self.warnings = warnings


def choose(schema: list[Entry], owned: dict[str, Belongings], select: Sequence[str], exclude: Sequence[str]) -> Choice:
    """Tell what stays of a schema; `owned` is what belongs to its virtual tables.

    Patterns are shell patterns without regard to the case of ASCII letters; one that is the name of a table or view
    means that alone. One that means none is a `TaskError`. Shadow tables go with their virtual table.
    """
    return _Chooser(schema, owned, select, exclude).run()


class _Chooser:
    """One selection from one schema."""

    def __init__(
        self, schema: list[Entry], owned: dict[str, Belongings], select: Sequence[str], exclude: Sequence[str]
    ) -> None:
        self._schema = schema
        self._owned = owned
        self._owner = {shadow: name for name, belonging in owned.items() for shadow in belonging.shadows}
        self._names = [
            entry.name
            for entry in schema
            if entry.kind in ("table", "view") and not entry.internal and entry.name not in self._owner
        ]
        self._select = select
        self._exclude = exclude
        self._warnings: list[str] = []

    def run(self) -> Choice:
        excluded = {name for pattern in self._exclude for name in self._meant(pattern)}
        selected = {name for pattern in self._select for name in self._meant(pattern)}
        keep = (selected if self._select else set(self._names)) - excluded
        for name, belonging in self._owned.items():
            if name in excluded:
                self._tell_kept(name, belonging, keep)
        self._bring_possible(keep, excluded)
        keep |= {shadow for shadow, name in self._owner.items() if name in keep}
        for pattern in self._select:
            self._tell_shadows(pattern, keep, wanted=True)
        for pattern in self._exclude:
            self._tell_shadows(pattern, keep, wanted=False)
        return Choice(keep, self._warnings)

    def _meant(self, pattern: str) -> list[str]:
        """The names that a pattern means; that there are none is an error."""
        names = matching(pattern, self._names)
        if not names:
            raise self._no_table(pattern)
        return names

    def _no_table(self, pattern: str) -> TaskError:
        """Say why a pattern means nothing."""
        text = f"the database has no table {pattern!r}"
        shadows = matching(pattern, self._owner)
        if shadows:
            owner = label(self._owner[shadows[0]])
            shadow = label(shadows[0])
            return TaskError("usage", f"{text} of its own: {shadow!r} belongs to the virtual table {owner!r}",
                             hint=f"name {owner!r}, with which its inner tables go")  # fmt: skip
        for entry in self._schema:
            if matching(pattern, [entry.name]):
                what = "SQLite's own" if entry.internal else f"the {entry.kind} of table {label(entry.on)!r}"
                return TaskError("usage", f"{text}: {label(entry.name)!r} is {what} and goes with its table")
        listed = _listed([repr(label(name)) for name in self._names]) or "none"
        return TaskError("usage", f"{text} (it has: {listed})")

    def _tell_kept(self, name: str, belonging: Belongings, keep: set[str]) -> None:
        """Say what stays of a table that is left out, because nobody can tell whether it is its own."""
        kept = [possible for possible in belonging.possible if possible in keep]
        if kept:
            self._warnings.append(
                f"{_listed(kept)}: restored although virtual table {label(name)} is not, {_why(belonging)}; "
                "exclude what does"
            )

    def _bring_possible(self, keep: set[str], excluded: set[str]) -> None:
        """Let what may belong to a table go with it, and say so."""
        waiting = [name for name in self._owned if name in keep]
        for name in waiting:
            belonging = self._owned[name]
            brought = [possible for possible in belonging.possible if possible not in keep | excluded]
            keep |= set(brought)
            waiting += [possible for possible in brought if possible in self._owned]
            missing = [possible for possible in belonging.possible if possible in excluded]
            owner = f"virtual table {label(name)}"
            if brought:
                why = f"{_why(belonging)}; exclude what does not"
                self._warnings.append(f"{_listed(brought)}: restored with {owner}, {why}")
            if missing:
                self._warnings.append(f"{_listed(missing)}: not restored, but may belong to {owner}, which is")

    def _tell_shadows(self, pattern: str, keep: set[str], *, wanted: bool) -> None:
        """Say which shadow tables a pattern is true of that go with their virtual table, and so another way."""
        others: dict[str, list[str]] = {}
        for shadow in matching(pattern, self._owner):
            if (self._owner[shadow] in keep) != wanted:
                others.setdefault(self._owner[shadow], []).append(shadow)
        for name, shadows in others.items():
            owner = f"virtual table {label(name)}, to which they belong"
            self._warnings.append(
                f"{_listed(shadows)}: {'not restored, nor is' if wanted else 'restored with'} {owner}"
            )


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """The names that a pattern means: the very name if there is one, otherwise those that match it."""
    folds = [(folded(name), name) for name in names]
    wanted = folded(pattern)
    return [name for fold, name in folds if fold == wanted] or [
        name for fold, name in folds if fnmatchcase(fold, wanted)
    ]


def _why(belonging: Belongings) -> str:
    return f"because its module {label(belonging.module)!r} is not known, nor what belongs to it"


def _listed(names: Iterable[str]) -> str:
    labels = [label(name) for name in names]
    more = len(labels) - _MOST_NAMES
    return ", ".join(labels[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
