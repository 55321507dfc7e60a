"""What is checked before a service starts, so that it fails at once, with the remedy, and not in a replica."""

from __future__ import annotations

import socket
from pathlib import Path

import ray

from qa_core.config import ServeSettings
from qa_core.errors import UserError
from serving.guard import is_loopback
from serving.keys import read_keys
from serving.transport import require_keys_behind_haproxy


def require_safe_address(settings: ServeSettings) -> None:
    """With API keys any address will do; without them the service is for this machine alone."""
    require_keys_behind_haproxy(settings)
    if settings.api_keys_file:
        read_keys(Path(settings.api_keys_file))
    elif not is_loopback(settings.host):
        raise UserError(
            f"serve.host={settings.host} would let everybody on the network use the service, which asks for no key",
            "Set serve.api_keys_file=FILE with one key a line (`openssl rand -hex 24 > FILE`), or"
            " serve.host=127.0.0.1.",
        )


def require_free_port(host: str, port: int) -> None:
    """Fail now rather than after Ray's start, which takes seconds."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As Serve's own socket: old connections do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UserError(
                f"port {port} on {host} cannot be used: {error.strerror}",
                "Stop what listens there, or choose another port with serve.port=NUMBER.",
            ) from error


def require_resources(settings: ServeSettings) -> None:
    """Fail, with both numbers, where Serve would wait for ever for a replica that fits nowhere."""
    deployments = (settings.ingress, settings.retriever, settings.generator)
    have = ray.cluster_resources()
    for name, key, field in (("CPUs", "CPU", "num_cpus"), ("GPUs", "GPU", "num_gpus")):
        needed = sum(getattr(one, field) * one.autoscaling_config.min_replicas for one in deployments)
        if needed > have.get(key, 0):
            raise UserError(
                f"the service needs {needed:g} {name} and there are {have.get(key, 0):g}",
                f"Lower serve.generator.{field}, serve.retriever.{field} or serve.ingress.{field}.",
            )
