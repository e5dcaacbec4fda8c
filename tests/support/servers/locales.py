"""A locale of our own, so that tests of locales need none that is installed."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.servers.postgres import Programs, server_folder

# Amounts of three decimals, with point and comma in each other's places: no other locale reads what this one writes.
_MONEY = """
comment_char %
escape_char /
LC_MONETARY
int_curr_symbol "XTS "
currency_symbol "X"
mon_decimal_point ","
mon_thousands_sep "."
mon_grouping 3;3
positive_sign ""
negative_sign "-"
int_frac_digits 3
frac_digits 3
p_cs_precedes 1
p_sep_by_space 0
n_cs_precedes 1
n_sep_by_space 0
p_sign_posn 1
n_sign_posn 1
END LC_MONETARY
"""
NAME = "en_XT"


@contextlib.contextmanager
def foreign_money(run: Programs, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a locale for servers that are started in the block, which know C and this one alone."""
    localedef = shutil.which("localedef")
    if localedef is None:
        raise RuntimeError("there is no localedef to make a locale with: apt-get install libc-bin")
    with server_folder(run) as folder, monkeypatch.context() as patch:
        (folder / "source").write_text(_MONEY)
        command = [localedef, "--no-archive", "--force", "-i", str(folder / "source"), str(folder / NAME)]
        subprocess.run(command, check=False, capture_output=True)  # it complains of what else a locale may have
        if not Path(folder, NAME, "LC_MONETARY").exists():
            raise RuntimeError("localedef made no locale")
        patch.setenv("LOCPATH", run.path_in_root(folder))
        yield NAME
