from __future__ import annotations

import subprocess
import sys

import pytest

ASK = "import os; from qa_core.generation.llama import library; library(); print(os.environ.get('GOMP_SPINCOUNT'))"


@pytest.mark.parametrize(("niceness", "spins"), [(0, "None"), (5, "0")])
def test_threads_of_a_process_that_gives_way_wait_asleep(niceness: int, spins: str) -> None:
    command = ["env", "-u", "GOMP_SPINCOUNT", "nice", "-n", str(niceness), sys.executable, "-c", ASK]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1] == spins
