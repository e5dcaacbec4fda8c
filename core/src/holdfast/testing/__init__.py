"""What plugin authors test with: suites that state the contracts of `holdfast.api`, to be inherited.

A distribution's own tests subclass a suite and give it what it tests, as a fixture or as methods::

    from holdfast.testing import CodecSuite

    class TestLz4(CodecSuite):
        spec = "lz4"

`MemoryEngine` and `MemoryStorage` are there for whoever tests a part against something that is small and real.

The suites run under pytest, which `pip install holdfast[testing]` brings. Holdfast's own plugins pass the same suites.
"""

import pkgutil

import pytest

# The suites are no test modules to pytest: their assertions would fail without saying what was found. The package by
# itself cannot be named, since it is imported already.
pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)))

from holdfast.testing.checksum import ChecksumSuite  # noqa: E402
from holdfast.testing.codec import CodecSuite  # noqa: E402
from holdfast.testing.engine import EngineSuite  # noqa: E402
from holdfast.testing.memory import MemoryEngine, MemoryPlugin, MemoryStorage, memory_registry  # noqa: E402
from holdfast.testing.observer import ObserverSuite  # noqa: E402
from holdfast.testing.storage import StorageSuite  # noqa: E402
from holdfast.testing.wrapper import WrapperSuite  # noqa: E402

__all__ = [
    "ChecksumSuite",
    "CodecSuite",
    "EngineSuite",
    "MemoryEngine",
    "MemoryPlugin",
    "MemoryStorage",
    "ObserverSuite",
    "StorageSuite",
    "WrapperSuite",
    "memory_registry",
]
