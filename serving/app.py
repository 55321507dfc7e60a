"""The application graph: ingress over retriever and generator. The one place that binds deployments.

serve deploy serving/serve.yaml
python -m serving --config tiny
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ray import serve
from ray.serve import Application, Deployment
from ray.serve.config import AutoscalingPolicy, RequestRouterConfig

from qa_core.artifacts import Artifact, RunStore
from qa_core.config import DeploymentSettings, LecternConfig
from qa_core.config_loader import load_config, validate
from qa_core.errors import UserError
from serving.generator import Generator
from serving.ingress import Ingress
from serving.retriever import Retriever
from serving.room import Room
from serving.scaling import by_work
from serving.transport import replica_environment

RETRY_AFTER_S = 1


def build(args: dict[str, Any]) -> Application:
    """The application that ``args`` describes: ``{"config": [...], "overrides": [...]}`` or a whole dumped config.

    Raises :class:`UserError` for a mistake in the config and for an artifact that is missing or damaged.
    """
    config = read_args(args)
    store = RunStore.open(config.run.storage, config.run.name)
    index = complete(store.artifact("index"), config)
    model = config.serve.base_file or complete(store.artifact("gguf"), config)
    retriever = deployment(Retriever, config.serve.retriever).bind(index, config.index.embedder, config.retrieval)
    generator = deployment(Generator, _with_room_for_a_burst(config.serve.generator), by_work).bind(
        model, config.serve.adapters, config.generation, config.retrieval
    )
    return deployment(serve.ingress()(Ingress), config.serve.ingress).bind(config.serve, retriever, generator)


def _with_room_for_a_burst(settings: DeploymentSettings) -> DeploymentSettings:
    """To Serve, a request is queued until a replica has said that it takes it, however free the replicas are; of a few
    that come at once it would refuse some. So it may queue as many as the ingress, which counts for itself, lets in."""
    places = Room.places_of(settings)
    return settings.model_copy(update={"max_queued_requests": -1 if math.isinf(places) else int(places)})


def read_args(args: dict[str, Any]) -> LecternConfig:
    if args.keys() <= {"config", "overrides"}:
        return load_config(args.get("config", ()), args.get("overrides", ()))
    return validate(args)


def complete(artifact: Artifact, config: LecternConfig) -> Artifact:
    """``artifact`` itself, when all its files are there as they were written."""
    manifest = artifact.manifest()
    if manifest is None:
        raise UserError(
            f"{artifact.uri} is not there or not complete",
            f"Make it first: `lectern run` with the config of run {config.run.name!r}.",
        )
    artifact.verify(manifest)
    return artifact


def deployment(replica: type, settings: DeploymentSettings, policy: Callable[..., Any] | None = None) -> Deployment:
    """``replica`` as a Ray Serve deployment that scales, queues and refuses as ``settings`` say.

    Args:
        policy: wanted replicas by what they report; without one, by the number of their requests.
    """
    scaling = settings.autoscaling_config.model_dump()
    if policy is not None:
        scaling["policy"] = AutoscalingPolicy(policy_function=f"{policy.__module__}:{policy.__qualname__}")
    return serve.deployment(
        name=replica.__name__,
        ray_actor_options={
            "num_cpus": settings.num_cpus,
            "num_gpus": settings.num_gpus,
            "runtime_env": {"env_vars": replica_environment()},
        },
        max_ongoing_requests=settings.max_ongoing_requests,
        max_queued_requests=settings.max_queued_requests,
        backpressure_config={"status_code": 503, "retry_after_s": RETRY_AFTER_S},
        autoscaling_config=scaling,
        # Whoever waits looks for a free replica again and again; Serve's own pause grows to half a second.
        request_router_config=RequestRouterConfig(max_backoff_s=0.1),
        # Two lines for each request were half of what a refusal took. A proxy, where there is one, writes its own.
        logging_config={"enable_access_log": False},
        # A model that cannot be loaded fails once, with its reason, instead of twenty times.
        max_constructor_retry_count=1,
        max_surge_percent=settings.max_surge_percent,
        graceful_shutdown_timeout_s=settings.graceful_shutdown_timeout_s,
        graceful_shutdown_wait_loop_s=0.5,
    )(replica)
