"""A service on a small run, started as a person starts it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import openai

from qa_core.artifacts import RunStore
from tests.small_run import publish_index, publish_model

ROOT = Path(__file__).parents[2]


@dataclass
class Service:
    process: subprocess.Popen[str]
    url: str
    screen: str
    log: Path

    @property
    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, timeout=60)


RUN = "served"


def make_run(runs: Path, work: Path) -> None:
    """A run for :func:`running_service`; in ``work`` lie the model's folder, ``model``, and ``f16.gguf``."""
    store = RunStore.open(str(runs), RUN)
    publish_index(store)
    publish_model(store, work)


@contextmanager
def running_service(runs: Path, *overrides: str) -> Iterator[Service]:
    """The service of the run in ``runs``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = [f"run.storage={runs}", f"run.name={RUN}", f"serve.port={port}", "generation.max_tokens=24", *overrides]
    folder = tempfile.mkdtemp(prefix="r", dir="/tmp")  # Ray's sockets need a short path
    process = subprocess.Popen(
        [sys.executable, "-m", "serving", "--config", "tiny", *settings],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": folder},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        screen = read_screen(process)
        log = next((runs / RUN / "logs").glob("*-serve.log"))
        assert "Ctrl-C" in screen, f"{screen}\n{log.read_text(errors='replace')[-5000:]}"
        yield Service(process, f"http://127.0.0.1:{port}", screen, log)
    finally:
        process.terminate()
        process.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def read_screen(process: subprocess.Popen[str]) -> str:
    """What the service prints until it is up or has ended."""
    assert process.stdout is not None
    screen = ""
    for line in process.stdout:
        screen += line
        if "Ctrl-C" in line:
            break
    return screen
