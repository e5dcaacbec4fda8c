"""What is checked before a restore touches anything: manifest, selection, target, and what the server can hold."""

import logging

from holdfast.api import Change, HoldfastError, RestoreRequest, UnsafeError, UsageError, quote_name, refuse_replacing
from holdfast_mysql.catalog.databases import is_read_only
from holdfast_mysql.catalog.requirements import recomputed_warning
from holdfast_mysql.catalog.selection import Selection
from holdfast_mysql.definitions.collations import StandIns, pads
from holdfast_mysql.manifest_facts import check_shapes
from holdfast_mysql.names import ACCOUNTS, MARKER, SCRIPT
from holdfast_mysql.restore.needs import (
    chosen_needs,
    ignored_clauses,
    missing_functions,
    no_statements,
    short_packets,
    unmet,
    untold,
)
from holdfast_mysql.restore.read_only import check_writable
from holdfast_mysql.restore.target import objects_of
from holdfast_mysql.session import Server, Session, quoted

log = logging.getLogger("holdfast.mysql")

_FACTS = frozenset({"format", "server", "database", "collation", "rows", "needs"})


def check_facts(request: RestoreRequest) -> None:
    """Refuse a manifest that does not say what a restore asks it."""
    missing = _FACTS - set(request.facts)
    if missing:
        raise HoldfastError(f"the manifest does not say what a MySQL restore needs: {', '.join(sorted(missing))}")
    check_shapes(request.facts)
    names = {stream.name for stream in request.streams}
    unknown = [name for name in request.facts["rows"] if name not in names and SCRIPT not in names]
    if unknown:
        raise HoldfastError(f"the manifest lists rows in {quote_name(unknown[0])}, which is no stream of it")


def check_selection(request: RestoreRequest) -> None:
    """Refuse patterns that choose nothing, as a backup does."""
    if "names" in request.facts:
        names = [str(name) for listed in request.facts["names"].values() for name in listed]
        selection = Selection.of(request)
        selection.check(names)
        if request.select and not any(name in selection for name in names):
            raise UsageError("the selection leaves nothing to restore")


def chosen_names(request: RestoreRequest) -> dict[str, list[str]]:
    """The tables, views and sequences that come, by kind, as far as the manifest lists them.

    Not those sequences that come only where the target has none of their names.
    """
    selection = Selection.of(request)
    brought = frozenset(request.facts.get("brought", ()))
    recorded = request.facts.get("names", {"table": sorted({table for table, _ in request.facts["rows"].values()})})
    return {
        kind: [name for name in listed if name in selection and not (kind == "sequence" and name in brought)]
        for kind, listed in recorded.items()
        if not selection.leaves_out(kind)
    }


def check_target(session: Session, database: str, request: RestoreRequest) -> list[tuple[str, str]]:
    """Refuse a target with data unless it is to be replaced; returns kind and name of what is in it."""
    check_writable(session)
    if is_read_only(session, database):
        raise UnsafeError(
            f"database {quote_name(database)} is read only",
            hint=f"run on the server: ALTER DATABASE {quoted(database)} READ ONLY=0",
        )
    occupants = objects_of(session, database)
    if request.drill:
        occupants = [occupant for occupant in occupants if occupant != ("table", MARKER)]
    if request.selective and occupants and not request.replace:
        there = {name for kind, name in occupants if kind in ("table", "view", "sequence")}
        refuse_replacing(f"database {quote_name(database)}", [
            Change(action="replaced", kind=kind, name=name)
            for kind, listed in chosen_names(request).items() for name in listed if name in there
        ])  # fmt: skip
    elif occupants and not request.replace:
        kind, name = occupants[0]
        more = f" and {len(occupants) - 1} more objects" if len(occupants) > 1 else ""
        raise UnsafeError(
            f"database {quote_name(database)} is not empty: it has {kind} {quote_name(name)}{more}",
            hint="use --replace to overwrite it, or restore under another name",
        )
    return occupants


def check_requirements(session: Session, request: RestoreRequest) -> None:
    """Name everything that this server cannot hold."""
    needs = chosen_needs(request)
    source = Server.of(str(request.facts["server"]))
    missing = [*unmet(session, needs, source=source), *short_packets(session, request)]
    missing += no_statements(session, request)
    if missing:
        raise UnsafeError(
            f"{session.server.name} cannot hold what the backup of {source.name} has: "
            + "; ".join(need.text for need in missing),
            hint="; ".join(dict.fromkeys(need.hint for need in missing)),
        )
    accounts = request.options.users and any(stream.name == ACCOUNTS for stream in request.streams)
    if accounts and source.mariadb != session.server.mariadb and not request.drill:
        raise UnsafeError(
            f"{session.server.name} does not read the accounts of {source.name}, which are written otherwise",
            hint="restore without -o users=true, and make the accounts by hand",
        )
    stand_ins = StandIns(session.collations)
    for need in needs:
        name = need.removeprefix("collation ")
        if name != need and (other := stand_ins.of(name)):
            log.warning("collation %s is not known to %s: %s stands in for it%s", name, session.server.name, other,
                        _padding(name, other))  # fmt: skip
    chosen = chosen_names(request).get("table", ())
    for name, count in request.facts.get("recomputed", {}).items():
        if any(name.startswith(f"{table}.") for table in chosen):
            log.warning("%s", recomputed_warning(name, count))
    for line in untold(session, needs) if request.dry_run else ():
        log.warning("%s", line)
    for line in missing_functions(session, needs):
        log.warning("%s", line)
    for line in ignored_clauses(needs, source=source, target=session.server):
        log.warning("%s ignores the clause %s", session.server.name, line)


def _padding(name: str, other: str) -> str:
    """What to know of a stand-in that treats spaces at the end of a value in another way."""
    if pads(name) == pads(other):
        return ""
    return ", to which values that differ in spaces at their ends are " + ("the same" if pads(other) else "others")
