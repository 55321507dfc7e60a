"""A service that asks for keys, and bodies that no honest client sends: whatever comes, the answer is a 4xx in OpenAI's
shape or a success."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.service import Service, make_run, running_service

pytestmark = pytest.mark.ray

KEY = "a-key-of-enough-characters"
HEADERS = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
VALID: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {
        "model": "lectern-rag", "messages": [{"role": "user", "content": "What is a quorum?"}], "max_tokens": 2
    },
    "/v1/completions": {"model": "lectern", "prompt": "A quorum", "max_tokens": 2},
    "/v1/embeddings": {"model": "lectern-embedding", "input": "A quorum"},
    "/v1/search": {"query": "A quorum"},
}  # fmt: skip
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from([0, -1, 2**31, 2**63, 10**400, 1e308, float("nan"), "", "\ud800", "\x00", "lectern", "[1]"])
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(KEY + "\n")
    runs = tmp_path_factory.mktemp("runs")
    make_run(runs, tmp_path_factory.mktemp("model"))
    with running_service(runs, f"serve.api_keys_file={keys}") as service:
        yield service


def test_whoever_has_no_key_reaches_the_page_and_the_health_check_alone(service: Service) -> None:
    for path in ("/", "/health", "/ready"):
        assert httpx.get(service.url + path, timeout=30).status_code == 200
    for path in (*VALID, "/v1/models", "/v1/papers", "/metrics", "/openapi.json", "/nowhere"):
        for headers in ({}, {"Authorization": "Bearer another-key-of-enough-length"}):
            response = httpx.post(service.url + path, json=VALID.get(path), headers=headers)
            assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")
    assert "Authorization: Bearer KEY" in service.screen
    assert KEY not in service.screen + service.log.read_text(errors="replace")


def fields_of(service: Service, path: str) -> list[str]:
    """The names that the OpenAPI page promises."""
    page = httpx.get(f"{service.url}/openapi.json", headers=HEADERS).json()
    body = page["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return list(page["components"]["schemas"][body["$ref"].rpartition("/")[2]]["properties"])


def send_strange_bodies(service: Service, count: int) -> set[int]:
    """Statuses of the answers; every refusal was looked at."""
    fields, statuses = {path: fields_of(service, path) for path in VALID}, set()
    client = httpx.Client(base_url=service.url, timeout=60, headers=HEADERS)

    @settings(max_examples=count, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data(), st.sampled_from(sorted(VALID)))
    def send(data: st.DataObject, path: str) -> None:
        changes = data.draw(st.dictionaries(st.sampled_from(fields[path]) | st.text(max_size=8), ANYTHING, max_size=3))
        body = data.draw(st.sampled_from([{**VALID[path], **changes}, changes]) | ANYTHING)
        response = client.post(path, content=json.dumps(body).encode("utf-8", "surrogatepass"))
        statuses.add(response.status_code)
        assert response.status_code < 500, body
        if response.status_code != 200:
            assert set(response.json()["error"]) == {"message", "type", "param", "code"}

    send()
    return statuses


def test_strange_bodies_are_refused_in_the_shape_of_openai(service: Service) -> None:
    assert {200, 400} <= send_strange_bodies(service, 200)


@pytest.mark.proof
def test_five_thousand_strange_bodies_never_make_the_service_fail(service: Service) -> None:
    assert {200, 400} <= send_strange_bodies(service, 5000)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"nothing", b"\xff\xfe", b'{"model": "lectern"', b"[" * 50_000, b'{"a":' * 50_000, b"x" * 10_000_000,
        b'{"model": "lectern", "model": 1, "messages": 5}', b"1e999999", b"NaN",
    ],
    ids=lambda body: f"{body[:12]!r} of {len(body)} bytes",
)  # fmt: skip
@pytest.mark.parametrize("path", sorted(VALID))
def test_what_is_no_json_is_refused(service: Service, path: str, body: bytes) -> None:
    response = httpx.post(service.url + path, content=body, headers=HEADERS, timeout=60)
    assert response.status_code == (413 if len(body) > 1_000_000 else 400)
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}
