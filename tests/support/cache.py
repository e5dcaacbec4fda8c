"""The cache of this run of the tests: none of what is tried goes into that of whoever runs them."""

import atexit
import os
import shutil
import tempfile


def _folder() -> str:
    """One for each process that runs tests, which their children share."""
    if "HOLDFAST_CACHE" in os.environ:
        return os.environ["HOLDFAST_CACHE"]
    folder = tempfile.mkdtemp(prefix="holdfast-cache-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["HOLDFAST_CACHE"] = folder
    return folder


CACHE = _folder()
