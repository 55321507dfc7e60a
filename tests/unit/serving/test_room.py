from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from qa_core.config import DeploymentSettings
from serving.guard import Guard
from serving.room import Room
from serving.schemas.errors import ApiError

CHAT, HEALTH = "/v1/chat/completions", "/health"


def test_whoever_finds_no_place_is_refused_until_somebody_leaves() -> None:
    refused: list[int] = []
    room = Room(2, lambda: refused.append(1))
    with room.place():
        with room.place(), pytest.raises(ApiError) as caught, room.place():
            raise AssertionError("there was a third place")
        with room.place():
            pass
    assert (caught.value.status, caught.value.headers, len(refused)) == (503, {"Retry-After": "1"}, 1)


def test_an_answer_that_fails_gives_its_place_back() -> None:
    room = Room(1)
    with pytest.raises(RuntimeError), room.place():
        raise RuntimeError("the answer broke off")
    with room.place():
        pass


def test_there_are_as_many_places_as_all_generators_and_their_queue_have() -> None:
    def places(**settings: Any) -> float:
        return Room.of(DeploymentSettings(**settings), lambda: None)._places

    assert places(max_ongoing_requests=4, max_queued_requests=3, autoscaling_config={"max_replicas": 5}) == 23
    assert places(max_ongoing_requests=4, max_queued_requests=-1) == float("inf")


async def status_of(guard: Guard, path: str) -> tuple[int, bool]:
    """And whether the body was read."""
    sent: list[Any] = []
    read = False

    async def receive() -> dict[str, Any]:
        nonlocal read
        read = True
        return {"type": "http.request", "body": b"{}"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": path, "client": ("127.0.0.1", 1),
        "headers": [(b"host", b"localhost"), (b"content-length", b"2")],
    }  # fmt: skip
    await guard(scope, receive, send)
    if sent[0]["status"] != 200:
        assert json.loads(sent[1]["body"])["error"]["code"] == "overloaded"
    return sent[0]["status"], read


def test_a_full_service_refuses_before_the_body_is_read_and_still_answers_probes() -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if scope["path"] == CHAT:
            entered.set()
            await leave.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def ask() -> list[tuple[int, bool]]:
        guard = Guard(slow, hosts=[], max_body_bytes=1000, body_timeout_s=5, room=Room(1))
        first = asyncio.create_task(status_of(guard, CHAT))
        await entered.wait()
        seen = [await status_of(guard, CHAT), await status_of(guard, HEALTH)]
        leave.set()
        return [*seen, await first, await status_of(guard, CHAT)]

    assert asyncio.run(ask()) == [(503, False), (200, True), (200, True), (200, True)]


def test_whoever_sends_a_byte_at_a_time_holds_no_place() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["body"] == b"{}"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def trickle() -> dict[str, Any]:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def nothing(message: Any) -> None:
        pass

    async def ask() -> tuple[int, bool]:
        guard = Guard(app, hosts=[], max_body_bytes=1000, body_timeout_s=0.3, room=Room(1))
        scope = {"type": "http", "path": CHAT, "client": ("127.0.0.1", 1), "headers": [(b"host", b"localhost")]}
        slow = asyncio.create_task(guard(scope, trickle, nothing))
        await asyncio.sleep(0.05)
        answered = await status_of(guard, CHAT)
        await slow
        return answered

    assert asyncio.run(ask()) == (200, True)
