"""Every test of the core leaves nothing behind: no thread, no child, no scratch file."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from support.alive import children, our_threads
from support.installing import install  # noqa: F401 (a fixture)

settings.register_profile("core", deadline=None, max_examples=60)  # a busy machine is no failure
settings.load_profile("core")


@pytest.fixture(autouse=True)
def logger() -> Iterator[logging.Logger]:
    """The logger of the package, as it was before the command line set it up."""
    logger = logging.getLogger("holdfast")
    before = list(logger.handlers), logger.level, logger.propagate
    yield logger
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.fixture(autouse=True)
def scratch(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where scratch folders are made; at the end of each test it is empty, and no thread or child is left."""
    folder = tmp_path_factory.mktemp("scratch")
    for variable in ("HOLDFAST_STORE", "HOLDFAST_CODEC", "HOLDFAST_JOBS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    known = children()
    yield folder
    assert os.listdir(folder) == []
    for thread in our_threads():
        thread.join(2)  # a daemon whose event was just set needs a moment
    assert our_threads() == set()
    assert children() <= known
