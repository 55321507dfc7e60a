from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from ray.serve._private import http_util, replica
from ray.serve.config import HTTPOptions

from qa_core.config import DeploymentSettings, ServeSettings
from qa_core.errors import UserError
from serving.transport import Transport, let_ports_be_taken_again, replica_environment, require_keys_behind_haproxy


def test_one_ingress_on_this_machine_listens_itself_and_the_proxy_elsewhere() -> None:
    transport = Transport.on_this_machine(ServeSettings(port=8123))
    assert transport.environment["RAY_SERVE_ENABLE_DIRECT_INGRESS"] == "1"
    assert transport.environment["RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT"] == "8123"
    assert transport.proxy_port == 0  # any that is free when it listens


def test_several_ingresses_share_a_port_behind_the_proxy() -> None:
    ingress = DeploymentSettings.model_validate({"autoscaling_config": {"max_replicas": 2}})
    settings = ServeSettings(port=8123, ingress=ingress)
    assert Transport.on_this_machine(settings) == Transport.through_proxy(settings)
    assert Transport.through_proxy(settings).proxy_port == 8123
    assert "RAY_SERVE_ENABLE_DIRECT_INGRESS" not in Transport.through_proxy(settings).environment


def test_where_haproxy_is_asked_for_it_listens_and_not_the_ingress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_SERVE_ENABLE_HA_PROXY", "1")
    assert Transport.on_this_machine(ServeSettings(port=8123)).proxy_port == 8123


def test_a_setting_of_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(replica_environment().values()) == {"0"}
    monkeypatch.setenv("RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP", "1")
    assert replica_environment()["RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP"] == "1"


def test_behind_haproxy_which_hides_the_clients_keys_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_keys_behind_haproxy(ServeSettings())
    monkeypatch.setenv("RAY_SERVE_ENABLE_HA_PROXY", "1")
    with pytest.raises(UserError, match="RAY_SERVE_ENABLE_HA_PROXY") as caught:
        require_keys_behind_haproxy(ServeSettings())
    assert "serve.api_keys_file" in caught.value.remedy
    require_keys_behind_haproxy(ServeSettings(api_keys_file=str(tmp_path / "keys")))


async def serve_once(port: int) -> None:
    """One request over a connection that the server closes, as Ray Serve's ingress would answer it."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": b"served"})

    loop = asyncio.get_running_loop()
    options = HTTPOptions(host="127.0.0.1", port=port)
    task, server = await replica.start_asgi_http_server(answer, options, event_loop=loop, enable_so_reuseport=False)
    while not server.started:
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"served" in await reader.read()
    writer.close()
    server.should_exit = True
    await task


def test_the_port_of_an_ingress_can_be_taken_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica, "start_asgi_http_server", replica.start_asgi_http_server)  # put back afterwards
    monkeypatch.setattr(http_util, "set_socket_reuse_port", http_util.set_socket_reuse_port)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    let_ports_be_taken_again()
    for _ in range(2):
        asyncio.run(serve_once(port))
    with socket.socket() as other:
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            other.setsockopt(socket.SOL_SOCKET, option, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(RuntimeError, match="Failed to bind"):  # two services never share one
            asyncio.run(serve_once(port))
