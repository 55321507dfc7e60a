"""A real browser without a window, driven over its DevTools protocol: enough to press keys and to look at the page."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_NAMED_KEYS = {"Enter": 13, "Escape": 27, "ArrowRight": 39, "ArrowLeft": 37}
_PATIENCE_S = 30.0


class Page:
    """One tab."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._sent = 0

    def open(self, url: str) -> None:
        self._call("Page.navigate", url=url)

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        result = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise AssertionError(result["exceptionDetails"]["exception"]["description"])
        return result["result"].get("value")

    def text(self, selector: str) -> str:
        return self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def press(self, key: str, *, ctrl: bool = False) -> None:
        event = {"key": key, "modifiers": 2 if ctrl else 0}
        event |= {"windowsVirtualKeyCode": _NAMED_KEYS[key]} if key in _NAMED_KEYS else {"text": key}
        event |= {"text": "\r"} if key == "Enter" and not ctrl else {}
        self._call("Input.dispatchKeyEvent", type="keyDown", **event)
        self._call("Input.dispatchKeyEvent", type="keyUp", **event)

    def type(self, text: str) -> None:
        self._call("Input.insertText", text=text)

    def wait(self, selector: str, expected: str) -> None:
        """Until the element reads ``expected``."""
        wait_until(lambda: self.text(selector) == expected, lambda: f"{selector} reads {self.text(selector)!r}")

    def _call(self, method: str, **params: Any) -> Any:
        self._sent += 1
        self._connection.send(json.dumps({"id": self._sent, "method": method, "params": params}))
        while (answer := json.loads(self._connection.recv(timeout=_PATIENCE_S))).get("id") != self._sent:
            continue  # an event
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']['message']}")
        return answer["result"]


@contextmanager
def browser(profile: Path) -> Iterator[Callable[[], Page]]:
    """A function that opens a tab; the browser ends with the block."""
    assert CHROMIUM is not None
    arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0"]
    process = subprocess.Popen(
        [CHROMIUM, *arguments, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    connections: list[ClientConnection] = []
    try:
        told = profile / "DevToolsActivePort"
        wait_until(lambda: told.exists() and told.read_text().count("\n") >= 1, lambda: "the browser did not start")
        port = told.read_text().splitlines()[0]

        def new_page() -> Page:
            tab = httpx.put(f"http://127.0.0.1:{port}/json/new?about:blank", timeout=_PATIENCE_S).json()
            connections.append(connect(tab["webSocketDebuggerUrl"], max_size=None))
            return Page(connections[-1])

        yield new_page
    finally:
        for connection in connections:
            connection.close()
        process.terminate()
        process.wait()


def wait_until(holds: Callable[[], bool], told: Callable[[], str]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(told())
        time.sleep(0.02)
