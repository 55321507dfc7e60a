"""The law of the house: who may import whom, and what no command may pay for before it needs it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FORBIDDEN = {
    "qa_core": {"ray", "fastapi", "jobs", "serving"},
    "jobs": {"serving"},
    "serving": {"jobs", "ray.data", "ray.train", "ray.tune"},
}
HEAVY = ("torch", "vllm", "faiss", "llama_cpp", "bitsandbytes", "deepspeed", "sentence_transformers", "transformers")


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported_names(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@pytest.mark.parametrize("floor", sorted(FORBIDDEN))
def test_a_floor_never_imports_what_stands_above_or_beside_it(floor: str) -> None:
    broken = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(floor)
        for name in imported_names(path)
        for law in FORBIDDEN[floor]
        if name == law or name.startswith(f"{law}.")
    ]
    assert broken == []


def test_vllm_is_never_imported_by_our_code() -> None:
    broken = [
        str(path)
        for floor in FORBIDDEN
        for path in modules(floor)
        if any(name.split(".")[0] == "vllm" for name in imported_names(path))
    ]
    assert broken == []


def test_commands_configs_and_the_service_import_without_any_heavy_library() -> None:
    names = ["qa_core.config", "qa_core.config_loader", "serving.app"]
    names += [dotted(path) for path in modules("jobs") if path.name != "__main__.py"]
    program = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        f"    loaded = [heavy for heavy in {HEAVY!r} if heavy in sys.modules]\n"
        "    assert not loaded, f'{name} loads {loaded}'\n"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_no_module_of_the_house_is_longer_than_three_hundred_lines() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for floor in FORBIDDEN
        for path in modules(floor)
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 300
    }
    assert long == {}
