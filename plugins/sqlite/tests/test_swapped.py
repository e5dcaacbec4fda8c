"""Whoever owns the folder of a target may put a link in the place of the temporary file: nothing is written there."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.api import HoldfastError, RestoreRequest, Step, Stream
from holdfast_sqlite.options import SqliteOptions
from holdfast_sqlite.restore import Restore, open_restore


class Image:
    """A stored image, while whose first or last byte is read somebody does something."""

    def __init__(self, data: bytes, act: "Swap", *, first: bool) -> None:
        self._data = data
        self._act = act
        self._first = first
        self.stream = Stream(name="database", suffix=".sqlite", size=len(data))

    def chunks(self) -> Iterator[bytes]:
        if self._first:
            self._act()
        yield self._data
        if not self._first:
            self._act()


class Swap:
    """Puts a link to a victim in the place of the temporary file, in its folder."""

    def __init__(self, folder: Path, victim: Path) -> None:
        self._folder = folder
        self._victim = victim

    def __call__(self) -> None:
        (temporary,) = self._folder.glob(".holdfast-*")
        temporary.rename(self._folder / "kept")
        temporary.symlink_to(self._victim)


@pytest.mark.parametrize("moment", ["before", "after", "commit"])
@pytest.mark.parametrize("exists", [True, False])
def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(moment: str, exists: bool, tmp_path: Path) -> None:
    image, folder, victim, scratch = (tmp_path / name for name in ("app.db", "folder", "victim", "scratch"))
    for path in (folder, scratch):
        path.mkdir()
    with closing(sqlite3.connect(image)) as connection:
        connection.execute("CREATE TABLE t(x)")
    data = image.read_bytes()
    if exists:
        (folder / "app.db").write_bytes(data)
        os.chmod(folder / "app.db", 0o644)
    victim.write_text("secret")
    victim.chmod(0o600)
    swap = Swap(folder, victim)

    def restore(session: Restore) -> None:
        act = swap if moment != "commit" else (lambda: None)
        session.load(Step(stream="database"), Image(data, act, first=moment == "before"))  # type: ignore[arg-type]
        if moment == "commit":
            swap()
        session.commit()

    request = RestoreRequest(
        url=f"sqlite:///{folder}/app.db", scratch=scratch, streams=(Stream(name="database", suffix=".sqlite"),),
        replace=True, check=False, options=SqliteOptions(),
    )  # fmt: skip
    with (
        pytest.raises(HoldfastError, match=r"was removed or replaced|is a symbolic link"),
        open_restore(request) as session,
    ):
        restore(session)
    assert victim.read_text() == "secret"
    assert victim.stat().st_mode & 0o777 == 0o600
    assert (folder / "app.db").exists() == exists
    assert not list(folder.glob(".holdfast-*"))
