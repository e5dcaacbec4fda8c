"""The table of contents of pg_dump's archives."""

from pathlib import Path

import pytest
from support.servers.postgres import PostgresServer

import holdfast
from holdfast_postgres.formats import archive
from holdfast_postgres.selection import restore_scope
from holdfast_postgres.selection.patterns import Selection


def test_the_table_of_contents_is_read_exactly(server: PostgresServer, odd: str, tmp_path: Path) -> None:
    """Names with line breaks and quotes; every format; each entry that pg_restore lists is there."""
    where = ("-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres")
    contents = {}
    for kind, flag in (("custom", "c"), ("tar", "t"), ("directory", "d")):
        path = server.folder / f"{odd}.{kind}"
        server.run.output("pg_dump", *where, f"-F{flag}", "-f", str(path), odd)
        entries = archive.read_entries(path)
        listing = server.run.output("pg_restore", "--list", "--create", str(path))
        listed = {int(line.partition(";")[0]) for line in listing.splitlines() if line[:1].isdigit()}
        assert listed == {entry.id for entry in entries if entry.kind not in ("ENCODING", "STDSTRINGS", "SEARCHPATH")}
        contents[kind] = [(entry.kind, entry.schema, entry.tag, entry.oid) for entry in entries]
    assert contents["custom"] == contents["tar"] == contents["directory"]
    tags = {tag for _, _, tag, _ in contents["custom"]}
    assert "table\nwith 'line break' } ` ü --x" in tags
    scope = restore_scope.find_scope(entries, Selection(select=("app.totals_of_totals",)), {})
    assert ("app", "node") in scope.relations  # a view's rows need the table below it


@pytest.mark.parametrize("cut", [0, 3, 20, 200, 2000])
def test_an_archive_that_is_cut_or_none_is_an_integrity_error(
    server: PostgresServer, odd: str, tmp_path: Path, cut: int
) -> None:
    path = server.folder / f"{odd}.whole"
    server.run.output(
        "pg_dump", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-Fc", "-f", str(path), odd
    )
    broken = tmp_path / "broken"
    broken.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(holdfast.IntegrityError):
        archive.read_entries(broken)
