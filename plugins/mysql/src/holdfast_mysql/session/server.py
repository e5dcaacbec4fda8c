"""Which server this is, and what follows from that."""

import re
from dataclasses import dataclass, replace

# Not a plain VERSION(), which proxies answer themselves.
VERSION_QUERY = "SELECT CONCAT(VERSION(), ''), 0 /*M!100000 + 1 */"
# As MariaDB numbers its series in comments.
SERIES = (
    *range(100100, 101200, 100),
    *range(110000, 110900, 100),
    *range(120000, 120400, 100),
)
_NUMBERS = re.compile(r"(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server's kind and version."""

    mariadb: bool
    version: tuple[int, int, int]
    text: str

    @classmethod
    def of(cls, text: str) -> "Server":
        """Read what VERSION() says or a greeting: `10.11.19-MariaDB-0+deb12u1`, `5.5.5-10.11.6-MariaDB`, `9.7.0`."""
        # Before 11 MariaDB put 5.5.5- in front of its version, for replicas that knew no two digits.
        numbers = _NUMBERS.search(text.removeprefix("5.5.5-"))
        version = tuple(int(part) for part in numbers.groups()) if numbers else (0, 0, 0)
        return cls(mariadb="mariadb" in text.lower(), version=(version[0], version[1], version[2]), text=text)

    @classmethod
    def renamed(cls, text: str, number: int) -> "Server":
        """A server whose `text` says another product: MariaDB of the series `number`, or 0 for MySQL."""
        if not number:
            return replace(cls.of(text), mariadb=False, text=text.replace("MariaDB", "MySQL"))
        return cls.of(f"{number // 10000}.{number // 100 % 100}.0-MariaDB ({text})")

    @property
    def name(self) -> str:
        """The product and its version, for people."""
        return f"{'MariaDB' if self.mariadb else 'MySQL'} {'.'.join(map(str, self.version))}"

    @property
    def series(self) -> tuple[bool, tuple[int, ...]]:
        """The product and the numbers by which its versions differ in what they hold and how they write it."""
        return self.mariadb, self.version[:2]

    def mysql_since(self, *version: int) -> bool:
        """Whether this is MySQL, of that version or newer."""
        return not self.mariadb and self.version >= version

    def mariadb_since(self, *version: int) -> bool:
        """Whether this is MariaDB, of that version or newer."""
        return self.mariadb and self.version >= version

    @property
    def position_query(self) -> str:
        """The statement that tells the position in the binary log."""
        return "SHOW BINARY LOG STATUS" if self.mysql_since(8, 2) else "SHOW MASTER STATUS"
