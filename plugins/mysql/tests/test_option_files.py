"""Option files say to us what they say to the client programs: their own reader is asked."""

import logging
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import holdfast
from holdfast_mysql.location import locate
from holdfast_mysql.location.option_files import client_options, entries

_GROUPS = ("client", "client-server", "mysqld", "CLIENT", " client", "client]x")
_NAMES = st.sampled_from(["user", "password", "host", "pass", "ssl-ca", "ssl_mode", "skip-ssl", "port"])
_VALUES = st.text("ab#;'\"\\ =[]!stnx\t", max_size=12)
_SPACES = st.sampled_from(["", " ", "\t", "  "])
_OPTIONS = st.builds("{}{}{}={}{}".format, _SPACES, _NAMES, _SPACES, _SPACES, _VALUES)
_LINES = st.one_of(
    _OPTIONS, _OPTIONS, _NAMES,
    st.builds("{}[{}{}]{}".format, _SPACES, st.sampled_from(_GROUPS), _SPACES, _VALUES),
    st.builds("{}#{}".format, _SPACES, _VALUES),
    st.builds("!include{}{}".format, st.sampled_from([" ", "\t", "  "]), st.sampled_from(["no.cnf", "other.cnf"])),
)  # fmt: skip


def _asked(folder: Path) -> list[str] | None:
    """What the client programs read of `my.cnf` in the folder, None if they give up."""
    command = ["my_print_defaults", "--defaults-file=my.cnf", "client", "client-server"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    text = done.stdout.decode(errors="surrogateescape")
    return text.removesuffix("\n").split("\n") if done.returncode == 0 else None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_LINES, max_size=8))
def test_a_file_is_read_as_the_client_programs_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other.cnf").write_text("[client-server]\nuser=included\n")
    Path("my.cnf").write_text("\n".join(["[client]", *lines, ""]))
    read = [
        f"--{name}" + ("" if value is None else f"={value}")
        for group, name, value in entries(Path("my.cnf"))
        if group.lower() in ("client", "client-server")
    ]
    assert "\n".join(read) == "\n".join(_asked(tmp_path) or [])


@pytest.mark.parametrize("text", ["[client\nuser=a", "user=a", "[client]\n!includedir none\nuser=a"])
def test_where_the_client_programs_give_up_a_line_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.cnf").write_text(text)
    assert _asked(tmp_path) is None
    with pytest.raises(holdfast.UsageError, match=r"my\.cnf cannot be read, line"):
        list(entries(Path("my.cnf")))


def test_option_files_include_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("conf.d").mkdir()
    Path("conf.d/a.cnf").write_text("[client-mariadb]\nsocket=/a\\sb\nskip-ssl\n")
    Path("conf.d/b.txt").write_text("[client]\nsocket=/wrong\n")
    Path("loop.cnf").write_text("!include loop.cnf\n[client]\nuser=looped\n")
    text = "!includedir conf.d\n!include loop.cnf\n!include missing.cnf\n[client]\nunknown=1\n"
    Path(".my.cnf").write_text(text)
    environ = {"HOME": str(tmp_path)}
    options = client_options(environ)
    assert (options["socket"], options["ssl"], options["user"]) == ("/a b", "0", "looped")
    assert locate("mysql:///shop", environ=environ).socket == "/a b"
    assert locate("mysql:///shop", environ=environ).ssl_mode == "disabled"


def test_a_file_that_everybody_may_write_to_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / ".my.cnf"
    path.write_text("[client]\nuser=a\n")
    path.chmod(0o666)
    assert client_options({"HOME": str(tmp_path)}).get("user") is None
    assert "everybody may write" in caplog.text
    path.chmod(0o600)
    assert client_options({"HOME": str(tmp_path)})["user"] == "a"


def test_groups_with_a_suffix_and_names_cut_short_count(tmp_path: Path) -> None:
    (tmp_path / ".my.cnf").write_text(
        "[client]\nuser=a\npass=x\nsock=/s\npassword-like=no\ndisable-ssl\nskip-ssl=0\nloose-host=db\n"
        "[client_two]\nuser=b\n[client]\np=1\n"
    )
    options = client_options({"HOME": str(tmp_path)})
    assert options == {**options, "user": "a", "password": "x", "socket": "/s", "ssl": "1", "host": "db"}
    assert client_options({"HOME": str(tmp_path), "MYSQL_GROUP_SUFFIX": "_two"})["user"] == "b"


def test_a_password_without_a_value_is_none(tmp_path: Path) -> None:
    """The client programs ask for it."""
    (tmp_path / ".my.cnf").write_text("[client]\npassword=old\npassword\n")
    assert "password" not in client_options({"HOME": str(tmp_path)})


def _login_file(path: Path, lines: str, *, mode: int = 0o600) -> None:
    """As `mysql_config_editor` writes it."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    key = bytes(range(200, 220))
    folded = bytes(byte ^ (key[16 + index] if index < 4 else 0) for index, byte in enumerate(key[:16]))
    data = bytes(4) + key
    for line in lines.encode().splitlines(keepends=True):
        padding = 16 - len(line) % 16
        encryptor = Cipher(algorithms.AES(folded), modes.ECB()).encryptor()
        sealed = encryptor.update(line + bytes([padding]) * padding)
        data += struct.pack("<i", len(sealed)) + sealed
    path.write_bytes(data)
    path.chmod(mode)


def test_the_login_file_comes_last(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """For a URL of MySQL, as for its programs; a group of it is a login path."""
    (tmp_path / ".my.cnf").write_text("[client]\nuser=files\npassword=files\nport=1\n")
    file = tmp_path / ".mylogin.cnf"
    _login_file(file, '[client]\nuser = "login"\npassword = "pä#ss"\n[prod]\nuser = prod\nhost = 192.0.2.1\n')
    environ = {"HOME": str(tmp_path)}
    place = locate("mysql:///shop", environ=environ)
    assert (place.user, place.password, place.port) == ("login", "pä#ss", 1)
    place = locate("mysql:///shop?read_default_group=prod", environ=environ)
    assert (place.user, place.host) == ("prod", "192.0.2.1")
    assert locate("mysql://me@localhost/shop", environ=environ).user == "me"
    assert locate("mariadb:///shop", environ=environ).user == "files"
    file.chmod(0o640)
    with caplog.at_level(logging.WARNING):
        assert locate("mysql:///shop", environ=environ).user == "files"
    assert "not only its owner may read it" in caplog.text
    assert "pä#ss" not in caplog.text


@pytest.mark.parametrize("data", [b"short", bytes(24) + struct.pack("<i", 99) + b"cut", bytes(24) + b"\x10\0\0\0" * 5])
def test_a_login_file_that_is_none_is_an_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / ".mylogin.cnf").write_bytes(data)
    (tmp_path / ".mylogin.cnf").chmod(0o600)
    with pytest.raises(holdfast.UsageError, match=r"login file .* cannot be read"):
        locate("mysql:///shop", environ={"HOME": str(tmp_path)})
