"""Choosing the next token from a row of logits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from qa_core.config import GenerationSettings

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
    min_p: float = 0.0
    """Least probability of a token as a share of the most probable one's."""
    frequency_penalty: float = 0.0
    """Taken from a token's logit for each time that the answer holds it already."""
    presence_penalty: float = 0.0
    """Taken once from the logit of every token that the answer holds already."""
    no_repeat_ngram_size: int = 0
    """So many tokens in a row stand at most once in the answer; 0 is no limit. What the prompt holds does not count, or
    nothing could be quoted, and it has no effect on JSON, whose keys come again and again."""
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    """Added to the logits of these tokens."""
    seed: int = 0
    stop: tuple[str, ...] = ()
    json_schema: str = ""
    """JSON Schema that the answer must match; empty for free text."""

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens={self.max_tokens} must be at least 1")
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature={self.temperature} must be 0 or more, and finite")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p={self.top_p} must be above 0 and at most 1")
        if not 0 <= self.min_p <= 1:
            raise ValueError(f"min_p={self.min_p} must be from 0 to 1")
        for name in ("top_k", "no_repeat_ngram_size", "seed"):
            if (value := getattr(self, name)) < 0:
                raise ValueError(f"{name}={value} must not be negative")
        if "" in self.stop:
            raise ValueError("a stop string must not be empty")

    @classmethod
    def of(cls, settings: GenerationSettings, seed: int = 0) -> Self:
        """What the config says where no request says otherwise."""
        return cls(
            settings.max_tokens, settings.temperature, no_repeat_ngram_size=settings.no_repeat_ngram_size, seed=seed
        )


class Repeats:
    """Which tokens would make an n-gram of an answer come a second time."""

    def __init__(self, size: int) -> None:
        """``size``: tokens of an n-gram; 0 counts none."""
        self._size = size
        self._context: tuple[int, ...] = ()
        """The last ``size - 1`` tokens, or as many as there are."""
        self._followers: defaultdict[tuple[int, ...], set[int]] = defaultdict(set)
        """Of the ``size - 1`` tokens before them."""

    @property
    def forbidden(self) -> set[int]:
        return self._followers.get(self._context, set())

    def add(self, token: int) -> None:
        """``token`` is the next one of the answer."""
        if not self._size:
            return
        too_many = len(self._context) + 2 - self._size
        if too_many > 0:
            self._followers[self._context].add(token)
        self._context = (*self._context, token)[max(0, too_many) :]


class Grammar(Protocol):
    """What an answer may be, token by token."""

    def allows(self, token: int) -> bool: ...

    def restrict(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """``logits`` [vocabulary], minus infinity for every token that cannot come next."""

    def accept(self, token: int) -> None:
        """``token`` is the next one of the answer."""


class Sampler:
    """Draws the tokens of one completion; the same seed and logits give the same tokens."""

    def __init__(self, params: SamplingParams, grammar: Grammar | None = None) -> None:
        self._params = params
        self._grammar = grammar
        self._generator = np.random.default_rng(params.seed)
        self._said: Counter[int] = Counter()
        self._repeats = Repeats(0 if params.json_schema else params.no_repeat_ngram_size)

    def choose(self, logits: npt.NDArray[np.float32]) -> int:
        """Token id for ``logits`` [vocabulary], which stay as they are."""
        weighed = self._weigh(logits)
        token = self._draw(weighed)
        # One token is tested in microseconds, the whole vocabulary in milliseconds; a model that has been told the
        # format mostly keeps to it.
        if self._grammar and not self._grammar.allows(token):
            token = self._draw(self._grammar.restrict(weighed))
        if self._grammar:
            self._grammar.accept(token)
        self._said[token] += 1
        self._repeats.add(token)
        return token

    def _weigh(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """With the request's bias and penalties, and minus infinity for what would repeat the answer."""
        params, forbidden = self._params, self._repeats.forbidden
        penalised = params.frequency_penalty or params.presence_penalty
        if not (penalised or params.logit_bias or forbidden):
            return logits
        weighed = logits.copy()
        weighed[list(forbidden)] = -np.inf
        if params.logit_bias:
            weighed[list(params.logit_bias)] += list(params.logit_bias.values())
        if penalised and self._said:
            times = np.array(list(self._said.values()))
            weighed[list(self._said)] -= params.frequency_penalty * times + params.presence_penalty
        return weighed

    def _draw(self, logits: npt.NDArray[np.float32]) -> int:
        """Temperature, top-k, min-p, then nucleus sampling (Holtzman et al. 2020)."""
        params = self._params
        if params.temperature == 0:
            return int(logits.argmax())
        scaled = (logits - logits.max()).astype(np.float64) / params.temperature
        # Most of a vocabulary is out of reach, and sorting 152,000 numbers costs more than all the rest.
        least = max(-_NEGLIGIBLE, np.log(params.min_p)) if params.min_p else -_NEGLIGIBLE
        candidates = np.flatnonzero(scaled >= least)
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
