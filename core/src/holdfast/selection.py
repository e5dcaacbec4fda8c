"""What `--select` and `--exclude` choose among names: shell patterns, none of which may mean nothing."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from holdfast.errors import UsageError, quote_name

_MOST_NAMES = 20  # in a message


def choose_names(names: Iterable[str], select: Sequence[str], exclude: Sequence[str], *, what: str) -> list[str]:
    """The names that are selected and not excluded, in their order; all that are not excluded where `select` is empty.

    A pattern is of the shell (`*`, `?`, `[…]`), and case counts; one that is a name means that alone. `what` the names
    are of (`table`, `file`) is for messages: a pattern that matches nothing, or patterns that together leave nothing,
    are a `UsageError`, since a backup of nothing is none.
    """
    every = list(names)
    selected = {name for pattern in select for name in _meant(pattern, every, what)}
    excluded = {name for pattern in exclude for name in _meant(pattern, every, what)}
    chosen = [name for name in every if (not select or name in selected) and name not in excluded]
    if every and not chosen:
        raise UsageError(
            f"every {what} that is selected is excluded, so that nothing is left",
            hint="exclude less: --exclude takes precedence over --select",
        )
    return chosen


def _meant(pattern: str, names: Sequence[str], what: str) -> list[str]:
    meant = [pattern] if pattern in names else [name for name in names if fnmatchcase(name, pattern)]
    if meant:
        return meant
    listed = ", ".join(map(quote_name, names[:_MOST_NAMES])) or "none"
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    folded = [quote_name(name) for name in names if fnmatchcase(name.casefold(), pattern.casefold())]
    hint = f"case counts, as there is {', '.join(folded[:3])}" if folded else None
    raise UsageError(f"no {what} matches {quote_name(pattern)} (there are: {listed}{more})", hint=hint)
