"""Which databases a server holds, for backups of all of them."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from holdfast.api import DatabaseURL, Engine
from holdfast.error_boundary import translate_errors
from holdfast.errors import NotFoundError
from holdfast.plugins.registry import Registry
from holdfast.setup import complete
from holdfast.url import redact


def databases(
    url: str,
    *,
    registry: Registry,
    select: Sequence[str] = (),
    exclude: Sequence[str] = (),
    engine: Engine | None = None,
) -> list[str]:
    """The URLs of every database of the server at `url` whose name fits; templates and system databases are none.

    `select` and `exclude` are shell patterns of names; a server on which nothing fits is a `NotFoundError`. It tells
    watchers nothing: whoever lists for a backup does.
    """
    with translate_errors(f"cannot list the databases of {redact(url)}", url):
        lister = complete(engine) if engine else registry.engine(DatabaseURL.parse(url).scheme)
        urls = list(lister.databases(url))
    chosen = [database for database in urls if _fits(name_of(database), select, exclude)]
    if not chosen:
        why = f", of {len(urls)} none fits" if urls else ""
        raise NotFoundError(f"no database to back up on {redact(url)}{why}")
    return chosen


def name_of(url: str) -> str:
    """The name of the database that a URL names."""
    return DatabaseURL.parse(url).path.removeprefix("/")


def _fits(name: str, select: Sequence[str], exclude: Sequence[str]) -> bool:
    wanted = not select or any(fnmatchcase(name, pattern) for pattern in select)
    return wanted and not any(fnmatchcase(name, pattern) for pattern in exclude)
