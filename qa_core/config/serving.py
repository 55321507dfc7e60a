"""The endpoint and its deployments."""

from __future__ import annotations

import re
from typing import Self

from pydantic import Field, model_validator

from qa_core.config.section import Section

_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}(?<!-rag)(?<!-embedding)")


class AutoscalingSettings(Section):
    """Keys of Ray Serve's AutoscalingConfig."""

    min_replicas: int = Field(1, ge=0)
    max_replicas: int = Field(1, ge=1)
    target_ongoing_requests: float = Field(8, gt=0)
    """Requests that one replica should have. A prompt that waits in a generator counts for more, the longer it is."""
    upscale_delay_s: float = Field(10, ge=0)
    downscale_delay_s: float = Field(120, ge=0)


class DeploymentSettings(Section):
    """Keys of ``@serve.deployment``."""

    num_cpus: float = Field(0.5, ge=0)
    num_gpus: float = Field(0.0, ge=0)
    max_ongoing_requests: int = Field(16, ge=1)
    max_queued_requests: int = Field(64, ge=-1)
    """Beyond ``max_ongoing_requests`` of each replica; others are told 503. -1 is no limit. Of a generator each ingress
    counts for itself, and as if all replicas ran. It may be 0 there: where they do run, and decode so many at once
    (``generation.n_seq_max``), no answer waits."""
    max_surge_percent: int = Field(0, ge=0, le=100)
    """Replicas beyond their number during an update. With 0 an old one goes first, and requests wait for the new one;
    with 100 it stays until the new one is ready, which needs room for both."""
    graceful_shutdown_timeout_s: float = Field(60.0, ge=0)
    """A replica that is replaced finishes its answers for as long."""
    autoscaling_config: AutoscalingSettings = AutoscalingSettings()


class ServeSettings(Section):
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    model_name: str = "lectern"
    """Name of the standalone model in the API; ``<name>-rag`` answers with retrieval."""
    base_file: str = ""
    """GGUF file to serve instead of the run's own model, for adapters to lie over; every node with a generator must be
    able to read it. ``convert.base_file`` makes one."""
    adapters: dict[str, str] = {}
    """LoRA adapters over ``base_file`` by the names of their models, such as ``{papers: runs/tiny/gguf/adapter.gguf}``.
    Each takes a key-value cache of its own from its first request on."""
    api_keys_file: str = ""
    """File of API keys, one a line, that every node with an ingress can read; empty asks for no key, and then the
    service listens to this machine alone."""
    requests_per_minute: int = Field(0, ge=0)
    """Most requests of one key at one replica of the ingress; 0 is no limit."""
    allowed_hosts: tuple[str, ...] = ()
    """Names, beside this machine's own, under which the service is asked: what stands in a URL before the port."""
    request_timeout_s: float = Field(300.0, gt=0)
    """An answer that takes longer is given up."""
    max_body_bytes: int = Field(1_000_000, ge=1000)
    body_timeout_s: float = Field(10.0, gt=0)
    """A body that is not there by then is given up: who sends it byte by byte holds a place in the ingress."""
    ingress: DeploymentSettings = DeploymentSettings(num_cpus=0.2, max_ongoing_requests=1024)
    retriever: DeploymentSettings = DeploymentSettings(num_cpus=0.4, max_ongoing_requests=32)
    generator: DeploymentSettings = DeploymentSettings(num_cpus=1.0)

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if 0 in (self.ingress.max_queued_requests, self.retriever.max_queued_requests):
            raise ValueError("max_queued_requests=0 is for the generator alone; the others need 1 or more, or -1")
        if self.adapters and not self.base_file:
            raise ValueError("adapters need base_file to lie over: the run's own model has its adapter merged in")
        for name in (self.model_name, *self.adapters):
            if not _MODEL_NAME.fullmatch(name):
                raise ValueError(f"{name!r} cannot be a model's name; -rag and -embedding at its end have a meaning")
        if self.model_name in self.adapters:
            raise ValueError(f"{self.model_name!r} is the name of the model without an adapter")
        return self
