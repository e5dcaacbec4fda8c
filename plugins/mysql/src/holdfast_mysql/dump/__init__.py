"""The dump: one snapshot on several connections, rows by key range, definitions as scripts."""

from holdfast_mysql.dump.session import MysqlDump, open_dump

__all__ = ["MysqlDump", "open_dump"]
