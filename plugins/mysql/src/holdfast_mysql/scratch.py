"""Databases for drills: made, marked and locked, checked, digested, and dropped whatever happens."""

import logging
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from holdfast.api import (
    CredentialsError,
    DatabaseURL,
    HoldfastError,
    LockedError,
    ObjectProof,
    Proof,
    ScratchRequest,
    UsageError,
    quote_name,
)
from holdfast_mysql.catalog.selection import Selection
from holdfast_mysql.catalog.tables import Table, as_recorded, read_tables
from holdfast_mysql.drill_marker import make_marker, noted, stand_ins
from holdfast_mysql.errors import translate_errors
from holdfast_mysql.location import Location, locate
from holdfast_mysql.manifest_facts import check_shapes
from holdfast_mysql.names import MARKER
from holdfast_mysql.proof.place import Place
from holdfast_mysql.proof.record import METHOD, proof_of
from holdfast_mysql.proof.repeat import repeat_proof
from holdfast_mysql.restore.read_only import check_writable
from holdfast_mysql.session import Session, batches, connect, plain_literal, quoted, use

log = logging.getLogger("holdfast.mysql")

_PREFIX = "holdfast_drill_"


class MysqlScratch:
    """One scratch database, held by an advisory lock of the session that made it."""

    def __init__(self, session: Session, location: Location, request: ScratchRequest, name: str, url: str) -> None:
        self._session = session
        self._location = location
        self._request = request
        self._name = name
        self.url = url
        self.server_version = session.server.text
        self.warnings: list[str] = []
        self._unopened: dict[str, str] = {}

    def _tables(self, session: Session) -> list[Table]:
        return read_tables(session, self._name, Selection(exclude=(MARKER,)), unopened=self._unopened)

    def check(self) -> Sequence[str]:
        """Run CHECK TABLE on every table; each line is one that it does not call sound."""
        problems = []
        with translate_errors("cannot check the restored tables"):
            use(self._session, self._name)
            # Of those whose rows are elsewhere the server would look there.
            stored = [table.name for table in self._tables(self._session) if table.stored]
            for batch in batches(stored):
                tables = ", ".join(map(quoted, batch))
                for place, _, kind, text in self._session.texts(f"CHECK TABLE {tables} EXTENDED"):
                    if _is_problem(kind.lower(), text):
                        name = place.removeprefix(f"{self._name}.")
                        problems.append(f"CHECK TABLE {quote_name(name)}: {text}")
        backed_up = {table for table, _ in self._request.facts.get("rows", {}).values()}
        problems += [
            f"table {quote_name(name)} cannot be opened: {why}"
            for name, why in self._unopened.items()
            if self._is_of(name, backed_up)
        ]
        return problems

    def proof(self, recorded: Proof) -> Proof:
        """Digest what was restored as the dump did; another method than ours is told by its name."""
        if recorded.method != METHOD:
            return Proof(method=METHOD)
        with translate_errors("cannot digest the restored database"):
            tables = [as_recorded(table, self._request.facts) for table in self._tables(self._session)]
            jobs = max(1, self._request.jobs)
            facts = self._request.facts
            # Older backups do not say whether their server folded names: then it did as this one does.
            folded = bool(facts.get("folds", self._session.folds))
            place = Place(self._session, str(facts.get("server", "")), source_folds=folded)
            here = replace(recorded, settings=place.settings(recorded.settings))
            reasons = self._reasons()
            repeated = repeat_proof(
                self._location,
                tables,
                here,
                jobs=jobs,
                without=MARKER,
                # One whose definer has no rights here is sound, whatever a server says of the views above it.
                broken=[name for kind, name in (*reasons, *_places(recorded)) if kind == "view"],
                stand_ins=stand_ins(self._session, self._name),
            )
            sound = self._without_mended(recorded, repeated)
            repeated = proof_of(place.named(sound, recorded.objects), recorded.settings)
            excused = self._excused(recorded, repeated, reasons)
            return self._placed(recorded, excused, place, tables)

    def _without_mended(self, recorded: Proof, repeated: Proof) -> list[ObjectProof]:
        """What was restored, without views that no server opened where the backup is of, and that this one opens."""
        named = set((self._request.facts.get("names") or {}).get("view", ()))
        broken = named - {proof.name for proof in recorded.objects if proof.kind == "view"}
        return [proof for proof in repeated.objects if proof.kind != "view" or proof.name not in broken]

    def _is_of(self, name: str, names: Collection[str]) -> bool:
        return name in names or (self._session.folds and name in {other.lower() for other in names})

    def _reasons(self) -> dict[tuple[str, str], str]:
        """Why what is not as it was is no fault of the backup: what the restore noted, and tables without own rows."""
        stored = {table for table, _ in self._request.facts.get("rows", {}).values()}
        unopened = {
            ("table", name): f"the server cannot open it here ({why})"
            for name, why in self._unopened.items()
            if not self._is_of(name, stored)
        }
        return {**noted(self._session, self._name), **unopened}

    def _placed(self, recorded: Proof, repeated: Proof, place: Place, tables: Sequence[Table]) -> Proof:
        """The proof, as if what another server writes otherwise were written as it was."""
        incomparable = place.incomparable(recorded.objects, repeated.objects, tables)
        if incomparable:
            self.warnings.append(place.why(incomparable))
        compared = {(proof.kind, proof.name): proof for proof in (*repeated.objects, *incomparable)}
        return proof_of(compared.values(), repeated.settings)

    def _excused(self, recorded: Proof, repeated: Proof, noted: Mapping[tuple[str, str], str]) -> Proof:
        """The proof, as if what cannot be here as it was were so; `warnings` tells of each."""
        compared = {(proof.kind, proof.name): proof for proof in repeated.objects}
        for proof in recorded.objects:
            key = (proof.kind, proof.name)
            why = noted.get(key) or (noted.get((proof.kind, proof.name.lower())) if self._session.folds else None)
            if why and compared.get(key) != proof:
                compared[key] = proof
                self.warnings.append(f"{proof.kind} {quote_name(proof.name)} was not compared: {why}")
        return proof_of(compared.values(), repeated.settings)


def _places(recorded: Proof) -> list[tuple[str, str]]:
    return [(proof.kind, proof.name) for proof in recorded.objects]


def _is_problem(kind: str, text: str) -> bool:
    """Whether a line of CHECK TABLE finds fault; that a storage engine cannot check is none."""
    if "doesn't support check" in text or "not support" in text:
        return False
    return kind in ("error", "warning") or (kind == "status" and text != "OK")


@contextmanager
def open_scratch(request: ScratchRequest) -> Iterator[MysqlScratch]:
    """Make a scratch database on the server at `request.into`, after dropping what killed drills left there."""
    if request.into is None:
        raise UsageError(
            "a drill of a MySQL or MariaDB backup needs a server to restore into",
            hint="name a server with --into mysql://USER@HOST; the scratch database is dropped again",
        )
    check_shapes(request.facts)
    location = replace(locate(request.into, database=False), database="")
    name = f"{_PREFIX}{request.id}_{secrets.token_hex(3)}"
    session = connect(location)
    try:
        with _granting(), translate_errors(f"cannot make a scratch database on {location.server}"):
            check_writable(session)
            session.execute("SET wait_timeout=604800")
            _sweep(session)
            _lock(session, name)
            session.execute(f"CREATE DATABASE {quoted(name)}{_defaults(session, request)}")
        try:
            with translate_errors(f"cannot mark the scratch database {name}"):
                make_marker(session, name, request.id)
            url = replace(DatabaseURL.parse(request.into), path=f"/{name}").text()
            yield MysqlScratch(session, replace(location, database=name), request, name, url)
        finally:
            _drop(location, name)
    finally:
        session.close()


@contextmanager
def _granting() -> Iterator[None]:
    """Say which right a drill needs."""
    try:
        yield
    except CredentialsError as error:
        error.hint = (
            "GRANT ALL ON `holdfast\\_drill\\_%`.* to the account, or drill elsewhere: --into mysql://USER@HOST"
        )
        raise


def _defaults(session: Session, request: ScratchRequest) -> str:
    """The collation and the comment that the backup's database had, where this server knows them.

    And that its tables are not encrypted unless they say so: a server whose default is another may have no keyring.
    """
    collation, comment = (str(request.facts.get(key, "")) for key in ("collation", "comment"))
    clause = f" COLLATE {collation}" if collation in session.collations else ""
    if request.facts.get("encryption") == "NO" and session.server.mysql_since(8, 0, 16):
        clause += " DEFAULT ENCRYPTION='N'"
    return clause + (f" COMMENT {plain_literal(comment)}" if comment and session.server.mariadb_since(10, 5) else "")


def _lock(session: Session, name: str) -> None:
    if session.value(f"SELECT GET_LOCK({plain_literal(name)}, 0)") != "1":
        raise LockedError(f"the advisory lock of the scratch database {name} is held by another session")


def _sweep(session: Session) -> None:
    """Drop scratch databases that bear the name and the marker, and that nobody holds."""
    rows = session.texts(
        "SELECT t.table_schema FROM information_schema.tables t"
        f" WHERE t.table_schema LIKE 'holdfast\\_drill\\_%' AND t.table_name='{MARKER}'"
    )
    for (name,) in rows:
        if session.value(f"SELECT GET_LOCK({plain_literal(name)}, 0)") == "1":
            log.info("dropping the scratch database %s, which a killed drill left", name)
            session.execute(f"DROP DATABASE IF EXISTS {quoted(name)}")
            session.value(f"SELECT RELEASE_LOCK({plain_literal(name)})")


def _drop(location: Location, name: str) -> None:
    """Drop it over a connection of its own: that of the drill may be gone."""
    try:
        session = connect(location)
    except HoldfastError as error:
        log.warning("the scratch database %s is left behind: %s", name, error.message)
        return
    try:
        with translate_errors(f"cannot drop the scratch database {name}"):
            session.execute(f"DROP DATABASE IF EXISTS {quoted(name)}")
    except HoldfastError as error:
        log.warning("the scratch database %s is left behind: %s", name, error.message)
    finally:
        session.close()
