"""Quantisations of one model side by side, and the smallest of them that loses little enough."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from qa_core.config import GenerationSettings, ParityLimits
from qa_core.evaluation.metrics import token_f1
from qa_core.generation.chat import strip_citations
from qa_core.generation.engine import Engine, SamplingParams
from qa_core.generation.gguf_header import read_header
from qa_core.generation.llama import LlamaModel
from qa_core.quantization.divergence import compare_files
from qa_core.schemas import Message


@dataclass(frozen=True)
class Asked:
    """A held-out question as it is served, with the answer that a good model gives."""

    messages: Sequence[Message]
    answer: str


@dataclass(frozen=True)
class Compared:
    """One quantisation against the 16-bit file."""

    name: str
    nbytes: int
    bits_per_weight: float
    mean_kld: float
    term_kld: float
    same_top: float
    f1: float
    """Mean token F1 of its answers; NaN where nothing was asked."""
    tokens_per_second: float

    def within(self, limits: ParityLimits, f1_of_f16: float, loss: float) -> bool:
        """It passes the gate's own limits, and its answers lose at most ``loss`` of F1."""
        passes = self.mean_kld <= limits.max_mean_kld and not self.term_kld > limits.max_term_kld
        return passes and not self.f1 < f1_of_f16 - loss


def measure(
    name: str, file: Path, f16: Path, rows: Sequence[Sequence[int]], asked: Sequence[Asked],
    settings: GenerationSettings, n_threads: int,
) -> Compared:  # fmt: skip
    """Figures of ``file``; with ``file == f16`` those of the 16-bit model itself, which diverges from nothing."""
    with closing(LlamaModel(f16)) as original, closing(LlamaModel(file)) as quantized:
        divergence = compare_files(original, quantized, rows, n_threads)
    f1, speed = _answer(file, asked, settings)
    return Compared(
        name, file.stat().st_size, read_header(file).bits_per_weight, divergence.mean_kld, divergence.term_kld,
        divergence.same_top, f1, speed,
    )  # fmt: skip


def smallest_within(compared: Sequence[Compared], f16: Compared, limits: ParityLimits, loss: float) -> Compared | None:
    """None where all of them lose more than ``loss``."""
    good = [one for one in compared if one.within(limits, f16.f1, loss)]
    return min(good, key=lambda one: one.nbytes, default=None)


def _answer(file: Path, asked: Sequence[Asked], settings: GenerationSettings) -> tuple[float, float]:
    """Mean F1 of greedy answers, and tokens a second, many at once as the service decodes."""
    if not asked:
        return float("nan"), float("nan")
    engine = Engine(file, settings)
    try:
        prompts = [engine.chat_prompt(question.messages) for question in asked]
        started = time.perf_counter()
        completions = engine.generate(prompts, SamplingParams(max_tokens=settings.max_tokens, temperature=0.0))
        seconds = time.perf_counter() - started
    finally:
        engine.close()
    scores = [token_f1(strip_citations(c.text), q.answer) for c, q in zip(completions, asked, strict=True)]
    return sum(scores) / len(scores), sum(c.completion_tokens for c in completions) / seconds
