"""The restore: definitions first, rows in parallel, keys and everything that acts on rows last."""

from holdfast_mysql.restore.session import MysqlRestore, open_restore

__all__ = ["MysqlRestore", "open_restore"]
