"""``lectern generate-qa`` with an endpoint teacher, killed and resumed, or with an endpoint that fails."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from benchmarks.stub_process import Stub
from qa_core.artifacts import RunStore

KILLS = 5
BATCH = 64
"""Requests in flight: what a kill may cost."""
_FAILURE_OF_REASON = {
    "connection_lost": "cut_stream", "empty_reply": "empty", "rate_limited": "rate_limited",
    "server_error": "server_error", "timeout": "timeout",
}  # fmt: skip


def measure_kills(seed: int) -> dict[str, Any]:
    """One run that nobody kills, and one that is killed five times, on the same chunks and the same endpoint."""
    with tempfile.TemporaryDirectory() as folder, Stub("--seed", str(seed), "--median", "1.5") as stub:
        bench = _Bench(Path(folder), stub)
        bench.prepare("whole")
        shutil.copytree(bench.root / "whole", bench.root / "killed")
        bench.finish("whole")
        whole, needed = bench.rows("whole"), len(stub.stats()["calls"])
        stub.reset()
        repeated = _kill_and_resume(bench, needed, random.Random(seed))
        killed = bench.rows("killed")
        before, after = (table["qa_id"].to_pylist() for table in (whole, killed))
        return {
            "requests_of_the_stage": needed,
            "kills": KILLS,
            "rows": len(before),
            "rows_lost": len(set(before) - set(after)),
            "rows_doubled": len(after) - len(set(after)),
            "rows_other": len(set(after) - set(before)),
            "same_table": killed.equals(whole),
            "requests_repeated": repeated,
            "batch": BATCH,
        }


def _kill_and_resume(bench: _Bench, needed: int, chance: random.Random) -> list[int]:
    """Kill four times while requests are sent and once after the last; how many each kill made the next run repeat."""
    points = [*sorted(chance.sample(range(1, needed), KILLS - 1)), needed]
    repeated = []
    for point in points:
        process = bench.start("killed")
        while process.poll() is None and len(bench.asked()) < point:
            time.sleep(0.05)
        time.sleep(chance.uniform(0.0, 3.0))
        if process.poll() is not None:
            raise SystemExit(f"the run ended before it was killed at {point} requests:\n{bench.output('killed')}")
        process.kill()  # the driver alone: Ray takes its workers down some three seconds later
        process.wait()
        repeated.append(bench.asked().total() - len(bench.asked()))
    bench.finish("killed")
    repeated.append(bench.asked().total() - len(bench.asked()))
    print(f"killed after {points} requests; repeated so far {repeated}")
    return [later - earlier for earlier, later in itertools.pairwise(repeated)]


def measure_failures(seed: int) -> dict[str, Any]:
    """A run to its end at an endpoint of which 30% of the calls fail."""
    arguments = ("--seed", str(seed), "--median", "0.5", "--failures", "0.3", "--hang", "30")
    with tempfile.TemporaryDirectory() as folder, Stub(*arguments) as stub:
        bench = _Bench(Path(folder), stub, timeout_s=5.0, max_retries=8, max_backoff_s=5.0)
        bench.prepare("failing")
        bench.finish("failing")
        stats = stub.stats()
        made, told = Counter(stats["failures"]), _told(bench.root / "failing" / ".replies")
        print(f"made {dict(sorted(made.items()))}\ntold {dict(sorted(told.items()))}")
        return {
            "calls": len(stats["calls"]),
            "calls_failed": made.total(),
            "failures_unaccounted": ((made - told) + (told - made)).total(),
            "rows_despite_failures": bench.rows("failing").num_rows,
        }


def _told(folder: Path) -> Counter[str]:
    """Failures by kind, from every reply in the log: failed tries, errors, and texts of no use."""
    told: Counter[str] = Counter()
    for path in folder.glob("*.jsonl"):
        for line in path.read_text().splitlines():
            reply = json.loads(line)
            reasons = [said.partition(":")[0] for said in [*reply["failed_tries"], reply["error"]] if said]
            told.update(_FAILURE_OF_REASON.get(reason, reason) for reason in reasons)
            if not reply["error"]:
                told.update(_bad_content(reply["text"]))
    return told


def _bad_content(text: str) -> list[str]:
    try:
        return [] if "pairs" in json.loads(text) else ["wrong_schema"]
    except ValueError:
        return ["invalid_json"]


class _Bench:
    """Runs of the command below ``root`` that ask ``stub``."""

    def __init__(self, root: Path, stub: Stub, **compute: Any) -> None:
        self.root, self._stub = root, stub
        teacher = {"engine": "openai", "model": "stub-chat", "compute": {"base_url": f"{stub.url}/v1", **compute}}
        (root / "stub.yaml").write_text(yaml.safe_dump({"generate_qa": {"teacher": teacher}}))

    def prepare(self, name: str) -> None:
        """Everything before the stage."""
        for stage in ("base-model", "chunk", "index"):
            self._wait(name, self._start(stage, name))

    def start(self, name: str) -> subprocess.Popen[bytes]:
        return self._start("generate-qa", name)

    def finish(self, name: str) -> None:
        self._wait(name, self.start(name))

    def output(self, name: str) -> str:
        """What the last command of the run printed."""
        return self._printed(name).read_text()

    def asked(self) -> Counter[str]:
        """How often each request was sent."""
        return Counter(call["key"] for call in self._stub.stats()["calls"])

    def rows(self, name: str) -> pa.Table:
        """What the stage wrote."""
        return RunStore.open(str(self.root), name).artifact("qa").read_table()

    def _start(self, stage: str, name: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "jobs", stage, "--config", "tiny", "--config", str(self.root / "stub.yaml")]
        settings = [f"run.storage={self.root}", f"run.name={name}"]
        # A file: Ray's processes outlive a killed driver for a moment, and would hold a pipe open.
        with open(self._printed(name), "wb") as output:
            return subprocess.Popen([*command, *settings], stdout=output, stderr=subprocess.STDOUT)

    def _wait(self, name: str, process: subprocess.Popen[bytes]) -> None:
        if process.wait():
            raise SystemExit(f"{process.args} failed:\n{self.output(name)}")

    def _printed(self, name: str) -> Path:
        return self.root / f"{name}.txt"
