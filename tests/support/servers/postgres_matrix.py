"""Other versions of PostgreSQL, where `.ci/matrix/postgres` has put them: 16 from a wheel, 17 and 18 in chroots."""

import os
from pathlib import Path

from support.servers.postgres import Programs, find_programs

PLACE = Path(os.environ.get("HOLDFAST_MATRIX", "/var/tmp/holdfast-matrix"))
VERSION = "HOLDFAST_TEST_PG"


def matrix_programs(version: str) -> Programs:
    """The server programs of a version; a missing one is an error that says how to get it."""
    if version == "15":
        return find_programs()
    wheel, root = PLACE / "16" / "pgserver" / "pginstall" / "bin", PLACE / version
    if version == "16" and wheel.is_dir():
        return Programs(str(wheel))
    folder = f"/usr/lib/postgresql/{version}/bin"
    if not (root / folder.lstrip("/") / "postgres").exists():
        raise RuntimeError(f"there is no PostgreSQL {version} in {PLACE}: `make test-matrix` unpacks it")

    def path_in_root(name: str, arguments: list[str]) -> list[str]:
        # Files of a server in a chroot have other paths path_in_root than outside.
        seen = [argument.replace(str(root), "") for argument in arguments]
        return ["chroot", "--userspec=postgres:postgres", str(root), f"{folder}/{name}", *seen]

    return Programs(folder, wrap=path_in_root, root=root)


def client_folder(version: str) -> Path:
    """Where the client programs of a version can be run from outside of its chroot."""
    return PLACE / "clients" / version
