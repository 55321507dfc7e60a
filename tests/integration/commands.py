"""Commands as a shell would start them, on three tiny papers that give questions of all four types."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

TOPICS = {
    "quorum": ("A quorum", "replicas", "votes", "the leader commits an entry"),
    "ring": ("A hash ring", "servers", "points", "a key moves to the next server"),
    "cache": ("A paged cache", "blocks", "tokens", "the scheduler evicts a sequence"),
}


def paper(name: str) -> str:
    """A short paper whose sentences give questions of all four types."""
    subject, parts, units, effect = TOPICS[name]
    lower = subject[0].lower() + subject[1:]
    sections = [f"# {subject} in practice\n\n## Abstract\n\n{subject} is a structure that groups {parts} by {units}.\n"]
    for number in range(2, 8):
        sections.append(
            f"## Part {number}\n\n"
            f"{subject} of size {number} holds {number * 16} {units} in each of its {number} {parts}. "
            f"{subject} of size {number} needs {number - 1} rounds because every round halves the {parts} that wait. "
            f"Unlike a flat table, {lower} of size {number} spreads its {units} evenly over {number} {parts}. "
            f"If {number} {parts} fail at once, then {effect} after {number * 10} milliseconds. "
            f"The {name} protocol of version {number} sends {number * 3} messages for each of the {units}.\n"
        )
    return "\n".join(sections)


def small_settings(papers: Path, storage: Path) -> list[str]:
    """Overrides of the tiny config: the same path, fewer steps."""
    return [
        f"run.storage={storage}", f"chunk.papers={papers}", "chunk.max_tokens=96", "chunk.overlap_tokens=0",
        "base_model.source=scratch", "base_model.vocab_size=1024",
        "base_model.num_hidden_layers=2", "base_model.pretraining_steps=4",
        "generate_qa.min_rows=10", "generate_qa.splits.together_similarity=1.0",
        "finetune.max_steps=6", "finetune.eval_steps=2", "finetune.warmup_steps=1",
        "convert.calibration_rows=8", "convert.parity.tokenizer_strings=200", "convert.parity.max_mean_kld=1.0",
        "generation.max_tokens=16", "eval.compare=[base-4bit,tuned-16bit]",
        "eval.max_rows=6", "eval.bootstrap_samples=100",
    ]  # fmt: skip


def lectern(*arguments: str) -> subprocess.Popen[str]:
    """The command in its own process group, as a shell would start it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.Popen(
        [sys.executable, "-m", "jobs", *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str], timeout: float = 400) -> str:
    """Everything that a command printed; fails with it unless the command succeeded."""
    output, _ = process.communicate(timeout=timeout)
    assert process.returncode == 0, output
    return output
