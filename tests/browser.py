"""A real browser without a window, driven over its DevTools protocol: enough to press keys and to look at the page."""

from __future__ import annotations

import base64
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
_NAMED_KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowRight": 39, "ArrowLeft": 37}
_PATIENCE_S = 30.0


class Page:
    """One tab."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._sent = 0
        self.errors: list[str] = []
        """What the page threw or complained of so far."""
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")

    def open(self, url: str) -> None:
        self._call("Page.navigate", url=url)

    def resize(self, width: int, height: int, *, phone: bool = False, dark: bool = False) -> None:
        """Show it in another window: its size in CSS pixels, a touch device or none, and the colours asked for."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self._call("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])

    def click(self, selector: str) -> None:
        """With the mouse, in the middle of the element, whatever lies over it."""
        self.run(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})")
        box = self.run(f"(({{x, y, width, height}}) => ({{x: x + width / 2, y: y + height / 2}}))"
                       f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())")  # fmt: skip
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **box)

    def screenshot(self, file: Path) -> None:
        file.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"]))

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
            self._note(answer)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def _note(self, event: dict[str, Any]) -> None:
        if event["method"] == "Runtime.exceptionThrown":
            self.errors.append(event["params"]["exceptionDetails"]["text"])
        elif event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            self.errors.append(event["params"]["entry"]["text"])


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
