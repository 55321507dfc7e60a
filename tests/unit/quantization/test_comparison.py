from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from qa_core.config import GenerationCompute, GenerationSettings, ParityLimits
from qa_core.generation.chat import build_messages
from qa_core.quantization.comparison import Asked, Compared, measure, smallest_within
from qa_core.quantization.quantize import quantize

SETTINGS = GenerationSettings(n_ctx=256, max_tokens=8, n_seq_max=2, compute=GenerationCompute(n_threads=1))
LIMITS = ParityLimits(max_mean_kld=0.1, max_term_kld=0.1)


def compared(name: str, nbytes: int, kld: float = 0.01, term_kld: float = 0.01, f1: float = 0.5) -> Compared:
    return Compared(name, nbytes, 4.5, kld, term_kld, 0.9, f1, 100.0)


def test_a_type_is_measured_against_the_16_bit_file(
    tiny_gguf: Path, token_rows: Sequence[Sequence[int]], tmp_path: Path
) -> None:
    quantize(tiny_gguf, tmp_path / "q4.gguf", "Q4_K_M", None, n_threads=1)
    asked = [Asked(build_messages("What is compared?"), "each query"), Asked(build_messages("Why?"), "because")]
    f16, q4 = (
        measure(name, file, tiny_gguf, token_rows, asked, SETTINGS, 1)
        for name, file in (("F16", tiny_gguf), ("Q4_K_M", tmp_path / "q4.gguf"))
    )
    assert (f16.mean_kld, f16.same_top) == (0.0, 1.0)
    assert q4.mean_kld > 0
    assert q4.nbytes == (tmp_path / "q4.gguf").stat().st_size < f16.nbytes
    assert q4.bits_per_weight < 7 < f16.bits_per_weight
    assert 0 <= q4.f1 <= 1
    assert q4.tokens_per_second > 0


def test_without_questions_there_is_no_answer_to_judge(tiny_gguf: Path, token_rows: Sequence[Sequence[int]]) -> None:
    one = measure("F16", tiny_gguf, tiny_gguf, token_rows[:1], [], SETTINGS, 1)
    assert math.isnan(one.f1)
    assert smallest_within([one], one, LIMITS, loss=0.0) == one


def test_the_smallest_that_loses_little_enough_is_chosen() -> None:
    f16 = compared("F16", 100, kld=0.0, f1=0.50)
    large, small, tiny = compared("Q8_0", 50), compared("Q4_K_M", 30, f1=0.49), compared("IQ4_XS", 20, f1=0.47)
    assert smallest_within([large, small, tiny], f16, LIMITS, loss=0.02) == small
    assert smallest_within([large, small, tiny], f16, LIMITS, loss=0.05) == tiny
    assert smallest_within([large, small, tiny], f16, LIMITS, loss=0.0) == large


def test_a_type_that_the_gate_would_refuse_is_not_chosen() -> None:
    f16 = compared("F16", 100, kld=0.0)
    wide, terms = compared("Q4_K_M", 30, kld=0.2), compared("IQ4_XS", 20, term_kld=0.2)
    assert smallest_within([wide, terms], f16, LIMITS, loss=1.0) is None
