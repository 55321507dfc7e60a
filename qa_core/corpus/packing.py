"""Units to chunks: neighbours are joined up to the token budget, and each chunk repeats the end of the one before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from qa_core.config import ChunkSettings
from qa_core.corpus.cutting import Unit


@dataclass(frozen=True)
class Packed:
    """``text[start:end]`` is a chunk of ``num_tokens`` tokens."""

    start: int
    end: int
    kind: str
    num_tokens: int


@dataclass(frozen=True)
class _Range:
    """Units ``first`` to ``stop`` are a chunk; those before ``new`` are repeated."""

    first: int
    new: int
    stop: int


@dataclass(frozen=True)
class Packer:
    """Greedy packing of the units of one text."""

    text: str
    units: Sequence[Unit]
    count: Callable[[str], int]
    settings: ChunkSettings

    def pack(self) -> Iterator[Packed]:
        """Chunks in order; each holds at least one new unit and is within the budget by its own text's tokens."""
        previous = _Range(0, 0, 0)
        while previous.stop < len(self.units):
            previous, num_tokens = self._next(previous)
            members = self.units[previous.first : previous.stop]
            yield Packed(members[0].start, members[-1].end, _main_kind(members), num_tokens)

    def _next(self, previous: _Range) -> tuple[_Range, int]:
        budget, new = self.settings.max_tokens, previous.stop
        first, stop = self._fill(self._overlap_start(previous), new)
        # Joined units may count differently from their sum: what the chunk's own text counts is what holds.
        while (num_tokens := self._count(first, stop)) > budget and stop - first > 1:
            first, stop = (first + 1, stop) if first < new else (first, stop - 1)
        while self._may_join(stop, num_tokens) and (longer := self._count(first, stop + 1)) <= budget:
            stop, num_tokens = stop + 1, longer
        # A section's short last chunk repeats more than the overlap rather than being rejected.
        while num_tokens < self.settings.min_tokens and first - 1 > previous.first:
            if (longer := self._count(first - 1, stop)) > budget:
                break
            first, num_tokens = first - 1, longer
        return _Range(first, new, stop), num_tokens

    def _count(self, first: int, stop: int) -> int:
        return self.count(self.text[self.units[first].start : self.units[stop - 1].end])

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
        total = sum(unit.num_tokens for unit in self.units[first : new + 1])
        while first < new and total > budget:
            total -= self.units[first].num_tokens
            first += 1
        stop = new + 1
        while self._may_join(stop, total) and total + self.units[stop].num_tokens <= budget:
            total += self.units[stop].num_tokens
            stop += 1
        return first, stop

    def _may_join(self, unit: int, num_tokens: int) -> bool:
        """Whether there is a unit of this number that need not open a chunk, with ``num_tokens`` before it."""
        if unit >= len(self.units):
            return False
        return not self.units[unit].opens_long_block or num_tokens < self.settings.min_tokens


def _main_kind(units: Sequence[Unit]) -> str:
    """The kind that most characters of ``units`` belong to."""
    chars: Counter[str] = Counter()
    for unit in units:
        chars[unit.kind] += unit.end - unit.start
    return chars.most_common(1)[0][0]
