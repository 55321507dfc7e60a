"""The chunk stage on many files and on one very large file: peak memory, time and what is accounted for.

    python -m benchmarks.chunk_scale [--files 10000] [--megabytes 500]

Papers are written by this script from a fixed seed, without a base model: a byte-level tokenizer is trained on a few of
them. The stage runs as the command runs it, on a Ray of its own. Memory is sampled twice a second: the sum of
proportional set sizes (shared pages counted once) over the command and all of Ray's processes, and the largest resident
set of any one process.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.peak_memory import PeakMemory
from qa_core.artifacts import RunStore
from qa_core.training.tokenizer import train_tokenizer

WORDS = 4000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--megabytes", type=int, default=500)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_papers(root / "papers", arguments.files, arguments.megabytes)
        write_base(root)
        print(json.dumps({"files": arguments.files, "megabytes": arguments.megabytes, **measure(root)}))


def write_papers(folder: Path, files: int, megabytes: int) -> None:
    """``files`` papers of about 4 kB, and one of ``megabytes`` MB in 4 kB sections."""
    chance = random.Random(17)
    for number in range(files):
        path = folder / f"{number % 100:02}" / f"{number:05}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# Paper {number}\n\n{section(chance)}")
    if megabytes:
        with open(folder / "large.md", "w") as stream:
            stream.write("# A very large paper\n\n")
            while stream.tell() < megabytes * 1e6:
                stream.write("".join(section(chance) for _ in range(64)))


def section(chance: random.Random) -> str:
    sentences = (" ".join(f"word{chance.randrange(WORDS)}" for _ in range(12)) + "." for _ in range(40))
    rows = "\n".join(f"| {i} | {chance.random():.4f} |" for i in range(8))
    return f"## Section {chance.randrange(10**6)}\n\n{' '.join(sentences)}\n\n| a | b |\n|---|---|\n{rows}\n\n"


def write_base(root: Path) -> None:
    """A folder with as much of a base model as the chunk stage looks at."""
    (root / "model").mkdir()
    texts = [path.read_text() for path in sorted((root / "papers").glob("0?/0*.md"))[:50]]
    train_tokenizer(texts, 4096).save(str(root / "model" / "tokenizer.json"))
    (root / "model" / "config.json").write_text("{}")


def measure(root: Path) -> dict[str, float | int | bool]:
    settings = [f"run.storage={root}", "run.name=scale", f"chunk.papers={root}/papers"]
    settings += ["base_model.source=pretrained", f"base_model.name_or_path={root}/model"]
    command = [sys.executable, "-m", "jobs"]
    subprocess.run([*command, "base-model", *settings], check=True, stdout=subprocess.DEVNULL)
    started = time.monotonic()
    process = subprocess.Popen([*command, "chunk", *settings], stdout=sys.stderr)
    memory = PeakMemory(process.pid)
    code = process.wait()
    memory.stop()
    if code:
        raise SystemExit(code)
    manifest = RunStore.open(str(root), "scale").artifact("chunks").manifest()
    assert manifest is not None
    return {
        "command_s": round(time.monotonic() - started, 1),
        "stage_s": round(manifest.seconds, 1),
        "peak_gb_all_processes": round(memory.peak_bytes / 1e9, 2),
        "peak_gb_largest_process": round(memory.peak_process_bytes / 1e9, 2),
        "papers": manifest.metrics["papers"],
        "papers_with_chunks": manifest.metrics["papers_with_chunks"],
        "chunks": manifest.metrics["chunks"],
    }


if __name__ == "__main__":
    main()
