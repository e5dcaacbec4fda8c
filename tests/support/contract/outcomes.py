"""A plugin of pytest that runs of each suite only what its mutant should fail, and writes down what came of it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from support import contract


def pytest_configure(config: pytest.Config) -> None:
    """Begin to watch."""
    config.pluginmanager.register(_Watching(Path(os.environ["OUTCOMES"])))


class _Watching:
    def __init__(self, result: Path) -> None:
        self._result = result
        self._sentences: dict[str, str] = {}
        self._failed: dict[str, list[str]] = {}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        self._sentences = {item.cls.__name__: item.cls.sentence for item in items}
        assert len({item.cls for item in items}) == len(self._sentences), "two mutants have one name"
        items[:] = [
            item for item in items if item.cls.sentence in (contract.SOUND, *getattr(item.function, "sentences", ()))
        ]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            text = f"{report.nodeid} ({report.when})\n{report.longreprtext}"
            self._failed.setdefault(report.nodeid.split("::")[1], []).append(text)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        assert not report.failed, report.longreprtext

    def pytest_sessionfinish(self) -> None:
        self._result.write_text(json.dumps({"sentences": self._sentences, "failed": self._failed}))
