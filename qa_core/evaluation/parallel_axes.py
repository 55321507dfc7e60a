"""A parallel-coordinates plot as numbers: an axis for each parameter and figure, a line for each trial.

Inselberg, "The plane with parallel coordinates", 1985, doi:10.1007/BF01898350. What is drawn is in the template.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from qa_core.config import SearchDimension

HEIGHT = 300.0
"""Of an axis, in units of the plot."""
SPACING = 150.0
"""Between two axes."""
_TICKS = 4
_LONGEST_LABEL = 18


@dataclass(frozen=True)
class Tick:
    y: float
    label: str
    title: str
    """The label in full."""


@dataclass(frozen=True)
class Axis:
    label: str
    ticks: Sequence[Tick]
    scale: Scale

    def y(self, value: Any) -> float:
        """From the top, where the highest value stands."""
        return HEIGHT * (1.0 - self.scale.share(value))


class Scale(Protocol):
    def share(self, value: Any) -> float:
        """Where ``value`` stands on its axis, from 0 to 1."""

    def ticks(self) -> Sequence[Any]:
        """The values that are written beside the axis."""


@dataclass(frozen=True)
class Linear:
    low: float
    high: float

    def share(self, value: Any) -> float:
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> Sequence[float]:
        """Multiples of 1, 2 or 5 times a power of ten."""
        rough = (self.high - self.low) / _TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


@dataclass(frozen=True)
class Logarithmic:
    low: float
    high: float

    def share(self, value: Any) -> float:
        return math.log(value / self.low) / math.log(self.high / self.low)

    def ticks(self) -> Sequence[float]:
        """The ends, and the powers of ten that stand clear of them."""
        powers = range(math.ceil(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)
        inner = [10.0**power for power in powers if 0.08 < self.share(10.0**power) < 0.92]
        return [self.low, *inner, self.high]


@dataclass(frozen=True)
class Categorical:
    values: Sequence[Any]

    def share(self, value: Any) -> float:
        written = [json.dumps(one) for one in self.values]
        place = written.index(json.dumps(value))
        return place / (len(written) - 1) if len(written) > 1 else 0.5

    def ticks(self) -> Sequence[Any]:
        return self.values


def parameter_axis(key: str, dimension: SearchDimension) -> Axis:
    """The axis of a searched key, over all that could have been drawn."""
    if dimension.distribution == "choice":
        return _axis(key, Categorical(dimension.values))
    assert dimension.low is not None
    assert dimension.high is not None
    kind = Logarithmic if dimension.distribution == "loguniform" else Linear
    return _axis(key, kind(dimension.low, dimension.high))


def figure_axis(label: str, values: Sequence[float]) -> Axis:
    """The axis of what was measured, a little longer than from the lowest to the highest value."""
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 0.05
    return _axis(label, Linear(low - room, high + room))


def line(axes: Sequence[tuple[str, Axis]], values: Mapping[str, Any]) -> str:
    """The points of a trial's line as SVG writes them, on the axes for which it has a value."""
    places = [(SPACING * place, axis.y(values[name])) for place, (name, axis) in enumerate(axes) if name in values]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _axis(label: str, scale: Scale) -> Axis:
    ticks = [(value, written(value)) for value in scale.ticks()]
    return Axis(label, [Tick(HEIGHT * (1.0 - scale.share(value)), _short(text), text) for value, text in ticks], scale)


def written(value: Any) -> str:
    """A parameter for a person: numbers with four digits, lists as JSON."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"
