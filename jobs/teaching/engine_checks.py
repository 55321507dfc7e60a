"""Whether the vLLM teacher can run on this cluster, found out in seconds and not by a failed start of its engine."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from jobs.teaching.engine_model import load_tokenizer, longest_context, model_folder
from qa_core.config import VllmTeacher
from qa_core.errors import UserError

_ENVIRONMENT = {"VLLM_NO_USAGE_STATS": "1"}
"""An engine must not phone home."""
_SPARE_CPUS = 0.5
"""Beside the engine, requests are read and replies written."""
_PASSED_ON = {
    "model": "model_source",
    "max_model_len": "max_model_len",
    "tensor_parallel_size": "tensor_parallel_size",
    "pipeline_parallel_size": "pipeline_parallel_size",
}
"""Arguments of the engine -> the settings of the teacher that they are made from."""


def engine_environment(teacher: VllmTeacher) -> dict[str, str]:
    """Environment variables of the engine and of what reads the model's files."""
    return {**_ENVIRONMENT, **teacher.compute.env_vars}


def on_gpu(teacher: VllmTeacher) -> bool:
    return any(bundle.get("GPU") for bundle in bundles(teacher))


def bundles(teacher: VllmTeacher) -> list[dict[str, float]]:
    """What one replica holds, in as many parts as it may be spread over nodes."""
    ranks = teacher.tensor_parallel_size * teacher.pipeline_parallel_size
    placement = teacher.compute.placement_group_config
    if placement is None:
        return [{"GPU": 1.0}] * ranks
    if "bundle_per_worker" in placement:
        return [placement["bundle_per_worker"]] * ranks
    return list(placement["bundles"])


def require_engine(teacher: VllmTeacher) -> None:
    """Raises ``UserError`` when the cluster lacks what the engine needs, or vLLM, or a model that it can run."""
    import ray

    for name, setting in _PASSED_ON.items():
        if name in teacher.engine_kwargs:
            raise UserError(f"engine_kwargs holds {name}, which is the teacher's to set", f"Set {setting} instead.")
    require_resources(teacher, ray.cluster_resources())
    options: dict[str, Any] = {"num_cpus": 0.1, "runtime_env": {"env_vars": engine_environment(teacher)}}
    if on_gpu(teacher):
        # The least share of a GPU puts the task on a node like the engine's, where vLLM and the model have to be.
        options |= {"num_gpus": 0.001, "accelerator_type": teacher.compute.accelerator_type}
    try:
        ray.get(ray.remote(**options)(require_model).remote(teacher))
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error


def require_model(teacher: VllmTeacher) -> None:
    """The part of :func:`require_engine` that has to be looked at on a node of the engine."""
    if find_spec("vllm") is None:
        raise UserError(
            "the teacher is vllm, and vLLM is not installed",
            "`make teacher` installs it for the CPU; with GPUs, cluster/requirements/gpu.lock brings it to every node.",
        )
    load_tokenizer(teacher).prompt([{"role": "system", "content": "You ask."}, {"role": "user", "content": "Ask."}])
    longest = longest_context(model_folder(teacher))
    if longest and teacher.max_model_len > longest and "hf_overrides" not in teacher.engine_kwargs:
        raise UserError(
            f"max_model_len={teacher.max_model_len}, and {teacher.model_source} takes at most {longest} tokens",
            f"Set max_model_len={longest} or less.",
        )


def require_resources(teacher: VllmTeacher, have: dict[str, float]) -> None:
    """Raises ``UserError`` when a cluster with the resources ``have`` cannot hold all replicas."""
    replicas = teacher.compute.concurrency
    needed: dict[str, float] = {}
    for bundle in bundles(teacher):
        for name, amount in bundle.items():
            needed[name] = needed.get(name, 0.0) + replicas * amount
    for name, amount in needed.items():
        spare = _SPARE_CPUS if name == "CPU" else 0.0
        if amount + spare > have.get(name, 0.0):
            raise UserError(
                f"the vLLM teacher needs {amount + spare:g} {name}, and the cluster has {have.get(name, 0.0):g}",
                "Lower its compute.concurrency or its parallel sizes; without a GPU, give it CPUs:"
                " compute.placement_group_config={bundles: [{CPU: 1}]}",
            )
    wanted = f"accelerator_type:{teacher.compute.accelerator_type}"
    if teacher.compute.accelerator_type and wanted not in have:
        known = sorted(name.partition(":")[2] for name in have if name.startswith("accelerator_type:"))
        raise UserError(
            f"the cluster has no accelerator of type {teacher.compute.accelerator_type}",
            f"compute.accelerator_type takes one of: {', '.join(known) or 'none here'}",
        )
