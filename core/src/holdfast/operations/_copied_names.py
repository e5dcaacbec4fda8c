"""Under which name a source lies in a store that its backups are copied to: its own, as in the store they come from."""

from holdfast.command_text import command_text
from holdfast.errors import HoldfastError, IntegrityError, UnsafeError, quote_name
from holdfast.store.catalog import Catalog
from holdfast.store.claims import owner_of, write_claim
from holdfast.store.entry import Entry
from holdfast.store.origin import Origin, Owner
from holdfast.store.renames import former_marks, mark_former_name, renamed_to


class SourceNames:
    """The names of sources, settled in the target when the first backup of a database is copied."""

    def __init__(self, source: Catalog, target: Catalog) -> None:
        self._source = source
        self._target = target
        self._where = target.storage.location
        self._settled: dict[tuple[str, str, Origin], Owner | None] = {}

    def settle(self, entry: Entry) -> None:
        """Claim a backup's name in the target for its database, unless it is claimed so already.

        A name that belongs to another database there, or a database that is called otherwise, is an `UnsafeError`.
        """
        if entry.manifest is None:
            return
        key = entry.name, entry.manifest.source.name, Origin.recorded(entry.manifest.source)
        try:
            # Read each time: it may have been renamed, deleted or given to another database since.
            if key in self._settled and self._settled[key] == owner_of(self._target, entry.name):
                return
            self._claim(*key)
            self._settled[key] = owner_of(self._target, entry.name)
        except IntegrityError as error:  # of a claim: it says nothing of the backup
            raise HoldfastError(f"{error.message}: a claim in {quote_name(self._where)}", hint=error.hint) from error

    def _claim(self, name: str, recorded: str, origin: Origin) -> None:
        ours = owner_of(self._source, name)
        if ours is None or not ours.owns(origin):
            ours = Owner.alone(origin)  # the store that it comes from holds a mixture
        formers = {*former_marks(self._source.storage, name), recorded} - {name}
        theirs = owner_of(self._target, name)
        if theirs is None:
            self._check_other_names(name, formers, ours)
            write_claim(self._target, name, ours, replace=False)
        elif not theirs.owns(origin):
            if theirs.is_same(ours):
                heir = theirs.adopting((origin, *ours.adopted))
            elif ours.owns(theirs):  # it has been adopted here since
                heir = ours.adopting(theirs.adopted)
            else:
                raise self._taken(name, theirs, origin)
            write_claim(self._target, name, heir, replace=True)
        for former in sorted(formers):
            mark_former_name(self._target.storage, name, former)

    def _check_other_names(self, name: str, formers: set[str], ours: Owner) -> None:
        """Refuse to begin anew under a name what lies there under another."""
        for former in sorted(formers):
            if self._is_theirs(former, ours):
                raise UnsafeError(
                    f"'{name}' is still called '{former}' in {quote_name(self._where)}",
                    hint=f"rename it there as well: {_rename(former, name, self._where)}",
                )
        for now in renamed_to(self._target.storage, name):
            if self._is_theirs(now, ours):
                where = self._source.storage.location
                raise UnsafeError(
                    f"'{name}' is called '{now}' in {quote_name(self._where)}",
                    hint=f"rename it here as well: {_rename(name, now, where)}",
                )

    def _is_theirs(self, name: str, ours: Owner) -> bool:
        theirs = owner_of(self._target, name)
        return theirs is not None and (theirs.owns(ours) or ours.owns(theirs))

    def _taken(self, name: str, theirs: Owner, origin: Origin) -> UnsafeError:
        host = theirs.host.name if theirs.host and theirs.is_elsewhere(origin) else ""
        return UnsafeError(
            f"in {quote_name(self._where)} the name '{name}' belongs to the backups of "
            + (f"this path on host '{host}'" if host else "another database"),
            hint=f"give one of the two another name: {_rename(name, 'NEW', self._where)}",
        )


def _rename(old: str, new: str, store: str) -> str:
    return command_text("holdfast", "rename", old, new, "--store", store)
