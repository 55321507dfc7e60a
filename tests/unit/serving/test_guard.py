from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request, WebSocket
from pydantic import BaseModel
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from serving.guard import Guard
from serving.keys import KeyFile, RateLimit
from serving.refusals import add_error_handlers

KEY = "a-key-of-enough-characters"
METHODS = ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"]


class Body(BaseModel):
    text: str


def service(client: str = "127.0.0.1", **options: object) -> TestClient:
    api = FastAPI()

    @api.post("/v1/parsed")
    async def parsed(body: Body) -> int:
        return len(body.text)

    @api.websocket("/v1/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()

    @api.api_route("/{path:path}", methods=METHODS)
    async def size(request: Request) -> int:
        return len(await request.body())

    add_error_handlers(api)
    settings = {"hosts": ["papers.example.org"], "max_body_bytes": 1000, **options}
    guarded = Guard(api, **settings)  # type: ignore[arg-type]
    return TestClient(guarded, base_url="http://127.0.0.1:8000", client=(client, 50_000))


@pytest.mark.parametrize("method", METHODS)
def test_another_host_is_refused_on_every_method(method: str) -> None:
    response = service().request(method, "/v1/models", headers={"Host": "evil.example.org"})
    assert response.status_code == 403
    if method != "HEAD":
        assert response.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "papers.example.org", "Papers.Example.org:443"]
)
def test_this_machine_and_the_hosts_of_the_config_are_served(host: str) -> None:
    assert service().get("/v1/models", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["", "[", "127.0.0.1.evil.org", "localhost.evil.org", "0", "0.0.0.0:8000"])
def test_a_host_that_only_looks_like_this_machine_is_refused(host: str) -> None:
    assert service().get("/v1/models", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("client", ["192.168.1.7", "::ffff:10.0.0.1", "8.8.8.8", ""])
def test_without_keys_nobody_from_elsewhere_is_served_whatever_host_is_named(client: str, tmp_path: Path) -> None:
    refused = service(client).get("/v1/models")
    assert (refused.status_code, "API keys" in refused.json()["error"]["message"]) == (403, True)
    (tmp_path / "keys").write_text(KEY + "\n")
    keyed = service(client, keys=KeyFile(tmp_path / "keys"))
    assert keyed.get("/v1/models", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200


def test_a_websocket_is_closed() -> None:
    with pytest.raises(WebSocketDisconnect), service().websocket_connect("/v1/socket"):
        raise AssertionError("it was opened")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("origin", ["http://evil.example.org", "null", "http://127.0.0.1:9000", "http://["])
def test_a_page_of_another_origin_is_refused_on_every_method(method: str, origin: str) -> None:
    assert service().request(method, "/v1/models", headers={"Origin": origin}).status_code == 403


def test_the_services_own_page_is_served() -> None:
    for origin in ("http://127.0.0.1:8000", "https://papers.example.org"):  # behind a proxy the host may be another
        assert service().post("/v1/x", headers={"Origin": origin}).status_code == 200


def test_a_large_body_is_refused_by_its_length_and_by_what_comes() -> None:
    assert service().post("/v1/x", content=b"x" * 1000).json() == 1000
    refused = service().post("/v1/x", content=b"x" * 1001)
    assert (refused.status_code, "1000 bytes" in refused.json()["error"]["message"]) == (413, True)

    def without_length() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 100

    for path in ("/v1/x", "/v1/parsed"):  # a route that reads, and one that lets FastAPI read
        refused = service().post(path, content=without_length())
        assert (refused.status_code, set(refused.json())) == (413, {"error"})


@pytest.mark.parametrize("length", ["-1", "x", "9" * 400, "1e3"])
def test_a_strange_length_is_refused(length: str) -> None:
    assert service().get("/v1/x", headers={"Content-Length": length}).status_code == 413


def test_with_keys_only_their_holders_are_served(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(KEY + "\n")
    client = service(keys=KeyFile(tmp_path / "keys"))
    assert client.get("/v1/models", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200
    for header in ("", KEY, f"Basic {KEY}", f"Bearer {KEY}x", "Bearer "):
        response = client.get("/v1/models", headers={"Authorization": header})
        assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")
    for path in ("/", "/page.js", "/health", "/ready"):
        assert client.get(path).status_code == 200


def test_a_holder_above_its_rate_is_told_when_to_come_back() -> None:
    client = service(rate=RateLimit(2))
    answers = [client.get("/v1/models") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["retry-after"] == "30"
    assert answers[2].json()["error"]["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize("path", ["/v1/x", "/v1/parsed"])  # a route that reads, and one that lets FastAPI read
def test_a_body_that_does_not_come_is_given_up(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.guard.BODY_TIMEOUT_S", 0.1)
    sent: list[Any] = []
    parts = iter([b"{", b'"text": ""}'])

    async def receive() -> dict[str, Any]:
        part = next(parts)
        await asyncio.sleep(0 if part == b"{" else 60)
        return {"type": "http.request", "body": part, "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": path, "raw_path": path.encode(),
        "query_string": b"", "root_path": "", "scheme": "http", "client": ("127.0.0.1", 1), "headers": headers,
    }  # fmt: skip
    asyncio.run(service().app(scope, receive, send))
    assert (sent[0]["status"], len(sent)) == (408, 2)
    assert "within 0.1 s" in json.loads(sent[1]["body"])["error"]["message"]
