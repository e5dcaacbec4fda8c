"""What of a selection is new to the target, what takes the place of something there, and what stays as it is there."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.api import Change, UnsafeError
from holdfast_postgres.errors import some_names
from holdfast_postgres.merge.relations import KINDS, Name, Relation
from holdfast_postgres.session import quoted


@dataclass(frozen=True, kw_only=True)
class Coming:
    """What a selection brings: relations with their kinds, the `named` ones that it means itself.

    `parents` are the tables that the partitions among them are attached to, of whatever is in the backup or not.
    """

    kinds: Mapping[Name, str]
    parents: Mapping[Name, Name] = field(default_factory=dict)
    named: Callable[[Name], bool]
    excluded: Callable[[Name], bool]

    def stays(self, name: Name, there: Collection[Name]) -> bool:
        """Whether it is left as it is in the target: it is there, or a partition of what is, and is not meant."""
        while not self.named(name):
            if name in there:
                return True
            if name not in self.parents:
                return False
            name = self.parents[name]
        return False


@dataclass(frozen=True, kw_only=True)
class MergePlan:
    """Relations of the selection, by what happens to them.

    `kept` are there already and come only because something of the selection needs them: they stay as they are there.
    `gone` are partitions of replaced tables that the backup has not. `attached` are replaced partitions of tables that
    stay, and are attached to them again.
    """

    replaced: tuple[Relation, ...]
    gone: tuple[Relation, ...] = ()
    added: tuple[Name, ...]
    kept: tuple[Name, ...]
    attached: tuple[Relation, ...] = ()
    kinds: Mapping[Name, str]

    @property
    def dropped(self) -> tuple[Relation, ...]:
        """What is dropped of the target."""
        return self.replaced + self.gone

    @property
    def changes(self) -> list[Change]:
        """What happens to each."""
        return [
            *(Change(action="replaced", kind=KINDS[old.kind], name=old.label) for old in self.replaced),
            *(Change(action="gone", kind=KINDS[old.kind], name=old.label) for old in self.gone),
            *(Change(action="added", kind=KINDS[self.kinds[name]], name=".".join(name)) for name in self.added),
        ]


def make_plan(coming: Coming, there: Sequence[Relation]) -> MergePlan:
    """Compare what comes with what is there."""
    known = {relation.key: relation for relation in there if not relation.owned}
    replaced = tuple(known[name] for name in coming.kinds if name in known and coming.named(name))
    gone = tuple(_gone(coming, there, replaced))
    dropped = {relation.oid for relation in (*replaced, *gone)}
    # The sequence of a column that something else needs, too, goes with the table of that column alone.
    owned = {relation.key for relation in there if relation.owned and relation.owner not in dropped}
    kept = tuple(name for name in coming.kinds if name in owned or coming.stays(name, known))
    left = {*kept, *(relation.key for relation in replaced)}
    labels = {relation.oid: relation.key for relation in there}
    return MergePlan(
        replaced=replaced,
        gone=gone,
        added=tuple(name for name in coming.kinds if name not in left),
        kept=kept,
        attached=tuple(
            old
            for old in replaced
            if old.partition
            and dropped.isdisjoint(old.parents)
            and [labels.get(parent) for parent in old.parents] == [coming.parents.get(old.key)]
        ),
        kinds=coming.kinds,
    )


def whole_changes(coming: Coming, there: Sequence[Relation]) -> list[Change]:
    """What happens to each relation of a database in whose place a backup comes; names alone tell them apart."""
    known = {relation.key: relation for relation in there if not relation.owned}
    return [
        *(
            Change(
                action="replaced" if name in coming.kinds else "gone",
                kind=KINDS[old.kind],
                name=old.label,
            )
            for name, old in known.items()
        ),
        *(
            Change(action="added", kind=KINDS[kind], name=".".join(name))
            for name, kind in coming.kinds.items()
            if name not in known
        ),
    ]


def _gone(coming: Coming, there: Sequence[Relation], replaced: Sequence[Relation]) -> Iterator[Relation]:
    """The partitions of replaced tables, at whatever level, that do not come, nor stay out since they are excluded."""
    partitions: dict[int, list[Relation]] = {}
    for relation in there:
        if relation.partition:
            for parent in relation.parents:
                partitions.setdefault(parent, []).append(relation)
    todo = [relation.oid for relation in replaced]
    while todo:
        for relation in partitions.get(todo.pop(), ()):
            if relation.key not in coming.kinds and not coming.excluded(relation.key):
                yield relation
                todo.append(relation.oid)


# What a selection can name, by how `relations.bound_to` begins.
_SELECTED = ("view ", "materialized view ", "partition ", "inheriting table ", "table ")
_PUBLICATION = "publication "


def refuse_bound(bound: list[str], where: str) -> None:
    """Refuse to drop what something else needs that was not selected."""
    if bound:
        raise UnsafeError(
            f"{where} holds what depends on the selected tables and would go with them: {some_names(bound)}",
            hint="; ".join(_ways_out(bound)),
        )


def _ways_out(bound: Sequence[str]) -> Iterator[str]:
    """What can be done about each kind: no selection can name a publication, nor what belongs to another table."""
    publications = [what.removeprefix(_PUBLICATION) for what in bound if what.startswith(_PUBLICATION)]
    selectable = [what for what in bound if what.startswith(_SELECTED)]
    others = len(bound) - len(publications) - len(selectable)
    if selectable:
        these = "these" if len(selectable) == len(bound) else some_names(selectable)
        yield f"select {these} too, or drop them before and make them again afterwards"
    if publications:
        name = quoted(publications[0]) if len(publications) == 1 else "…"
        yield (
            f"take the selected tables out of {'these publications' if len(publications) > 1 else 'the publication'} "
            f"before (ALTER PUBLICATION {name} DROP TABLE …) and add them again afterwards (… ADD TABLE …)"
        )
    if others:
        these = "these" if others == len(bound) else "the others"
        yield f"drop {these} before and make them again afterwards, or restore without --select"
