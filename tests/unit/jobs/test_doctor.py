from __future__ import annotations

import io
import socket
from pathlib import Path

import pytest
from rich.console import Console

from jobs.doctor import run_doctor
from jobs.machine import Probe, available_memory, cpus, existing_parent
from jobs.model_reachability import locate_model
from qa_core.config_loader import load_config
from qa_core.errors import UserError

PAPERS = Path(__file__).resolve().parents[3] / "examples" / "papers"


def report(*overrides: str) -> tuple[int, str]:
    console = Console(file=io.StringIO(), width=500)
    code = run_doctor(load_config(["tiny"], overrides), console)
    return code, console.file.getvalue()


def test_a_machine_that_can_run_the_config_gets_a_clean_bill(tmp_path):
    code, text = report(f"chunk.papers={PAPERS}", f"run.storage={tmp_path}", "serve.port=18765")

    assert code == 0, text
    assert "Nothing would stop a run here." in text
    assert not any(tmp_path.iterdir()), "an examination leaves nothing behind"


def test_every_obstacle_is_named_with_its_remedy_and_the_exit_code_is_1(tmp_path):
    (tmp_path / "file").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, text = report(
            f"chunk.papers={tmp_path}",
            f"run.storage={tmp_path}/file/below",
            f"serve.port={taken.getsockname()[1]}",
            "finetune.compute.use_gpu=true",
            "chunk.compute.num_workers=100000",
        )
    problems = {line.split()[1] for line in text.splitlines() if line.startswith("problem")}
    warnings = {line.split()[1] for line in text.splitlines() if line.startswith("warning")}

    assert code == 1
    assert {"CPUs", "papers", "storage"} <= problems
    assert "port" in warnings
    assert "chunk.papers=" in text
    assert "run.storage=" in text
    assert "serve.port=" in text


def test_a_library_that_kills_its_process_is_a_finding_not_a_crash():
    assert Probe("import os, signal; os.kill(os.getpid(), signal.SIGILL)").result() == ({}, "killed by SIGILL")
    assert Probe("import no_such_library").result() == ({}, "ModuleNotFoundError: No module named 'no_such_library'")
    assert Probe("print('noise'); print('{\"version\": \"1\"}')").result() == ({"version": "1"}, "")


def test_a_model_folder_needs_a_config_json(tmp_path):
    with pytest.raises(UserError, match=r"config\.json"):
        locate_model(str(tmp_path), None, "base_model.name_or_path")
    (tmp_path / "config.json").write_text("{}")

    assert "local folder" in locate_model(str(tmp_path), None, "base_model.name_or_path")


def test_a_model_in_a_package_that_is_not_installed_says_what_to_install():
    with pytest.raises(UserError, match="pip install no-such-model"):
        locate_model("package:no_such_model/model", None, "index.embedder.name_or_path")


def test_a_name_that_no_hub_takes_is_told_as_such():
    with pytest.raises(UserError, match="neither a folder nor a hub name"):
        locate_model("not/a/model name", None, "base_model.name_or_path")


def test_the_machine_has_something(tmp_path):
    assert cpus() > 0
    assert available_memory() > 0
    assert existing_parent(tmp_path / "a" / "b") == tmp_path
