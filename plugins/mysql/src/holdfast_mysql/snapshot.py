"""One moment on several connections, with a global lock of milliseconds, or what there is without that privilege.

The order: LOCK INSTANCE FOR BACKUP (MySQL 8), a metadata lock on every table, the global read lock, a consistent
snapshot on each connection, the position in the binary log, and the global lock is given back. Sources: MySQL 8.4
manual §15.3.5 and §15.7.8.3, MariaDB "Enhancements for START TRANSACTION WITH CONSISTENT SNAPSHOT".
"""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pymysql

from holdfast.api import HoldfastError, LockedError, quote_name
from holdfast_mysql.catalog.tables import is_own
from holdfast_mysql.errors import DENIED, error_number, server_error, table_error
from holdfast_mysql.replica import replica_positions
from holdfast_mysql.session import Session, batches, quoted
from holdfast_mysql.session.dump_connections import DumpConnections

log = logging.getLogger("holdfast.mysql")

_TIMEOUT = 1205
_TRIES = 20
_BEGIN = "START TRANSACTION WITH CONSISTENT SNAPSHOT"
_SETTINGS = (
    "SET time_zone='+00:00'",
    "SET net_write_timeout=86400, net_read_timeout=86400, wait_timeout=604800, lock_wait_timeout=86400",
    # The bytes of names, definitions and rows come as they are kept, whatever their character set.
    "SET character_set_results=binary",
)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The connections that see the moment, the one that keeps the tables from being altered, and the position."""

    readers: tuple[Session, ...]
    keeper: Session
    consistency: str
    position: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def prepare_reader(session: Session) -> None:
    """Set a connection up for reading: no server-side limit may end a long one."""
    session.execute_all(_SETTINGS)
    if session.server.mysql_since(8, 0):
        session.execute("SET information_schema_stats_expiry=0")
    # In a cluster whose reads wait for the writes of other members, these would wait for us, who stop all writes.
    if session.texts("SHOW VARIABLES WHERE variable_name='wsrep_sync_wait' AND value<>'0'"):
        session.execute("SET wsrep_sync_wait=0")


class SnapshotTaker:
    """Takes a snapshot on connections that are open and prepared.

    `connections.locker` is for the lock alone: LOCK TABLES and FLUSH end the transaction of the one they run on.
    """

    def __init__(self, connections: DumpConnections, *, timeout: float) -> None:
        self._keeper = connections.keeper
        self._locker = connections.locker
        self._readers = connections.readers
        self._timeout = math.ceil(timeout)
        self._warnings = list(connections.warnings)
        self._position: dict[str, Any] = {}
        self._unopened: set[str] = set()

    def take(self, names: Callable[[], list[str]], hold: Callable[[list[str]], None]) -> Snapshot:
        """Take it; `names` lists the tables, `hold` is called while writers wait.

        `LockedError` if the lock is not obtained in time; nothing is locked then.
        """
        for session in filter(None, (self._keeper, self._locker)):
            session.execute(f"SET lock_wait_timeout={self._timeout}")
        self._lock_instance()
        alone = self._keeper in self._readers  # then the moment comes first: a table altered since cannot be read
        self._keeper.execute(_BEGIN if alone else "START TRANSACTION")
        before = self._table_names()
        kept = names()
        self._lock_metadata(kept)
        consistency = self._lock([name for name in kept if name not in self._unopened])
        try:
            # Listing names is quick, and their kinds are not: 1500 tables held the lock for 280 ms with them.
            added = sorted(set(names()) - set(kept)) if self._table_names() - before else []
            self._lock_metadata(added)
            hold([*kept, *added])
            if consistency != "binlog" and not alone:
                for reader in self._readers:
                    reader.execute(_BEGIN)
            self._read_position(consistency)
        finally:
            if self._locker:
                self._locker.execute("UNLOCK TABLES")
        self._add_gtid()
        return Snapshot(
            readers=self._readers,
            keeper=self._keeper,
            consistency=consistency,
            position=self._position,
            warnings=tuple(self._warnings),
        )

    def _table_names(self) -> set[str]:
        return {name for (name,) in self._keeper.texts("SHOW TABLES")}

    def _lock_instance(self) -> None:
        """Keep everybody from DDL for as long as the keeper lives, where the server can and we may."""
        if not self._keeper.server.mysql_since(8, 0):
            return
        try:
            self._keeper.execute("LOCK INSTANCE FOR BACKUP")
        except pymysql.MySQLError as error:
            if error_number(error) not in DENIED:
                raise self._not_obtained(error, "LOCK INSTANCE FOR BACKUP") from error
            log.info("without BACKUP_ADMIN only the tables themselves are kept from being altered")

    def _lock_metadata(self, names: Sequence[str]) -> None:
        """Take a metadata lock on each table: ALTER, DROP and TRUNCATE wait until the dump has ended."""
        for batch in batches(names):
            try:
                self._keeper.execute(" UNION ALL ".join(f"SELECT 1 FROM {quoted(name)} WHERE FALSE" for name in batch))
            except pymysql.MySQLError as error:
                # Which one it was is seen one by one; where the wait is over already, at once.
                waited = error_number(error) == _TIMEOUT
                if waited:
                    self._keeper.execute("SET lock_wait_timeout=1")
                for name in batch:
                    self._lock_table(name)
                if waited:
                    self._keeper.execute(f"SET lock_wait_timeout={self._timeout}")

    def _lock_table(self, name: str) -> None:
        try:
            self._keeper.execute(f"SELECT 1 FROM {quoted(name)} LIMIT 0")
        except pymysql.MySQLError as error:
            if error_number(error) == _TIMEOUT:
                raise self._not_obtained(error, f"a metadata lock on table {quote_name(name)}") from error
            if is_own(self._keeper, name):
                raise table_error(error, name) from error
            self._unopened.add(name)  # whoever reads the definitions says what that means

    def _lock(self, names: Sequence[str]) -> str:
        """Stop writers by the best means that the account has; what it returns says which."""
        if self._locker is None:
            return "one connection"
        try:
            self._locker.execute("FLUSH TABLES WITH READ LOCK")
        except pymysql.MySQLError as error:
            if error_number(error) not in DENIED:
                raise self._not_obtained(error, "the global read lock") from error
        else:
            return "global lock"
        if len(self._readers) > 1:
            if self._compare():
                return "binlog"
            if names and self._lock_tables(self._locker, names):
                return "table locks"
            self._warnings.append(
                "the account may neither FLUSH TABLES (RELOAD) nor LOCK TABLES: one connection reads instead of "
                f"{len(self._readers)}, so that all of it is one moment"
            )
            for reader in self._readers[1:]:
                reader.close()
            self._readers = self._readers[:1]
        return "one connection"

    def _compare(self) -> bool:
        """Without any lock, MariaDB says at which position of the binary log each snapshot is: retry until equal."""
        if not self._keeper.server.mariadb or self._keeper.value("SELECT @@log_bin") != "1":
            return False
        for _ in range(_TRIES):
            for reader in self._readers:
                reader.execute(_BEGIN)
            if len({_binlog_snapshot(reader) for reader in self._readers}) == 1:
                return True
        for reader in self._readers:
            reader.execute("ROLLBACK")
        return False

    def _lock_tables(self, locker: Session, names: Sequence[str]) -> bool:
        """Lock our own tables alone: whoever has written to one must commit before we get it."""
        try:
            locker.execute("LOCK TABLES " + ", ".join(f"{quoted(name)} READ" for name in names))
        except pymysql.MySQLError as error:
            if error_number(error) not in DENIED:
                raise self._not_obtained(error, "a read lock on the tables") from error
            return False
        return True

    def _read_position(self, consistency: str) -> None:
        """Read where in the binary log the moment is."""
        if self._locker and consistency not in ("one connection", "binlog"):
            try:
                rows = self._locker.dicts(self._locker.server.position_query)
            except pymysql.MySQLError as error:
                if error_number(error) not in DENIED:
                    raise server_error(error, "cannot read the position in the binary log") from error
            else:
                if rows:
                    self._take_position(rows[0])
                    if consistency == "global lock" and self._locker.server.mariadb:
                        self._set_gtid(self._locker.value("SELECT @@gtid_binlog_pos"))
                if consistency == "global lock" and (sources := replica_positions(self._locker)):
                    self._position["replica_of"] = sources
                return
        if self._keeper.server.mariadb:
            file, position = _binlog_snapshot(self._readers[0])
            if file:
                self._position = {"file": file, "position": int(position)}
            return
        self._warnings.append("the position in the binary log is not recorded: it needs REPLICATION CLIENT and RELOAD")

    def _take_position(self, row: dict[str, bytes | None]) -> None:
        values = {key: (value or b"").decode() for key, value in row.items()}
        self._position = {"file": values["File"], "position": int(values["Position"])}
        if values.get("Executed_Gtid_Set"):
            self._position["gtid"] = "".join(values["Executed_Gtid_Set"].split())

    def _add_gtid(self) -> None:
        """Ask MariaDB which GTID a position is, if nothing said so while all stood still.

        It reads the binary log up to there, 0.6 s for 500 MB, so that this must not happen under a lock.
        """
        if self._keeper.server.mariadb and self._position and "gtid" not in self._position:
            place = f"'{self._position['file']}', {self._position['position']}"
            self._set_gtid(self._keeper.value(f"SELECT BINLOG_GTID_POS({place})"))

    def _set_gtid(self, gtid: str) -> None:
        if gtid:
            self._position["gtid"] = gtid

    def _not_obtained(self, error: pymysql.MySQLError, what: str) -> HoldfastError:
        if error_number(error) != _TIMEOUT:
            return server_error(error, f"cannot take {what}")
        return LockedError(
            f"could not take {what} within {self._timeout} s, because a statement or a transaction is running",
            hint="use -o lock_timeout=SECONDS to wait longer (writers wait too), or back up when long queries are over",
        )


def _binlog_snapshot(session: Session) -> tuple[str, str]:
    status = {key.lower(): value for key, value in session.texts("SHOW STATUS LIKE 'binlog_snapshot_%'")}
    return status.get("binlog_snapshot_file", ""), status.get("binlog_snapshot_position", "0")
