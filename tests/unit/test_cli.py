"""What a person sees who makes a mistake: one line with a remedy, exit code 2, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def lectern(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "jobs", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **(env or {})},
    )  # fmt: skip


MISTAKES = {
    "no config": (["run"], "--config tiny"),
    "unknown config": (["run", "-c", "tinny"], "did you mean 'tiny'"),
    "unknown key": (["run", "-c", "tiny", "finetune.max_stepz=1"], "did you mean 'max_steps'"),
    "wrong type": (["run", "-c", "tiny", "finetune.max_steps=many"], "finetune.max_steps='many'"),
    "missing folder": (["run", "-c", "tiny", "chunk.papers=/nowhere/at/all"], "/nowhere/at/all"),
    "unknown command": (["rum"], "No such command"),
    "unknown option": (["run", "--confg", "tiny"], "No such option"),
    "ask before run": (["ask", "-c", "tiny", "Why?", "run.storage=/tmp/lectern-nowhere"], "lectern run"),
    "ask with a misspelt setting": (["ask", "-c", "tiny", "Why?", "generation.max_tokenz=1"], "'max_tokens'"),
    "ask with a section in capitals": (["ask", "-c", "tiny", "Why?", "Retrieval.top_k=3"], "did you mean"),
    "ask with settings alone": (["ask", "-c", "tiny", "generation.max_tokens=9"], "the question is empty"),
    "unknown storage": (["run", "-c", "tiny", "run.storage=nosuch://x"], "nosuch://x"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_a_line_with_the_remedy_and_exit_code_2(mistake: str) -> None:
    arguments, expected = MISTAKES[mistake]
    result = lectern(*arguments)
    assert result.returncode == 2, result.stderr
    assert expected in result.stderr
    assert "Traceback" not in result.stderr + result.stdout


@pytest.mark.parametrize("files", [{}, {"notes.txt.gz": b"\x1f\x8b"}])
def test_a_folder_without_markdown_is_refused_by_name(tmp_path: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    result = lectern("run", "-c", "tiny", f"chunk.papers={tmp_path}", f"run.storage={tmp_path}")
    assert result.returncode == 2
    assert str(tmp_path) in result.stderr


def test_a_dry_run_prints_every_stage_and_starts_nothing(tmp_path: Path) -> None:
    result = lectern("run", "-c", "qwen2.5-3b", "--dry-run", "chunk.papers=examples/papers", f"run.storage={tmp_path}")
    assert result.returncode == 0, result.stderr
    for stage in ("base-model", "chunk", "generate-qa", "index", "finetune", "convert", "eval"):
        assert stage in result.stdout
    assert "Nothing was started" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_no_color_and_pipes_get_no_escape_codes() -> None:
    result = lectern("run", "-c", "tinny", env={"NO_COLOR": "1"})
    assert "\x1b" not in result.stdout + result.stderr


def test_every_command_explains_itself_with_an_example() -> None:
    for command in ("run", "chunk", "generate-qa", "finetune", "tune", "ask", "serve", "submit"):
        assert "Example: lectern" in lectern(command, "--help").stdout
