"""What asking an endpoint costs: tokens, money, a budget that is never overspent, and a rate that is never exceeded."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from qa_core.config.teachers import EndpointCompute, Price


@dataclass(frozen=True)
class Tokens:
    """Tokens sent and received."""

    prompt: int = 0
    completion: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.prompt + other.prompt, self.completion + other.completion)

    def __sub__(self, other: Tokens) -> Tokens:
        return Tokens(self.prompt - other.prompt, self.completion - other.completion)

    @property
    def total(self) -> int:
        return self.prompt + self.completion

    def money(self, price: Price) -> float:
        """In the currency of ``price``."""
        return (self.prompt * price.input_per_million + self.completion * price.output_per_million) / 1e6


class BudgetSpent(Exception):
    """Nothing more may be sent."""


class Ledger:
    """What was spent, and what the requests under way may still cost at most.

    A request is sent only while all that are under way could cost their most and the budget would still hold, so it is
    overspent by no number of slots.
    """

    def __init__(self, limits: EndpointCompute, spent: Tokens | None = None) -> None:
        self._limits = limits
        self.spent = spent or Tokens()
        self._reserved = Tokens()
        self._under_way = 0
        self._closed = False
        self._settled = asyncio.Event()

    async def reserve(self, most: Tokens) -> None:
        """Set aside what one request may cost; waits for others to settle where only that makes room.

        Raises:
            BudgetSpent: even with nothing under way the request might cost more than is left. So will every later one,
                however small, which keeps the end of a run clear.
        """
        while not self._closed and not self._holds(self.spent + self._reserved + most):
            if not self._under_way:
                self._closed = True
                self._settled.set()
                break
            self._settled.clear()
            await self._settled.wait()
        if self._closed:
            raise BudgetSpent(self.summary())
        self._reserved += most
        self._under_way += 1

    def settle(self, reserved: Tokens, used: Tokens) -> None:
        """Give back what was set aside for a request, and book what it took."""
        self._reserved -= reserved
        self._under_way -= 1
        self.spent += used
        self._settled.set()

    def summary(self) -> str:
        """What was spent of what, for a person."""
        limits = self._limits
        parts = [f"{self.spent.total} of {limits.budget_tokens} tokens"] if limits.budget_tokens else []
        if limits.budget_money is not None:
            parts.append(f"{self.spent.money(limits.price):.4f} of {limits.budget_money:g} in money")
        return " and ".join(parts) + " are spent, and the next request might take more than is left"

    def _holds(self, tokens: Tokens) -> bool:
        limits = self._limits
        within_tokens = limits.budget_tokens is None or tokens.total <= limits.budget_tokens
        return within_tokens and (limits.budget_money is None or tokens.money(limits.price) <= limits.budget_money)


class Pace:
    """Spaces the sending of requests evenly, all slots together: no minute sees more than ``per_minute``."""

    def __init__(self, per_minute: int | None) -> None:
        self._interval = 60 / per_minute if per_minute else 0.0
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for one's turn."""
        if not self._interval:
            return
        now = asyncio.get_running_loop().time()
        mine = max(now, self._next)
        self._next = mine + self._interval
        await asyncio.sleep(mine - now)
