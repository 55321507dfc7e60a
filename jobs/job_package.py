"""What a submitted job takes along: its arguments as the cluster must read them, and the files it needs.

On the cluster the job starts in a *copy* of the project that Ray deletes later. So config files travel with the job,
and every local path in the config is either inside that copy, or made absolute, or refused.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from qa_core.config import LecternConfig
from qa_core.config_loader import load_config, shipped_configs
from qa_core.errors import UserError
from qa_core.packaged import is_packaged

PROJECT = Path(__file__).resolve().parents[1]
RUNTIME_ENV = Path("cluster") / "runtime_env.yaml"
CARRIED = "submitted"
"""Folder of the job's working directory that holds the config files given by path."""

_OVERRIDE = re.compile(r"[a-z_]\w*(\.\w+)+=", re.ASCII)
_INPUTS = ("chunk.papers", "base_model.name_or_path", "index.embedder.name_or_path")
"""Settings that may name a local folder to read."""


@dataclass(frozen=True)
class JobPackage:
    """One job, ready to send."""

    argv: list[str]
    """A ``lectern`` command and its arguments, as the job reads them."""
    runtime_env: dict[str, Any]
    storage: str
    """Where the artifacts will be."""


@contextmanager
def packed(argv: Sequence[str], *, same_machine: bool, project: Path = PROJECT) -> Iterator[JobPackage]:
    """``argv`` as a job; its files are only there inside the ``with`` block. Raises :class:`UserError`."""
    _check_command(argv)
    runtime_env = _runtime_env(project)
    arguments, carried = _carry_configs(argv)
    names = [value for _, value in _config_options(argv)]
    config = load_config(names, [argument for argument in argv if _OVERRIDE.match(argument)])
    shipped = _Shipped(project, tuple(runtime_env.get("excludes", ())))
    placed = [*_placed_inputs(config, shipped, same_machine), *_placed_storage(config, same_machine)]
    storage = str(placed[-1][1]) if placed and placed[-1][0] == "run.storage" else config.run.storage
    with tempfile.TemporaryDirectory(prefix="lectern-job-") as folder:
        _lay_out(Path(folder), shipped, carried)
        yield JobPackage(
            argv=[*arguments, *(_override(key, value) for key, value in placed)],
            runtime_env={**runtime_env, "working_dir": folder},
            storage=storage,
        )


def _check_command(argv: Sequence[str]) -> None:
    if not argv:
        raise UserError("no command to submit", "Example: lectern submit run --config tiny")
    if argv[0] == "submit":
        raise UserError("a job cannot submit itself", "Leave out the second `submit`.")
    if argv[0] == "serve":
        raise UserError(
            "serve is not a job: it would end with its log stream",
            "Deploy it instead: serve deploy serving/serve.yaml (docs/running-on-a-cluster.md).",
        )


def _runtime_env(project: Path) -> dict[str, Any]:
    try:
        return dict(yaml.safe_load((project / RUNTIME_ENV).read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise UserError(
            f"{project} is not the project's source folder: it has no {RUNTIME_ENV}",
            "Submit from a clone of Lectern: a job takes the project's source along.",
        ) from error


def _config_options(argv: Sequence[str]) -> list[tuple[int, str]]:
    """Index in ``argv`` of each config option's value, and the name or path given there."""
    found = []
    for i, argument in enumerate(argv):
        if argument.startswith("--config="):
            found.append((i, argument.removeprefix("--config=")))
        elif i and argv[i - 1] in ("--config", "-c"):
            found.append((i, argument))
    return found


def _carry_configs(argv: Sequence[str]) -> tuple[list[str], dict[str, Path]]:
    """``argv`` with config paths turned to their place in the job, and those files by that place."""
    arguments = list(argv)
    carried: dict[str, Path] = {}
    for i, name in _config_options(argv):
        if name in shipped_configs():
            continue
        place = f"{CARRIED}/{len(carried):02}-{Path(name).name}"
        carried[place] = Path(name).expanduser()
        arguments[i] = f"--config={place}" if arguments[i].startswith("--config=") else place
    return arguments, carried


@dataclass(frozen=True)
class _Shipped:
    """Which local paths are part of what a job takes along."""

    project: Path
    excludes: tuple[str, ...]

    def place(self, path: Path) -> str | None:
        """Where ``path`` is in the job's working directory, or None when it does not travel."""
        try:
            inside = path.resolve().relative_to(self.project)
        except ValueError:
            return None
        return None if self.left_out.intersection(inside.parts) else inside.as_posix()

    @property
    def left_out(self) -> set[str]:
        """Names that are excluded as such; Ray's packer applies the other patterns."""
        return {CARRIED} | {pattern.strip("/") for pattern in self.excludes}


def _placed_inputs(config: LecternConfig, shipped: _Shipped, same_machine: bool) -> list[tuple[str, str]]:
    changes = []
    for key in _INPUTS:
        value = _setting(config, key)
        if value is None or _is_absolute(value) or is_packaged(value):
            continue
        local = Path(value).expanduser()
        if not local.exists():
            if key == "chunk.papers":
                raise UserError(
                    f"{key}={value}: no such folder here", "Give the papers' folder, or a URI such as s3://."
                )
            continue  # the name of a model on a hub
        place = shipped.place(local) or (str(local.absolute()) if same_machine else None)
        if place is None:
            raise UserError(
                f"{key}={value} is a folder of this machine, and the job runs on another",
                f"Put it inside {shipped.project}, or where every node can read it, e.g. {key}=s3://BUCKET/FOLDER.",
            )
        # Unchanged settings stay as they are: their text is part of an artifact's fingerprint.
        changes += [(key, place)] if place != os.path.normpath(value) else []
    return changes


def _placed_storage(config: LecternConfig, same_machine: bool) -> list[tuple[str, str]]:
    storage = config.run.storage
    if _is_absolute(storage):
        return []
    if same_machine:
        return [("run.storage", str(Path(storage).expanduser().absolute()))]
    raise UserError(
        f"run.storage={storage} is relative, and the job runs on another machine, in a folder that Ray deletes",
        "Give a place that every node can write: run.storage=s3://BUCKET/lectern, or a shared disk's absolute path.",
    )


def _is_absolute(value: str) -> bool:
    return "://" in value or Path(value).is_absolute()


def _setting(config: LecternConfig, key: str) -> str | None:
    node: Any = config
    for part in key.split("."):
        node = getattr(node, part, None)
    return node if isinstance(node, str) else None


def _override(key: str, value: str) -> str:
    return f"{key}={value if yaml.safe_load(value) == value else json.dumps(value)}"


def _lay_out(folder: Path, shipped: _Shipped, carried: dict[str, Path]) -> None:
    """Links to the project's entries, beside copies of ``carried``: Ray's packer follows links and applies excludes."""
    for entry in shipped.project.iterdir():
        if entry.name not in shipped.left_out:
            (folder / entry.name).symlink_to(entry, target_is_directory=entry.is_dir())
    if carried:
        (folder / CARRIED).mkdir()
    for place, source in carried.items():
        shutil.copyfile(source, folder / place)
