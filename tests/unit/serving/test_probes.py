from __future__ import annotations

import asyncio

import pytest

from serving import probes
from serving.probes import Probe
from serving.room import Room
from serving.schemas.errors import ApiError


def test_a_crowded_generator_is_busy_and_is_not_asked() -> None:
    async def never() -> None:
        raise AssertionError("it was asked")

    room = Room(places=4, at_once=2)
    with room.place(), room.place():
        assert asyncio.run(Probe(never, lambda: room.is_crowded)()).status == "busy"


def test_one_with_a_free_slot_is_asked_and_must_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "TIMEOUT_S", 0.01)
    room = Room(places=4, at_once=2)
    with room.place(), pytest.raises(ApiError) as caught:
        asyncio.run(Probe(asyncio.Event().wait, lambda: room.is_crowded)())
    assert caught.value.status == 503


def test_it_is_asked_at_most_once_a_second() -> None:
    asked = []

    async def answer() -> None:
        asked.append(1)

    async def often() -> None:
        probe = Probe(answer, lambda: False)
        assert {(await probe()).status for _ in range(50)} == {"ok"}

    asyncio.run(often())
    assert len(asked) == 1
