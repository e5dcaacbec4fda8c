"""What a backup needs that the target's server does not offer, found out before anything there is touched."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.api import ObjectKind, RestoreRequest, quote_name
from holdfast_mysql.catalog.events import SCHEDULER, keeps_events
from holdfast_mysql.catalog.leniency import FORCED_KEYS, LOOSE_KEYS, TRUST
from holdfast_mysql.catalog.long_keys import ROW_FORMAT
from holdfast_mysql.catalog.privileges import global_privileges
from holdfast_mysql.catalog.selection import Selection
from holdfast_mysql.catalog.storage_needs import DIRECTORY, HINTS, LINKS, OPTION, STRIPPED_BY, ZONE, is_met
from holdfast_mysql.catalog.surroundings import FUNCTION, LISTS, REFERENCE_SYSTEM, SEQUENCE, SERVER
from holdfast_mysql.definitions.collations import StandIns
from holdfast_mysql.session import Server, Session, literal

# Types and objects that only one of the two knows, and since when.
_MARIADB_TYPES = {"uuid": (10, 7), "inet6": (10, 5), "inet4": (10, 10), "vector": (11, 7), "xmltype": (12, 1)}
_MYSQL_TYPES = {"vector": (9, 0), "json": (5, 7)}
_MARIADB_OBJECTS = {
    "sequence": (10, 3),
    "package": (10, 3),
    "package body": (10, 3),
    "system versioning": (10, 11),
    "application period": (10, 4),
    "aggregate function": (10, 3),
    "unique key over whole texts": (10, 4),
}
_MYSQL_OBJECTS = {"library": (9, 2), "duality view": (9, 4), "materialized view": (9, 5), "functional key": (8, 0)}
# Needs that are gone with a kind that is left out.
_KINDS = {
    SCHEDULER: ObjectKind.EVENT,
    "creator function": ObjectKind.ROUTINE,
    "creator trigger": ObjectKind.TRIGGER,
    "object aggregate function": ObjectKind.ROUTINE,
    "object duality view": ObjectKind.VIEW,
    "object library": ObjectKind.ROUTINE,
    "object materialized view": ObjectKind.VIEW,
    "object package": ObjectKind.ROUTINE,
    "object package body": ObjectKind.ROUTINE,
    f"setting {LOOSE_KEYS}": ObjectKind.FOREIGN_KEY,
    f"setting {TRUST}": ObjectKind.ROUTINE,
}
# What no look at the server tells.
_TRIED = {DIRECTORY: "can write to", OPTION: "takes"}
_GLOBAL = frozenset({TRUST, ROW_FORMAT, FORCED_KEYS})  # settings that no session has of its own
_EXCLUDE = "use --exclude to leave tables out, or restore into a server of the same kind"
_STRIP = "use -o strip=engine for the server's own engine, or --exclude to leave tables out"


@dataclass(frozen=True, kw_only=True)
class UnmetNeed:
    """What the server does not offer, with what asks for it, and what can be done."""

    text: str
    hint: str = _EXCLUDE


def chosen_needs(request: RestoreRequest) -> dict[str, list[Any]]:
    """The recorded needs of what is restored: number and names of what has each of them."""
    needs = {}
    for need, (count, names) in request.facts["needs"].items():
        if _KINDS.get(need) in request.exclude_kinds or _is_stripped(need, request.options.stripped):
            continue
        if request.drill and need.startswith((SEQUENCE, LINKS)):
            continue  # tables are made without such defaults and folders
        chosen = _chosen(request, names, events=need.startswith((ZONE, SCHEDULER)))
        unlisted = count - len(names)  # the manifest has only the first names, and any other may be chosen
        if chosen or unlisted:
            needs[need] = [len(chosen) + unlisted, chosen]
    return needs


def _is_stripped(need: str, stripped: Collection[str]) -> bool:
    """Whether the restore does without what is needed."""
    kind = next((kind for start, kind in STRIPPED_BY.items() if need.startswith(start)), None)
    return kind in stripped or ("engine" in stripped and need.startswith("engine "))


def _chosen(request: RestoreRequest, names: Sequence[str], *, events: bool = False) -> list[str]:
    """Those of the names that are restored; what is no table, view or sequence is an event, or else a routine."""
    selection = Selection.of(request)
    others = selection.events if events else selection.everything
    tables = {table for table, _ in request.facts["rows"].values()}
    tables.update(name for listed in request.facts.get("names", {}).values() for name in listed)
    chosen = []
    for name in names:
        owner = _owner(name, tables)
        if owner in selection if owner else others:
            chosen.append(name)
    return chosen


def _owner(name: str, tables: Collection[str]) -> str:
    """The table, view or sequence of a name, which may be that of a column behind its table; empty for a routine."""
    dots = [place for place, char in enumerate(name) if char == "."]
    return next((part for part in (name, *(name[:place] for place in dots)) if part in tables), "")


def unmet(session: Session, needs: Mapping[str, Any], *, source: Server) -> Iterator[UnmetNeed]:
    """What the server does not offer of all that is needed; the session is prepared for writing."""
    engines = {name.lower() for name, on in session.texts("SELECT engine, support FROM information_schema.engines")
               if on in ("YES", "DEFAULT")}  # fmt: skip
    collations = StandIns(session.collations)
    for need, (count, names) in needs.items():
        kind, _, what = need.partition(" ")
        met = {
            "engine": what.lower() in engines,
            "collation": what in collations.known or collations.of(what) is not None,
            "type": _has_type(what, session.server, source),
            "object": _has_object(what, session.server),
        }
        if not met.get(kind, True):
            text = f"{kind.replace('object', '').strip()} {what}".strip() + _listed(count, names)
            yield UnmetNeed(text=text, hint=_STRIP if kind == "engine" else _EXCLUDE)
    for need, (count, names) in needs.items():
        if is_met(session, need) is False:
            hint = next(hint for start, hint in HINTS.items() if need.startswith(start))
            yield UnmetNeed(text=f"{need}{_listed(count, names)}", hint=hint)
    if SCHEDULER in needs and not keeps_events(session):
        text = f"event_scheduler is DISABLED, and there are events{_listed(*needs[SCHEDULER])}"
        yield UnmetNeed(text=text, hint="start the server with event_scheduler OFF or ON, or use --exclude-kind event")
    if (history := needs.get("object system versioning")) and _secures_time(session):
        yield UnmetNeed(
            text=f"secure_timestamp is YES, and the history of tables cannot be written{_listed(*history)}",
            hint="start the server with secure_timestamp=SUPER or NO, or use --exclude to leave the tables out",
        )
    yield from _refused_engines(session, needs)
    yield from _missing_outside(session, needs)
    yield from _unmet_settings(session, needs)
    yield from _unmet_creators(session, needs)


def untold(session: Session, needs: Mapping[str, Any]) -> Iterator[str]:
    """What only making the tables will tell."""
    for need, (count, names) in needs.items():
        does = next((does for start, does in _TRIED.items() if need.startswith(start)), "")
        if does and is_met(session, need) is None:
            yield f"whether the server {does} {need}{_listed(count, names)} is known when it is tried"


def _refused_engines(session: Session, needs: Mapping[str, Any]) -> Iterator[UnmetNeed]:
    """Storage engines that are there, but not for new tables, or that another one is put in place of."""
    rows = _variables(session, ["enforce_storage_engine", "disabled_storage_engines"])
    forced, disabled = (rows.get(name, "").lower() for name in ("enforce_storage_engine", "disabled_storage_engines"))
    for need, (count, names) in needs.items():
        kind, _, engine = need.partition(" ")
        if kind != "engine":
            continue
        if forced and engine.lower() != forced:
            yield UnmetNeed(
                text=f"enforce_storage_engine is {forced}, and there are tables of {engine}{_listed(count, names)}",
                hint="SET GLOBAL enforce_storage_engine=NULL, an account with SUPER, or -o strip=engine",
            )
        if engine.lower() in disabled.split(","):
            yield UnmetNeed(
                text=f"engine {engine} is one of disabled_storage_engines{_listed(count, names)}",
                hint=f"start the server without {engine} in disabled_storage_engines",
            )


def _missing_outside(session: Session, needs: Mapping[str, Any]) -> Iterator[UnmetNeed]:
    """What belongs to the server, and a table cannot be made without."""
    for kind in (SERVER, REFERENCE_SYSTEM):
        for name, (count, names) in _missing(session, needs, kind):
            statement = f"CREATE {kind.removeprefix('foreign ').upper()}"
            yield UnmetNeed(text=f"{kind} {name}{_listed(count, names)}", hint=f"make it on the server: {statement}")
    for name, (count, names) in _missing(session, needs, SEQUENCE):
        hint = f"restore database {quote_name(name.partition('.')[0])} first, or use --exclude"
        yield UnmetNeed(text=f"{SEQUENCE} {name}{_listed(count, names)}", hint=hint)


def missing_functions(session: Session, needs: Mapping[str, Any]) -> Iterator[str]:
    """Loadable functions that the server has not, with what calls them."""
    for name, (count, names) in _missing(session, needs, FUNCTION):
        yield f"this server has no {FUNCTION} {quote_name(name)}, which is called by{_listed(count, names)}"


def _missing(session: Session, needs: Mapping[str, Any], kind: str) -> Iterator[tuple[str, Any]]:
    wanted = {need.removeprefix(f"{kind} "): holders for need, holders in needs.items() if need.startswith(f"{kind} ")}
    there = LISTS[kind](session) if wanted else None
    for name, holders in wanted.items():
        if there is not None and name.lower() not in {other.lower() for other in there}:
            yield name, holders


def short_packets(session: Session, request: RestoreRequest) -> Iterator[UnmetNeed]:
    """Rows and definitions that make a longer statement than the server takes; LOAD DATA is not bound by that."""
    limit = session.packet_limit
    infile = request.facts["format"] == "wire" and _takes_files(session, request)
    for name, (size, where) in request.facts.get("packets", {}).items():
        sent = not infile or where == "everywhere" or (where and session.server.mariadb)
        if size >= limit and sent and _chosen(request, [name]):
            yield UnmetNeed(
                text=f"{name} needs statements of {size} bytes, and max_allowed_packet is {limit}",
                hint=f"run on the server: SET GLOBAL max_allowed_packet={_round_up(size)}",
            )


def no_statements(session: Session, request: RestoreRequest) -> Iterator[UnmetNeed]:
    """That the server prepares no statements, by which rows go in where it takes no LOAD DATA LOCAL."""
    if request.facts["format"] != "wire" or not request.facts["rows"] or _takes_files(session, request):
        return
    if session.value("SELECT @@max_prepared_stmt_count") == "0":
        yield UnmetNeed(
            text="max_prepared_stmt_count is 0, and rows go in by prepared INSERT where local_infile is OFF",
            hint="run on the server: SET GLOBAL max_prepared_stmt_count=DEFAULT, or SET GLOBAL local_infile=ON",
        )


def _takes_files(session: Session, request: RestoreRequest) -> bool:
    return bool(request.options.local_infile) and session.value("SELECT @@local_infile") == "1"


def _round_up(size: int) -> int:
    """The next power of two above a size."""
    return 1 << size.bit_length()


def _unmet_settings(session: Session, needs: Mapping[str, Any]) -> Iterator[UnmetNeed]:
    """Settings that the session has not, also after `prepare_writer` has relaxed what it may."""
    wanted = {need.partition(" ")[2]: holders for need, holders in needs.items() if need.startswith("setting ")}
    current = _variables(session, [setting.partition("=")[0] for setting in wanted])
    for setting, (count, names) in wanted.items():
        variable, _, value = setting.partition("=")
        if variable not in current or current[variable] == value or (setting == TRUST and not _logs(session)):
            continue
        may = "" if setting in _GLOBAL else ", or give the account SESSION_VARIABLES_ADMIN"
        yield UnmetNeed(
            text=f"{variable} is {current[variable]}, and {value} is needed for{_listed(count, names)}",
            hint=f"run on the server: SET GLOBAL {variable}={value}{may}",
        )


def _unmet_creators(session: Session, needs: Mapping[str, Any]) -> Iterator[UnmetNeed]:
    """Functions and triggers that the account may not make, because the server writes a binary log."""
    wanted = [(need.partition(" ")[2], holders) for need, holders in needs.items() if need.startswith("creator ")]
    if not wanted or not _logs(session) or session.value(f"SELECT @@{TRUST.partition('=')[0]}") == "1":
        return
    if not {"SUPER", "ALL PRIVILEGES"} & global_privileges(session):
        for kind, (count, names) in wanted:
            of = " of" if kind == "trigger" else ""
            yield UnmetNeed(
                text=f"the account may not make {kind}s{of}{_listed(count, names)} under a binary log without SUPER",
                hint=f"run on the server: SET GLOBAL {TRUST}",
            )


def _secures_time(session: Session) -> bool:
    """Whether MariaDB was started so that nobody sets the time at which something happened."""
    return session.server.mariadb and _variables(session, ["secure_timestamp"]).get("secure_timestamp") == "YES"


def _logs(session: Session) -> bool:
    return session.value("SELECT @@log_bin") == "1"


def _variables(session: Session, names: Sequence[str]) -> dict[str, str]:
    """Those of the session's variables that the server knows, with their values."""
    listed = ", ".join(literal(name) for name in names)
    rows = session.texts(f"SHOW VARIABLES WHERE variable_name IN ({listed})") if names else []
    return {row[0]: row[1] for row in rows}


def _listed(count: int, names: Sequence[str]) -> str:
    first = names[:5]
    rest = f"{count - len(first)} more" if count > len(first) else ""
    return f" ({' and '.join(filter(None, [', '.join(first), rest]))})"


def ignored_clauses(needs: Mapping[str, Any], *, source: Server, target: Server) -> list[str]:
    """Clauses that the target passes over: what one product alone knows it writes in comments that only it reads."""
    if source.mariadb == target.mariadb:
        return []
    return [f"{need.partition(' ')[2]} ({', '.join(names[:5])})" for need, (_, names) in needs.items()
            if need.startswith("clause ")]  # fmt: skip


def _has_type(kind: str, server: Server, source: Server) -> bool:
    if server.mariadb == source.mariadb and server.version >= source.version:
        return True
    if kind == "vector" and server.mariadb != source.mariadb:
        return False  # the same name, but other functions and text
    own, other = (_MARIADB_TYPES, _MYSQL_TYPES) if server.mariadb else (_MYSQL_TYPES, _MARIADB_TYPES)
    if kind in own:
        return server.version[:2] >= own[kind]
    return kind not in other or (kind == "json" and server.mariadb)


def _has_object(kind: str, server: Server) -> bool:
    if kind in _MYSQL_OBJECTS:
        return not server.mariadb and server.version[:2] >= _MYSQL_OBJECTS[kind]
    return server.mariadb and server.version[:2] >= _MARIADB_OBJECTS.get(kind, (10, 6))
