"""How far the predictions of two copies of a model are apart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qa_core.generation.llama import LlamaModel
from qa_core.generation.llama_context import LlamaContext
from qa_core.quantization.reference import logits_of
from qa_core.terms import is_technical, token_matches

_TAIL = 0.999
_WINDOW = 64
"""Positions compared at once: 64 rows of a vocabulary of 152,000 are 78 MB in float64."""


@dataclass(frozen=True)
class ReferenceComparison:
    """A GGUF file against the network it was made from."""

    max_difference: float
    """Largest absolute difference of two logits, in standard deviations of that position's logits."""
    spread: float
    """Mean standard deviation of a position's logits."""
    argmax_agreement: float
    """Share of positions with the same most probable token."""


@dataclass(frozen=True)
class FileComparison:
    """A quantised file against the one it was made from."""

    num_tokens: int
    """Positions compared."""
    mean_kld: float
    """Mean Kullback-Leibler divergence KL(first || second) in nats per token."""
    tail_kld: float
    """What 99.9% of the positions stay below."""
    num_terms: int
    """Positions whose next token belongs to a technical term."""
    term_kld: float
    """Mean divergence at those alone; NaN where there is none."""
    same_top: float
    """Share of positions with the same most probable token."""
    perplexity: float
    perplexity_other: float


def compare_with_reference(
    network: Any, model: LlamaModel, token_rows: Sequence[Sequence[int]], n_threads: int
) -> ReferenceComparison:
    """Every logit of every position of ``token_rows``, from torch and from llama.cpp."""
    differences: list[npt.NDArray[np.float32]] = []
    spreads: list[npt.NDArray[np.float32]] = []
    agreements = 0
    with closing(_context(model, token_rows, n_threads)) as context:
        for row in token_rows:
            expected = logits_of(network, row)
            for start, actual in _windows(context, row):
                wanted = expected[start : start + len(actual)]
                spreads.append(wanted.std(1))
                differences.append(np.abs(wanted - actual).max(1) / spreads[-1])
                agreements += int((wanted.argmax(1) == actual.argmax(1)).sum())
    relative, spread = np.concatenate(differences), np.concatenate(spreads)
    return ReferenceComparison(float(relative.max()), float(spread.mean()), agreements / len(relative))


@dataclass(frozen=True)
class TokenDivergence:
    """The second model against the first on one sequence, at each position that has a next token."""

    kld: npt.NDArray[np.float64]
    """KL(first || second) in nats."""
    is_term: npt.NDArray[np.bool_]
    """Whether the next token belongs to a technical term."""
    same_top: npt.NDArray[np.bool_]
    """Whether the most probable token is the same."""
    surprise: npt.NDArray[np.float64]
    """-log p of the next token in nats, [2, positions]: for the first model and for the second."""


def token_divergence(
    first: LlamaModel, second: LlamaModel, token_rows: Sequence[Sequence[int]], n_threads: int
) -> Iterator[TokenDivergence]:
    """Both models on every sequence."""
    with (
        closing(_context(first, token_rows, n_threads)) as one,
        closing(_context(second, token_rows, n_threads)) as two,
    ):
        for row in token_rows:
            parts = []
            for (start, logits), (_, others) in zip(_windows(one, row), _windows(two, row), strict=True):
                targets = np.array(row[start + 1 : start + 1 + len(logits)], dtype=np.intp)
                p, q = (_log_softmax(part[: len(targets)]) for part in (logits, others))
                places = np.arange(len(targets))
                parts.append(
                    (
                        (np.exp(p) * (p - q)).sum(axis=1),
                        p.argmax(1) == q.argmax(1),
                        -np.stack([p[places, targets], q[places, targets]]),
                    )
                )
            kld, same_top, surprise = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
            yield TokenDivergence(kld, term_tokens(first, row)[1:], same_top, surprise)


def compare_files(
    first: LlamaModel, second: LlamaModel, token_rows: Sequence[Sequence[int]], n_threads: int
) -> FileComparison:
    """Both models on every position of ``token_rows`` that has a next token."""
    rows = list(token_divergence(first, second, token_rows, n_threads))
    kld, is_term = np.concatenate([row.kld for row in rows]), np.concatenate([row.is_term for row in rows])
    surprise = np.concatenate([row.surprise for row in rows], axis=1).mean(axis=1)
    return FileComparison(
        num_tokens=len(kld),
        mean_kld=float(kld.mean()),
        tail_kld=float(np.quantile(kld, _TAIL)),
        num_terms=int(is_term.sum()),
        term_kld=float(kld[is_term].mean()) if is_term.any() else math.nan,
        same_top=float(np.concatenate([row.same_top for row in rows]).mean()),
        perplexity=math.exp(surprise[0]),
        perplexity_other=math.exp(surprise[1]),
    )


def term_tokens(model: LlamaModel, tokens: Sequence[int]) -> npt.NDArray[np.bool_]:
    """bool[tokens]: which ones belong to a technical term, as :mod:`qa_core.terms` tells them."""
    pieces = [model.piece(token) for token in tokens]
    # Half a character, where a row was cut, becomes one character a byte.
    text = b"".join(pieces).decode("utf-8", "surrogateescape")
    byte_of = np.cumsum([0, *(len(character.encode("utf-8", "surrogateescape")) for character in text)])
    ends = np.cumsum([len(piece) for piece in pieces])
    found = np.zeros(len(tokens), dtype=np.bool_)
    for match in token_matches(text):
        if is_technical(match.group()):
            first = np.searchsorted(ends, byte_of[match.start()], "right")
            last = np.searchsorted(ends, byte_of[match.end()], "left")
            found[first : last + 1] = True
    return found


def _context(model: LlamaModel, token_rows: Sequence[Sequence[int]], n_threads: int) -> LlamaContext:
    return LlamaContext(model, max(map(len, token_rows)), 1, _WINDOW, n_threads)


def _windows(context: LlamaContext, tokens: Sequence[int]) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """Start and logits [positions, vocabulary] of consecutive pieces of one sequence."""
    context.clear()
    for start in range(0, len(tokens), _WINDOW):
        window = tokens[start : start + _WINDOW]
        count = len(window)
        context.decode(window, range(start, start + count), [0] * count, [True] * count)
        yield start, np.stack([context.logits(row) for row in range(count)])


def _log_softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    result: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
