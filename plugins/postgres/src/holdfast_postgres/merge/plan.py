"""What of a selection is new to the target, what takes the place of something there, and what stays as it is there."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from holdfast.api import Change, UnsafeError
from holdfast_postgres.errors import some_names
from holdfast_postgres.merge.relations import KINDS, Name, Relation


@dataclass(frozen=True, kw_only=True)
class MergePlan:
    """Relations of the selection, by what happens to them.

    `kept` are there already and come only because something of the selection needs them: they stay as they are there.
    """

    replaced: tuple[Relation, ...]
    added: tuple[Name, ...]
    kept: tuple[Name, ...]
    kinds: Mapping[Name, str]

    @property
    def changes(self) -> list[Change]:
        """What happens to each."""
        return [
            *(Change(action="replaced", kind=KINDS[old.kind], name=old.label) for old in self.replaced),
            *(Change(action="added", kind=KINDS[self.kinds[name]], name=".".join(name)) for name in self.added),
        ]


def make_plan(coming: Mapping[Name, str], there: Collection[Relation], named: Callable[[str, str], bool]) -> MergePlan:
    """Compare what comes, each name with its kind, with what is there; `named` says what the selection means itself."""
    known = {relation.key: relation for relation in there if not relation.owned}
    return MergePlan(
        replaced=tuple(known[name] for name in coming if name in known and named(*name)),
        added=tuple(name for name in coming if name not in known),
        kept=tuple(name for name in coming if name in known and not named(*name)),
        kinds=coming,
    )


def refuse_bound(bound: list[str], where: str) -> None:
    """Refuse to drop what something else needs that was not selected."""
    if bound:
        raise UnsafeError(
            f"{where} holds what depends on the selected tables and would go with them: {some_names(bound)}",
            hint="select these too, or drop them before and make them again afterwards",
        )
