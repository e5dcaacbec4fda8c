"""What a run takes from its surroundings where nobody said otherwise: plugins, store, codec, jobs, scratch space."""

import os
import tempfile
from collections.abc import Mapping
from functools import cache

from holdfast.api import Kind
from holdfast.errors import HoldfastError, UsageError, quote_name
from holdfast.plan import MAX_JOBS
from holdfast.plugins.registry import Registry

DEFAULT_STORE = "./backups"


@cache
def installed() -> Registry:
    """The registry of what is installed, looked up once a process."""
    return Registry()


def default_store(environ: Mapping[str, str] = os.environ) -> str:
    """`HOLDFAST_STORE`, else `./backups`."""
    return environ.get("HOLDFAST_STORE") or DEFAULT_STORE


def default_codec(registry: Registry, environ: Mapping[str, str] = os.environ) -> str:
    """`HOLDFAST_CODEC`, else the best that is installed.

    zstd level 1 costs half the CPU of level 3 and still stores less than gzip at its default of 6.
    """
    configured = environ.get("HOLDFAST_CODEC")
    if configured:
        return configured
    installed = registry.names(Kind.CODEC)
    return next((f"{name}:1" for name in ("zstd", "gzip") if name in installed), "none")


def default_jobs(environ: Mapping[str, str] = os.environ) -> int:
    """`HOLDFAST_JOBS`, else the usable CPUs but at most 4, for which the bounds of memory hold."""
    configured = environ.get("HOLDFAST_JOBS")
    if configured:
        # At most four digits are read: of a longer text int() may be slow, or refuse it.
        jobs = int(configured) if configured.isascii() and configured.isdigit() and len(configured) < 5 else 0
        if not 1 <= jobs <= MAX_JOBS:
            raise UsageError(
                f"HOLDFAST_JOBS is {quote_name(configured[:20])}, expected a whole number from 1 to {MAX_JOBS}"
            )
        return jobs
    return min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def scratch_root(environ: Mapping[str, str] = os.environ) -> str:
    """Where scratch folders are made: `TMPDIR`, else a place for large files; a `HoldfastError` if there is none.

    /tmp is often memory (tmpfs), and a spooled database in there could take all of it: /var/tmp is on a disk.
    """
    if environ.get("TMPDIR"):
        return environ["TMPDIR"]  # as it is: tempfile would quietly go elsewhere if it cannot be used
    if os.access("/var/tmp", os.W_OK | os.X_OK):  # noqa: S108
        return "/var/tmp"  # noqa: S108
    try:
        return tempfile.gettempdir()
    except FileNotFoundError as error:
        raise HoldfastError(
            "there is no folder for temporary files: none of /var/tmp, /tmp and the current folder can be written",
            hint="set TMPDIR to a folder that can be written",
        ) from error
