"""Choosing the next token from a row of logits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_NEGLIGIBLE = 40.0
"""Nats below the best token; a vocabulary of 152,000 such tokens together has a probability of less than 1e-12."""


@dataclass(frozen=True)
class SamplingParams:
    """How a completion is drawn. The names are those of the OpenAI API and of vLLM."""

    max_tokens: int
    temperature: float = 0.0
    """0 takes the most probable token; ties go to the lowest id."""
    top_p: float = 1.0
    top_k: int = 0
    """0 is no limit."""
    seed: int = 0
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens={self.max_tokens} must be at least 1")
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature={self.temperature} must be 0 or more, and finite")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p={self.top_p} must be above 0 and at most 1")
        if self.top_k < 0 or self.seed < 0:
            raise ValueError(f"top_k={self.top_k} and seed={self.seed} must not be negative")
        if "" in self.stop:
            raise ValueError("a stop string must not be empty")


class Sampler:
    """Draws the tokens of one completion; the same seed and logits give the same tokens."""

    def __init__(self, params: SamplingParams) -> None:
        self._params = params
        self._generator = np.random.default_rng(params.seed)

    def choose(self, logits: npt.NDArray[np.float32]) -> int:
        """Token id for ``logits`` [vocabulary]: temperature, top-k, then nucleus sampling (Holtzman et al. 2020)."""
        params = self._params
        if params.temperature == 0:
            return int(logits.argmax())
        scaled = (logits - logits.max()).astype(np.float64) / params.temperature
        # Most of a vocabulary is out of reach, and sorting 152,000 numbers costs more than all the rest.
        candidates = np.flatnonzero(scaled > -_NEGLIGIBLE)
        candidates = candidates[np.argsort(-scaled[candidates], kind="stable")]
        if params.top_k:
            candidates = candidates[: params.top_k]
        weights = np.exp(scaled[candidates])
        cumulative = np.cumsum(weights)
        # The smallest set that reaches top_p: the token that crosses the border still belongs to it.
        nucleus = int(np.searchsorted(cumulative, params.top_p * cumulative[-1])) + 1
        nucleus = min(nucleus, len(candidates))
        draw = self._generator.random() * cumulative[nucleus - 1]
        return int(candidates[min(int(np.searchsorted(cumulative, draw, side="right")), nucleus - 1)])
