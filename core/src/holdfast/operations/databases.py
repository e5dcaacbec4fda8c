"""Which databases a server or folder holds, for backups of all of them."""

import logging
from collections.abc import Sequence
from fnmatch import fnmatchcase

from holdfast.api import Databases, DatabaseURL, Engine
from holdfast.error_boundary import translate_errors
from holdfast.errors import NotFoundError
from holdfast.plugins.registry import Registry
from holdfast.setup import complete
from holdfast.url import redact

log = logging.getLogger("holdfast.databases")


def databases(
    url: str,
    *,
    registry: Registry,
    select: Sequence[str] = (),
    exclude: Sequence[str] = (),
    engine: Engine | None = None,
) -> list[str]:
    """The URLs of every database at `url` whose name fits; what else there is to say of them goes to the log.

    It tells watchers nothing: whoever lists for a backup does.
    """
    listing = find(url, registry=registry, select=select, exclude=exclude, engine=engine)
    for warning in listing.warnings:
        log.warning("%s", warning)
    return list(listing)


def find(
    url: str,
    *,
    registry: Registry,
    select: Sequence[str] = (),
    exclude: Sequence[str] = (),
    engine: Engine | None = None,
) -> Databases:
    """The databases at `url` whose name fits; templates and system databases of a server are none.

    `select` and `exclude` are shell patterns of names; a server or folder in which nothing fits is a `NotFoundError`.
    """
    with translate_errors(f"cannot list the databases of {redact(url)}", url):
        lister = complete(engine) if engine else registry.engine(DatabaseURL.parse(url).scheme)
        listed = lister.databases(url)
    listing = listed if isinstance(listed, Databases) else Databases(listed)
    names = listing.names or tuple(map(name_of, listing))
    chosen = [database for database, name in zip(listing, names, strict=True) if _fits(name, select, exclude)]
    if not chosen:
        why = f", of {len(listing)} none fits" if listing else ""
        raise NotFoundError(
            f"no database to back up at {redact(url)}{why}", hint="; ".join((*listing.warnings, *listing.notes)) or None
        )
    return Databases(chosen, warnings=listing.warnings, notes=listing.notes)


def name_of(url: str) -> str:
    """The name of the database that a URL names."""
    return DatabaseURL.parse(url).path.removeprefix("/")


def _fits(name: str, select: Sequence[str], exclude: Sequence[str]) -> bool:
    wanted = not select or any(fnmatchcase(name, pattern) for pattern in select)
    return wanted and not any(fnmatchcase(name, pattern) for pattern in exclude)
