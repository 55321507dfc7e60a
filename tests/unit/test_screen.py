from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
from pathlib import Path
from qa_core.errors import UserError
from qa_core.screen import screen

try:
    with screen(Path({log!r})) as out:
        print("chatter of a library")
        print("for the person", file=out)
        raise UserError("the disk is full", "Free some.")
except UserError as error:
    print("told:", error.problem, flush=True)
"""


def run(log: str) -> subprocess.CompletedProcess[str]:
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-c", PROGRAM.format(log=log)]
    return subprocess.run(command, env=buffered, capture_output=True, text=True, check=False)


def test_the_person_sees_their_lines_and_the_log_has_the_rest(tmp_path) -> None:
    done = run(str(tmp_path / "logs" / "run.log"))
    assert (done.returncode, done.stdout) == (0, "for the person\ntold: the disk is full\n")
    assert (tmp_path / "logs" / "run.log").read_text() == "chatter of a library\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/dev/full is Linux's")
def test_a_log_that_cannot_be_written_does_not_hide_the_error() -> None:
    done = run("/dev/full")
    assert done.returncode == 0
    assert "told: the disk is full" in done.stdout
