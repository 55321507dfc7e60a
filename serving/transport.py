"""How requests travel between Ray Serve's processes. Each of them reads these settings from its environment when it
imports Serve; this is the one place that names them. What each is worth stands in docs/benchmarks.md."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import wraps
from typing import Any

from qa_core.config import ServeSettings
from qa_core.errors import UserError

_ONE_LOOP = {
    # One event loop in each process: a request is not handed from thread to thread, which wait for each other's lock.
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
}
_PROXY = {"RAY_SERVE_PROXY_USE_GRPC": "1"}
_ANY_PORT = 0
"""Of a proxy that nobody asks: the kernel gives it a free one when it listens. One that was looked for before might be
taken by then, by another process of Ray for one."""


def replica_environment() -> dict[str, str]:
    """For every replica, wherever it runs. What is set where the application is built wins."""
    return {name: os.environ.get(name, value) for name, value in _ONE_LOOP.items()}


@dataclass(frozen=True)
class Transport:
    """How a Serve that we start ourselves is reached."""

    environment: dict[str, str]
    """For all its processes."""
    proxy_port: int

    @classmethod
    def through_proxy(cls, settings: ServeSettings) -> Transport:
        """The proxy listens and asks the ingress."""
        return cls({**replica_environment(), **_PROXY}, settings.port)

    @classmethod
    def on_this_machine(cls, settings: ServeSettings) -> Transport:
        """The ingress listens itself, one hop fewer. A second one would have no port, so then the proxy listens, or
        HAProxy where the environment asks for it."""
        if settings.ingress.autoscaling_config.max_replicas > 1 or _is_haproxy_on():
            return cls.through_proxy(settings)
        direct = {
            "RAY_SERVE_ENABLE_DIRECT_INGRESS": "1",
            "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(settings.port),
            "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(settings.port + 1),  # exclusive
            # There is no load balancer that has to learn of an ingress that leaves, and no second port to come back on.
            "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",
            "RAY_SERVE_PORT_QUARANTINE_S": "0",
        }
        return cls({**replica_environment(), **direct}, _ANY_PORT)


def require_keys_behind_haproxy(settings: ServeSettings) -> None:
    """Ray Serve's HAProxy tells nobody who asks: to an ingress behind it every client looks like its own machine."""
    if _is_haproxy_on() and not settings.api_keys_file:
        raise UserError(
            "RAY_SERVE_ENABLE_HA_PROXY=1 would let everybody on the network use the service, which asks for no key",
            "Set serve.api_keys_file=FILE with one key a line (`openssl rand -hex 24 > FILE`), or unset the variable.",
        )


def _is_haproxy_on() -> bool:
    return os.environ.get("RAY_SERVE_ENABLE_HA_PROXY") == "1"


def let_ports_be_taken_again() -> None:
    """Before an ingress listens: let the next service have its port at once.

    Ray Serve 2.60 sets SO_REUSEADDR on the socket of its proxy but not on that of an ingress, whose port would then
    stay taken for a minute after its last connections. There is no setting for it, hence this change in place.
    """
    from ray.serve._private import http_util, replica

    start = http_util.start_asgi_http_server
    # Ray's own would also set SO_REUSEPORT, with which two services could share one port without knowing.
    http_util.set_socket_reuse_port = _reuse_address

    @wraps(start)
    async def start_reusable(*args: Any, **options: Any) -> Any:
        return await start(*args, **{**options, "enable_so_reuseport": True})

    replica.start_asgi_http_server = start_reusable


def _reuse_address(sock: socket.socket) -> bool:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return True
