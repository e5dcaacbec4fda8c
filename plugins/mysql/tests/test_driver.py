"""What Holdfast takes from inside PyMySQL: a release that changes it fails here, by name."""

import ast
import inspect
import re
from importlib.metadata import requires, version
from pathlib import Path

import pymysql
import pytest
from pymysql.connections import Connection
from pymysql.protocol import MysqlPacket

import holdfast_mysql
from holdfast_mysql.session import driver

# The attributes that `session/driver.py` uses of a connection and that PyMySQL does not document.
PRIVATE = {
    "_current_timeout",
    "_execute_command",
    "_force_close",
    "_next_seq_id",
    "_read_packet",
    "_read_timeout",
    "_rfile",
    "_secure",
    "_sock",
}
SIGNATURES = {
    Connection.connect: ["self", "sock"],
    Connection._force_close: ["self"],
    Connection.write_packet: ["self", "payload"],
    Connection._execute_command: ["self", "command", "sql"],
    Connection._read_packet: ["self", "packet_type"],
    MysqlPacket.get_all_data: ["self"],
    pymysql.err.raise_mysql_exception: ["data"],
}
SOURCES = Path(holdfast_mysql.__file__).parent


def private_names(path: Path) -> set[str]:
    """Attributes with one underscore that are used of something other than `self` and `cls`."""
    return {
        node.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and re.match(r"_[^_]", node.attr)
        and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    }


def test_one_module_alone_uses_what_the_driver_does_not_document() -> None:
    used = {path.relative_to(SOURCES).as_posix(): private_names(path) for path in SOURCES.rglob("*.py")}
    assert {name: names for name, names in used.items() if names} == {"session/driver.py": PRIVATE}


@pytest.mark.parametrize("name", sorted(PRIVATE))
def test_a_connection_of_the_driver_has_each_attribute_that_is_used(name: str) -> None:
    """By its source: some are set by `connect` alone."""
    assert re.search(rf"\bself\.{name}\b|\bdef {name}\(", inspect.getsource(Connection))


def test_a_connection_of_the_driver_that_needs_no_tls_may_be_given_it() -> None:
    connection = Connection(ssl_disabled=True, defer_connect=True)
    assert (connection.ssl, connection._ssl_required) == (False, False)
    assert "if self.ssl:" in inspect.getsource(Connection._request_authentication)
    assert "self.ctx.wrap_socket(" in inspect.getsource(Connection._request_authentication)


@pytest.mark.parametrize(
    ("function", "parameters"), SIGNATURES.items(), ids=lambda value: getattr(value, "__qualname__", "")
)
def test_functions_of_the_driver_take_what_they_are_given(function: object, parameters: list[str]) -> None:
    assert callable(function)
    assert list(inspect.signature(function).parameters) == parameters


def test_no_release_of_the_driver_is_allowed_that_has_not_been_looked_at() -> None:
    """After a look at a new series: raise the cap in pyproject.toml, and this."""
    wanted = next(line for line in requires("holdfast-mysql") or [] if line.lower().startswith("pymysql"))
    assert "<1.3" in wanted
    assert ">=1.2.1" in wanted
    assert version("pymysql").startswith("1.2.")
    assert "tests/test_driver.py" in (driver.__doc__ or "")
