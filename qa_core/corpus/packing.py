"""Units to chunks: neighbours are joined up to the token budget, and each chunk repeats the end of the one before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from qa_core.config import ChunkSettings
from qa_core.corpus.cutting import TELLING_AT_ANY_LENGTH, Unit


class Packed(NamedTuple):
    """``text[start:end]`` under ``prefix`` is a chunk of ``num_tokens`` tokens."""

    start: int
    end: int
    kind: str
    prefix: str
    num_tokens: int


class _Range(NamedTuple):
    """Units ``first`` to ``stop`` are a chunk; those before ``new`` are repeated."""

    first: int
    new: int
    stop: int


def passage_text(prefix: str, text: str) -> str:
    """A chunk as it is counted, embedded and read by a model: its place in the paper, then its words."""
    return f"{prefix}\n{text}" if prefix else text


@dataclass(frozen=True)
class Packer:
    """Greedy packing of the units of one stretch of text under one heading."""

    text: str
    units: Sequence[Unit]
    count: Callable[[str], int]
    settings: ChunkSettings
    heading: str
    """What stands above every chunk of the stretch."""
    heading_tokens: int
    topic_starts: Collection[int] = frozenset()
    """Numbers of the units that begin another topic, where a chunk that is long enough ends."""

    def pack(self) -> Iterator[Packed]:
        """Chunks in order; each holds at least one new unit and is within the budget as it will be read."""
        previous = _Range(0, 0, 0)
        while previous.stop < len(self.units):
            previous, num_tokens = self._next(previous)
            members = self.units[previous.first : previous.stop]
            start, end, prefix = members[0].start, members[-1].end, self._prefix(previous.first)
            if num_tokens > self.settings.max_tokens:  # one unit that fits alone, but by a hair not below its prefix
                prefix, num_tokens = "", self.count(self.text[start:end])
            yield Packed(start, end, _main_kind(members), prefix, num_tokens)

    def _next(self, previous: _Range) -> tuple[_Range, int]:
        budget, new = self.settings.max_tokens, previous.stop
        first, stop = self._fill(self._overlap_start(previous), new)
        # Joined units may count differently from their sum: what the chunk's own text counts is what holds.
        while (num_tokens := self._count(first, stop)) > budget and stop - first > 1:
            if first < new:
                first += 1
            else:
                stop = min(stop - 1, max(first + 1, first + (stop - first) * budget // num_tokens))
        if self._leads_in(stop) and stop - 1 > new:
            stop -= 1
            num_tokens = self._count(first, stop)
        # A section's short last chunk repeats more than the overlap rather than being rejected.
        while self._is_too_short(new, stop, num_tokens) and first - 1 > previous.first:
            if (longer := self._count(first - 1, stop)) > budget:
                break
            first, num_tokens = first - 1, longer
        return _Range(first, new, stop), num_tokens

    def _leads_in(self, stop: int) -> bool:
        """Whether the sentence before ``stop`` announces what comes next ("There are two ways:") and fits with it."""
        if stop >= len(self.units):
            return False
        last, following = self.units[stop - 1], self.units[stop]
        if not last.repeatable or self.text[last.end - 1] not in (":", "："):
            return False
        return self.heading_tokens + last.num_tokens + following.num_tokens < self.settings.max_tokens

    def _is_too_short(self, new: int, stop: int, num_tokens: int) -> bool:
        if num_tokens - self.heading_tokens >= self.settings.min_tokens:
            return False
        return _main_kind(self.units[new:stop]) not in TELLING_AT_ANY_LENGTH

    def _count(self, first: int, stop: int) -> int:
        body = self.text[self.units[first].start : self.units[stop - 1].end]
        return self.count(passage_text(self._prefix(first), body))

    def _prefix(self, first: int) -> str:
        """The heading, and the header of the table whose later rows begin the chunk."""
        return "\n".join(filter(None, (self.heading, self.units[first].header)))

    def _overlap_start(self, previous: _Range) -> int:
        """First of the sentences at the end of ``previous`` that are repeated; never all of ``previous``."""
        first, room = previous.stop, self.settings.overlap_tokens
        while first - 1 > previous.first and self.units[first - 1].repeatable:
            room -= self.units[first - 1].num_tokens
            if room < 0:
                break
            first -= 1
        return first

    def _fill(self, first: int, new: int) -> tuple[int, int]:
        """Range that holds unit ``new`` and what else the budget allows; the overlap gives way to unit ``new``."""
        budget = self.settings.max_tokens
        total = self.heading_tokens + sum(unit.num_tokens for unit in self.units[first : new + 1])
        if header := self.units[first].header:
            total += self.count(header) + 1
        while first < new and total > budget:
            total -= self.units[first].num_tokens
            first += 1
        stop = new + 1
        while stop < len(self.units) and not self._closes_before(stop, total):
            unit = self.units[stop]
            total += unit.num_tokens + ("\n" in self.text[self.units[stop - 1].end : unit.start])
            if total > budget:
                break
            stop += 1
        return first, stop

    def _closes_before(self, unit: int, num_tokens: int) -> bool:
        """Whether a chunk of ``num_tokens`` so far had better end before this unit."""
        if num_tokens - self.heading_tokens < self.settings.min_tokens:
            return False
        return self.units[unit].opens_long_block or unit in self.topic_starts


def _main_kind(units: Sequence[Unit]) -> str:
    """The kind that most characters of ``units`` belong to."""
    chars: Counter[str] = Counter()
    for unit in units:
        chars[unit.kind] += unit.end - unit.start
    return max(chars, key=chars.__getitem__)
