"""Chromium without a window, driven over its pipes: a page shown as a person would see it."""

import base64
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

AXE = Path(sys.executable).parent.parent / "axe/node_modules/axe-core/axe.min.js"
_PROGRAMS = ("chromium-headless-shell", "chromium")


class Browser:
    """A browser with one page, and what that page asked for and complained of since it was opened."""

    def __init__(self, requests: int, answers: int) -> None:
        self._requests, self._answers = requests, answers
        self._number, self._read, self._session = 0, b"", ""
        self.asked: list[str] = []
        self.complaints: list[str] = []

    def attach(self) -> None:
        """Make the page."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """Ask the browser for something, and return its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._requests, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def _next(self) -> Any:
        while b"\0" not in self._read:
            data = os.read(self._answers, 1 << 20)
            assert data, "the browser is gone"
            self._read += data
        message, _, self._read = self._read.partition(b"\0")
        return json.loads(message)

    def _note(self, event: Any) -> None:
        method, parameters = event["method"], event["params"]
        if method == "Network.requestWillBeSent":
            self.asked.append(parameters["request"]["url"])
        elif method in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
            self.complaints.append(json.dumps(parameters))
        elif method == "Page.javascriptDialogOpening":
            self.complaints.append(f"dialog: {parameters['message']}")
            raise AssertionError(self.complaints)

    def open(self, path: Path) -> None:
        """Show a file."""
        self.asked, self.complaints = [], []
        self.call("Page.navigate", url=path.as_uri())
        assert self.evaluate(
            "new Promise(done => document.readyState == 'complete' ? done(1) : onload = () => done(1))"
        )

    def view(self, *, width: int = 1100, scheme: str = "light", media: str = "screen") -> None:
        """Show the page in a window of a width, light or dark, or as on paper."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", media=media, features=[feature])

    def evaluate(self, script: str) -> Any:
        """The value of JavaScript in the page, which its policy about scripts does not hold for."""
        done = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def picture(self, path: Path) -> None:
        """Write the whole page as a PNG."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    def violations(self) -> list[str]:
        """What axe finds wrong with the page as it is shown."""
        if not self.evaluate("typeof axe == 'object'"):
            self.evaluate(AXE.read_text())
        violations = self.evaluate("axe.run().then(run => run.violations)")
        return [f"{each['id']}: {node['html'][:200]} {node['any']}" for each in violations for node in each["nodes"]]


@contextmanager
def running_browser(folder: Path) -> Iterator[Browser]:
    """A browser of its own profile in a folder, gone at the end."""
    if not AXE.exists():
        pytest.fail("axe-core is not installed: make .venv/.ready-axe", pytrace=False)
    paths = os.environ.get("PATH", "").split(":")
    program = next((f"{path}/{name}" for name in _PROGRAMS for path in paths if os.path.exists(f"{path}/{name}")), "")
    if not program:
        pytest.fail("Chromium is not installed: .ci/prepare test", pytrace=False)
    (from_us, requests), (answers, to_us) = os.pipe(), os.pipe()
    options = [
        "--headless",
        "--remote-debugging-pipe",
        f"--user-data-dir={folder}",
        "--disable-gpu",
        "--hide-scrollbars",
    ]
    options += ["--no-sandbox"] if os.geteuid() == 0 else []
    # The browser reads from 3 and writes to 4, which only a shell gives it for certain.
    command = ["bash", "-c", f'exec "$0" "$@" 3<&{from_us} 4>&{to_us}', program, *options]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, pass_fds=(from_us, to_us), stdout=log, stderr=log)
    os.close(from_us)
    os.close(to_us)
    try:
        browser = Browser(requests, answers)
        browser.attach()
        yield browser
    finally:
        os.close(requests)  # which ends it
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()
        os.close(answers)
