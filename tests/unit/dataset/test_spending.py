"""The budget and the rate: what they let through, and when they stop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from qa_core.config.teachers import EndpointCompute
from qa_core.dataset.spending import BudgetSpent, Ledger, Pace, Tokens


def limits(**settings: Any) -> EndpointCompute:
    return EndpointCompute(price={"input_per_million": 2.0, "output_per_million": 8.0}, **settings)


async def spend(ledger: Ledger, most: Tokens, used: Tokens) -> bool:
    """One request; whether it was sent."""
    try:
        await ledger.reserve(most)
    except BudgetSpent:
        return False
    await asyncio.sleep(0)
    ledger.settle(most, used)
    return True


def test_money_is_counted_per_million_tokens_of_each_kind() -> None:
    assert Tokens(1_000_000, 500_000).money(limits().price) == pytest.approx(6.0)


def test_no_number_of_requests_at_once_overspends_a_budget() -> None:
    async def run() -> tuple[Tokens, int]:
        ledger = Ledger(limits(budget_tokens=1000))
        sent = await asyncio.gather(*(spend(ledger, Tokens(50, 50), Tokens(40, 30)) for _ in range(64)))
        return ledger.spent, sum(sent)

    spent, sent = asyncio.run(run())
    # 13 requests of 70 make 910, beside which a request of up to 100 does not fit.
    assert (spent.total, sent) == (910, 13)


def test_a_budget_in_money_stops_like_one_in_tokens() -> None:
    async def run() -> Tokens:
        ledger = Ledger(limits(budget_money=0.01))
        await asyncio.gather(*(spend(ledger, Tokens(1000, 100), Tokens(900, 50)) for _ in range(20)))
        return ledger.spent

    spent = asyncio.run(run())
    assert 0.005 < spent.money(limits().price) <= 0.01


def test_what_was_spent_before_counts() -> None:
    ledger = Ledger(limits(budget_tokens=100), Tokens(60, 30))
    assert not asyncio.run(spend(ledger, Tokens(5, 10), Tokens()))


def test_a_request_waits_where_those_under_way_may_leave_room_for_it() -> None:
    async def run() -> list[str]:
        ledger, events = Ledger(limits(budget_tokens=100)), []

        async def second() -> None:
            await ledger.reserve(Tokens(30, 30))
            events.append("second")

        await ledger.reserve(Tokens(30, 30))
        waiting = asyncio.create_task(second())
        await asyncio.sleep(0)
        events.append("first")
        ledger.settle(Tokens(30, 30), Tokens(10, 10))
        await waiting
        return events

    assert asyncio.run(run()) == ["first", "second"]


def test_once_it_is_spent_nothing_however_small_is_sent() -> None:
    async def run() -> list[bool]:
        ledger = Ledger(limits(budget_tokens=100))
        return [await spend(ledger, Tokens(0, size), Tokens(0, size)) for size in (60, 60, 1)]

    assert asyncio.run(run()) == [True, False, False]


def test_without_limits_nothing_is_held_back() -> None:
    assert asyncio.run(spend(Ledger(limits()), Tokens(10**12, 10**12), Tokens()))


def test_a_pace_spaces_the_turns_of_all_slots_evenly() -> None:
    async def run() -> float:
        pace, clock = Pace(6000), asyncio.get_running_loop().time
        started = clock()
        await asyncio.gather(*(pace.turn() for _ in range(6)))
        return clock() - started

    # Five intervals of 0.01 s; a busy machine only makes it longer.
    assert asyncio.run(run()) >= 0.049


def test_no_pace_is_no_wait() -> None:
    async def run() -> int:
        return len(await asyncio.gather(*(Pace(None).turn() for _ in range(1000))))

    assert asyncio.run(asyncio.wait_for(run(), timeout=30)) == 1000
