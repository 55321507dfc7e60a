"""The main job on this machine: seconds and peak memory of a first run, seconds of a second, and what kills change.

    python -m benchmarks.end_to_end [--config tiny] [--kill-each-stage] [section.key=value ...]

Peak memory is the largest sum of proportional set sizes (shared pages counted once) over the command and all its
children, Ray's processes included, sampled every half second. With ``--kill-each-stage`` another run of the same config
is killed with SIGKILL once in every stage and then finished; its content hashes must equal the first run's.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.peak_memory import PeakMemory
from jobs.stages import PIPELINE
from qa_core.artifacts import RunStore


def start(config: str, storage: str, overrides: list[str]) -> subprocess.Popen[str]:
    """`lectern run` in its own process group."""
    command = [sys.executable, "-m", "jobs", "run", "--config", config, f"run.storage={storage}", *overrides]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def finish(process: subprocess.Popen[str]) -> float:
    """Seconds until the command ends; raises when it fails."""
    started = time.monotonic()
    output, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"the run failed:\n{output}")
    return time.monotonic() - started


def kill_in_each_stage(config: str, storage: str, overrides: list[str], seed: int) -> list[str]:
    """Kill the run shortly after each stage begins; returns the stages that were really cut short."""
    pause = random.Random(seed)
    killed = []
    for stage in PIPELINE:
        process = start(config, storage, overrides)
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == f"{stage.name} ...":
                time.sleep(pause.uniform(0.2, 4.0))
                os.killpg(process.pid, signal.SIGKILL)
                killed.append(stage.name)
                break
        process.communicate()
    return killed


def content_hashes(storage: str, name: str) -> dict[str, str]:
    store = RunStore.open(storage, name)
    manifests = {output: store.artifact(output).manifest() for stage in PIPELINE for output in stage.outputs}
    return {output: manifest.content_hash for output, manifest in manifests.items() if manifest}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="tiny")
    parser.add_argument("--kill-each-stage", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_intermixed_args()
    figures: dict[str, object] = {"config": arguments.config, "cpus": os.cpu_count()}
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        process = start(arguments.config, first, arguments.overrides)
        memory = PeakMemory(process.pid)
        figures["first_run_s"] = round(finish(process), 1)
        figures["peak_gb"] = round(memory.stop() / 1e9, 2)
        figures["second_run_s"] = round(finish(start(arguments.config, first, arguments.overrides)), 1)
        name = next(path.name for path in Path(first).iterdir())
        hashes = content_hashes(first, name)
        if arguments.kill_each_stage:
            figures["killed_in"] = kill_in_each_stage(arguments.config, second, arguments.overrides, arguments.seed)
            finish(start(arguments.config, second, arguments.overrides))
            figures["same_bytes_after_kills"] = content_hashes(second, name) == hashes
        for artifact, content in hashes.items():
            print(f"{artifact:16} {content[:16]}")
    for key, value in figures.items():
        print(f"{key:24} {value}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
