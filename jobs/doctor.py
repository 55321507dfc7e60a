"""`lectern doctor`: what stands in the way of a run on this machine, each finding with its remedy."""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape

from jobs.machine import (
    DISK_GIB,
    GIB,
    LLAMA_PROBE,
    MEMORY_GIB,
    TORCH_PROBE,
    Probe,
    available_memory,
    base_model_size,
    cpus,
    existing_parent,
)
from jobs.model_reachability import locate_model
from jobs.stages import PIPELINE
from qa_core.artifacts import RunStore
from qa_core.config import LecternConfig
from qa_core.corpus.papers import find_papers
from qa_core.errors import UserError

Level = Literal["ok", "warning", "problem"]

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "bold red"}


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    level: Level
    subject: str
    value: str
    remedy: str = ""


def run_doctor(config: LecternConfig, console: Console) -> int:
    """Print what :func:`examine` finds; 1 when something blocks, else 0."""
    findings = []
    for finding in examine(config):
        findings.append(finding)
        colour = _COLOURS[finding.level]
        console.print(f"[{colour}]{finding.level:8}[/{colour}] {finding.subject:14} {escape(finding.value)}")
        if finding.level != "ok" and finding.remedy:
            console.print(f"{'':24}{escape(finding.remedy)}")
    blocking = sum(finding.level == "problem" for finding in findings)
    console.print(
        f"{blocking} of {len(findings)} checks would stop a run here." if blocking else "Nothing would stop a run here."
    )
    return 1 if blocking else 0


def examine(config: LecternConfig) -> Iterator[Finding]:
    """Every check, as it is done."""
    torch, llama = Probe(TORCH_PROBE), Probe(LLAMA_PROBE)  # they load while the quick checks run
    yield _python()
    yield _version("ray", "Ray", 'pip install "ray[data,default,serve,train,tune]"')
    yield _cpus(config)
    yield _amount("memory", available_memory(), MEMORY_GIB[base_model_size(config.base_model)], "Close other programs.")
    yield from _storage(config)
    yield _papers(config.chunk.papers)
    yield from _models(config)
    yield _port(config.serve.host, config.serve.port)
    if config.finetune.compute.strategy == "deepspeed_zero2":
        yield _compiler()
    yield from _torch(config, *torch.result())
    yield _llama(config, *llama.result())


def _python() -> Finding:
    value = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] < (3, 13):
        return Finding("ok", "Python", value)
    return Finding("problem", "Python", value, "Lectern needs Python 3.11 or 3.12.")


def _version(package: str, subject: str, remedy: str) -> Finding:
    try:
        return Finding("ok", subject, metadata.version(package))
    except metadata.PackageNotFoundError:
        return Finding("problem", subject, "not installed", remedy)


def _cpus(config: LecternConfig) -> Finding:
    have = cpus()
    stage = max(PIPELINE, key=lambda stage: stage.resources(config).num_cpus)
    needed = stage.resources(config).num_cpus
    if needed > have:
        remedy = f"Lower the `compute` settings of {stage.name}, or run on a cluster: lectern submit."
        return Finding("problem", "CPUs", f"{have:g}; {stage.name} asks for {needed:g}", remedy)
    return Finding("ok", "CPUs", f"{have:g}; a stage takes {needed:g} at most ({stage.name})")


def _amount(subject: str, have: int, bounds: tuple[int, int], remedy: str) -> Finding:
    least, enough = bounds
    level: Level = "problem" if have < least * GIB else "warning" if have < enough * GIB else "ok"
    return Finding(level, subject, f"{have / GIB:.1f} GiB free; {enough} GiB is enough for this base model", remedy)


def _storage(config: LecternConfig) -> Iterator[Finding]:
    try:
        store = RunStore.open(config.run.storage, config.run.name)
        _write_and_remove(store)
    except (OSError, UserError) as error:
        yield Finding(
            "problem", "storage", f"{config.run.storage}: {error}", "Give a place to write: run.storage=FOLDER"
        )
        return
    yield Finding("ok", "storage", f"{store.uri} can be written")
    if store.is_local:
        free = shutil.disk_usage(existing_parent(Path(store.path))).free
        yield _amount(
            "disk", free, DISK_GIB[base_model_size(config.base_model)], "Make room, or give run.storage=ANOTHER_DISK."
        )


def _write_and_remove(store: RunStore) -> None:
    if store.is_local:
        tempfile.TemporaryFile(dir=existing_parent(Path(store.path))).close()
        return
    probe = f"{store.path}/.lectern-doctor"
    with store.filesystem.open_output_stream(probe) as stream:
        stream.write(b"ok")
    store.filesystem.delete_file(probe)


def _papers(folder: str) -> Finding:
    try:
        return Finding("ok", "papers", f"{len(find_papers(folder))} in {folder}")
    except UserError as error:
        return Finding("problem", "papers", error.problem, error.remedy)


def _models(config: LecternConfig) -> Iterator[Finding]:
    base, embedder = config.base_model, config.index.embedder
    if base.source == "scratch":
        yield Finding("ok", "base model", "built here from the papers")
    else:
        yield _model("base model", "base_model", base.name_or_path, base.revision)
    yield _model("embedder", "index.embedder", embedder.name_or_path, None)


def _model(subject: str, section: str, name: str, revision: str | None) -> Finding:
    try:
        return Finding("ok", subject, f"{name}: {locate_model(name, revision, f'{section}.name_or_path')}")
    except UserError as error:
        return Finding("problem", subject, error.problem, error.remedy)


def _port(host: str, port: int) -> Finding:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            return Finding("warning", "port", f"{host}:{port}: {reason}", "`lectern serve` needs serve.port=ANOTHER.")
    return Finding("ok", "port", f"{host}:{port} is free for `lectern serve`")


def _compiler() -> Finding:
    found = shutil.which("c++") or shutil.which("g++")
    if found:
        return Finding("ok", "compiler", found)
    return Finding("problem", "compiler", "no C++ compiler", "DeepSpeed compiles at first use: apt-get install g++")


def _torch(config: LecternConfig, facts: dict[str, Any], failure: str) -> Iterator[Finding]:
    if failure:
        yield Finding("problem", "PyTorch", failure, "pip install -r cluster/requirements/cpu.lock")
        return
    yield Finding("ok", "PyTorch", facts["version"])
    have = [f"{name} {memory / GIB:.0f} GiB" for name, memory in facts["gpus"]]
    stage = max(PIPELINE, key=lambda stage: stage.resources(config).num_gpus)
    needed = stage.resources(config).num_gpus
    value = f"{', '.join(have) or 'none'}; {f'{stage.name} asks for {needed:g}' if needed else 'none is asked for'}"
    remedy = "Set finetune.compute.use_gpu=false and the other stages' num_gpus=0, or run on a cluster: lectern submit."
    yield Finding("problem" if needed > len(have) else "ok", "GPUs", value, remedy)


def _llama(config: LecternConfig, facts: dict[str, Any], failure: str) -> Finding:
    if failure:
        return Finding("problem", "llama.cpp", failure, "Build it on this machine: make install")
    value = f"llama-cpp-python {facts['version']}, {'with' if facts['gpu'] else 'without'} GPU support"
    if config.generation.compute.n_gpu_layers and not facts["gpu"]:
        return Finding("warning", "llama.cpp", value, "generation.compute.n_gpu_layers has no effect with this build.")
    return Finding("ok", "llama.cpp", value)
