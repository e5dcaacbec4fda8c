"""Where a database is: from a URL, the environment and option files to a server, an account and a database."""

from holdfast_mysql.location.database_url import Location, locate

__all__ = ["Location", "locate"]
