from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from jobs.scratch import local_scratch, once, require_space
from qa_core.errors import UserError

# Writes half of a file (or a file of a folder) and then waits to be killed.
HALF = """
import sys, time
from pathlib import Path
from jobs.scratch import once

def write(out):
    if sys.argv[2] == "folder":
        out.mkdir()
        out = out / "first"
    with out.open("wb") as stream:
        stream.write(b"half")
        stream.flush()
        print("written", flush=True)
        time.sleep(60)

once(Path(sys.argv[1]), write)
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_was_being_written_when_the_process_was_killed_is_never_picked_up(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "model"
    process = subprocess.Popen([sys.executable, "-c", HALF, str(target), kind], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not target.exists()

    def write(out: Path) -> None:
        if kind == "folder":
            out.mkdir()  # fails where the half-made one is still there
            (out / "second").write_text("whole")
        else:
            out.write_text("whole")

    once(target, write)
    assert (target / "second" if kind == "folder" else target).read_text() == "whole"
    assert not (target / "first").exists()


def test_a_finished_target_is_not_written_again(tmp_path: Path) -> None:
    assert once(tmp_path / "a", lambda out: out.write_text("first") and None).read_text() == "first"
    assert once(tmp_path / "a", lambda out: pytest.fail("written twice")).read_text() == "first"


def test_two_writers_of_one_target_take_turns(tmp_path: Path) -> None:
    written = []

    def write(out: Path) -> None:
        written.append(out)
        time.sleep(0.2)
        out.write_text("whole")

    threads = [threading.Thread(target=once, args=(tmp_path / "a", write)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(written) == 1


def test_a_scratch_address_that_is_no_local_path_becomes_a_folder_of_its_own() -> None:
    with local_scratch("s3://bucket/scratch") as folder:
        (folder / "a").touch()
    assert not folder.exists()


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "made").write_bytes(bytes(1000))
    require_space(tmp_path, 1000)
    with pytest.raises(UserError, match=r"1000000000\.0 GB are needed"):
        require_space(tmp_path, 10**18 + 1000)


def test_a_disk_that_fills_up_leaves_nothing_that_is_picked_up(tmp_path: Path) -> None:
    program = """
import resource, sys
from pathlib import Path
from jobs.scratch import once
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
once(Path(sys.argv[1]), lambda out: out.write_bytes(bytes(2000)))
"""
    target = tmp_path / "model"
    result = subprocess.run([sys.executable, "-c", program, str(target)], capture_output=True, text=True, check=False)
    assert "File too large" in result.stderr
    assert not target.exists()
    assert once(target, lambda out: out.write_text("whole") and None).read_text() == "whole"
