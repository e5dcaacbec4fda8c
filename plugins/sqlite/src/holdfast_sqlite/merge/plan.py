"""What happens to which object of the target, when an image of selected tables is merged into it.

A table or view of the image takes the place of the one of its name. What would hit anything else, such as an index of
that name on another table, is refused: nothing may go that was not named.
"""

from __future__ import annotations

import sqlite3

from holdfast_sqlite.catalog import Entry, entries
from holdfast_sqlite.child.channel import TaskError
from holdfast_sqlite.merge.counts import Counter
from holdfast_sqlite.tokens import folded, label
from holdfast_sqlite.virtual_tables.ownership import belongings, marked_tables

_RENAME = "rename it in the target, or restore into another file"


KEEPER = "holdfast_keeps_rowids"
"""How indexes of our own begin that are gone again at the end."""


class Plan:
    """What to drop from the target and what to make in it; a conflict is a `TaskError` of kind `unsafe`."""

    def __init__(self, image: sqlite3.Connection, target: sqlite3.Connection) -> None:
        self.image = Schema(image)
        self.target = Schema(target)
        #: Tables and views of the target whose place is taken, virtual tables without their inner ones.
        self.replaced = [entry for entry in map(self._opposite, self.image.named) if entry]
        self._replaced = {folded(entry.name) for entry in self.replaced}
        for entry in self.image.inner:
            self._check_inner(entry)
        for entry in self.image.attached:
            self._check_attached(entry)
        #: Indexes and triggers that go with a table and that the image has not.
        self.gone = [entry for entry in self.target.attached if self._goes(entry)]

    def _opposite(self, entry: Entry) -> Entry | None:
        """The table or view of the target that one of the image takes the place of."""
        there = self.target.by_name.get(folded(entry.name))
        if there is None:
            return None
        if there.kind == "index":
            raise _conflict(entry, f"an index of table {label(there.on)}")
        if owner := self.target.owners.get(folded(there.name)):
            if any(owner == folded(named.name) for named in self.image.named if named.module):
                return None  # it goes with the virtual table
            raise _conflict(entry, f"a part of the virtual table {label(owner)}")
        return there

    def _check_inner(self, entry: Entry) -> None:
        """An inner table of a virtual one may only replace the same part of the same one."""
        there = self.target.by_name.get(folded(entry.name))
        if there is None:
            return
        owner = self.image.owners[folded(entry.name)]
        if self.target.owners.get(folded(there.name)) != owner or owner not in self._replaced:
            raise _conflict(entry, f"a {there.kind} that does not belong to a virtual table {label(owner)}")

    def _check_attached(self, entry: Entry) -> None:
        """An index or trigger may only replace one of a table that is replaced."""
        names = self.target.triggers if entry.kind == "trigger" else self.target.by_name
        there = names.get(folded(entry.name))
        if there is None or (there.kind == entry.kind and self._is_replaced(there.on)):
            return
        what = there.kind if there.kind in ("table", "view") else f"{there.kind} of {label(there.on)}"
        raise _conflict(entry, f"{'an' if what[0] == 'i' else 'a'} {what}")

    def _goes(self, entry: Entry) -> bool:
        names = self.image.triggers if entry.kind == "trigger" else self.image.by_name
        return self._is_replaced(entry.on) and folded(entry.name) not in names

    def _is_replaced(self, table: str) -> bool:
        return self.target.owners.get(folded(table), folded(table)) in self._replaced

    def changes(self, image: Counter, target: Counter) -> list[dict[str, object]]:
        """The changes as messages carry them."""
        there = {folded(entry.name): entry for entry in self.replaced}
        replaced = [
            _change("replaced", old, rows=target.rows(old), new_rows=image.rows(entry))
            for entry in self.image.named
            if (old := there.get(folded(entry.name)))
        ]
        added = [
            _change("added", entry, new_rows=image.rows(entry))
            for entry in self.image.named
            if folded(entry.name) not in there
        ]
        return [*replaced, *added, *(_change("gone", entry) for entry in self.gone)]


def contents(target: sqlite3.Connection, counter: Counter) -> list[dict[str, object]]:
    """Everything that goes with the whole of the target, as messages carry it."""
    return [_change("gone", entry, rows=counter.rows(entry)) for entry in Schema(target).named]


def _change(action: str, entry: Entry, **rows: int | None) -> dict[str, object]:
    kind = f"{entry.kind} of {label(entry.on)}" if entry.kind in ("index", "trigger") else entry.kind
    return {"action": action, "kind": kind, "name": entry.name, **rows}


class Schema:
    """The objects of a database, without SQLite's own."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.entries = [
            entry
            for entry in entries(connection)
            if not (entry.internal and not _is_defined(entry)) and not entry.name.startswith(f"{KEEPER} ")
        ]
        #: Tables, views and indexes, which share their names; triggers have theirs. Folded as SQLite does.
        self.by_name = {folded(entry.name): entry for entry in self.entries if entry.kind != "trigger"}
        self.triggers = {folded(entry.name): entry for entry in self.entries if entry.kind == "trigger"}
        self.belongings = belongings(self.entries, marked_tables(connection))
        #: Indexes with a definition of their own, by the table that each belongs to.
        self.indexes: dict[str, list[Entry]] = {}
        for entry in self.entries:
            if entry.kind == "index" and entry.sql:
                self.indexes.setdefault(entry.on, []).append(entry)
        #: Inner tables of virtual ones, with the name of the one.
        self.owners = {
            folded(shadow): folded(name) for name, owned in self.belongings.items() for shadow in owned.shadows
        }

    @property
    def named(self) -> list[Entry]:
        """What can be selected by its name: tables and views, but for the inner tables of virtual ones."""
        return [
            entry for entry in self.entries if entry.kind in ("table", "view") and folded(entry.name) not in self.owners
        ]

    @property
    def inner(self) -> list[Entry]:
        """The inner tables of virtual ones."""
        return [entry for entry in self.entries if folded(entry.name) in self.owners and entry.kind == "table"]

    @property
    def attached(self) -> list[Entry]:
        """Indexes and triggers."""
        return [entry for entry in self.entries if entry.kind in ("index", "trigger")]


def _is_defined(entry: Entry) -> bool:
    """Whether an index has a definition of its own, which some tools give one that is named like SQLite's own."""
    return entry.kind == "index" and bool(entry.sql)


def _conflict(entry: Entry, what: str) -> TaskError:
    name = label(entry.name)
    owner = f" of {label(entry.on)}" if entry.kind in ("index", "trigger") else ""
    return TaskError(
        "unsafe", f"{entry.kind} {name}{owner} cannot be put in: the target has {what} with this name", hint=_RENAME
    )
