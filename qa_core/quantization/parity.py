"""The gate between conversion and service: is the file that will be served still the model that was trained?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from qa_core.config import ParityLimits
from qa_core.generation.chat import build_messages
from qa_core.generation.llama import LlamaModel
from qa_core.generation.template import ChatTemplate
from qa_core.quantization.divergence import compare_files, compare_with_reference
from qa_core.quantization.hard_strings import tokenizer_strings
from qa_core.quantization.reference import load_model, load_tokenizer
from qa_core.quantization.turn_end import stop_tokens
from qa_core.schemas import Message, Passage

_REFERENCE_ROWS = 8
"""Sequences that the float32 model is run on: each of its logits is compared, so few suffice."""
_ANSWER = Message(role="assistant", content=" It is. [1]\n")
_ANSWERED = [*build_messages("What is measured?"), _ANSWER]


class ParityFailed(RuntimeError):
    """A converted file is not the model it was made from."""

    def __init__(self, check: str, value: float, limit: float, detail: str = "") -> None:
        super().__init__(f"parity check {check} failed: {value:g}, the limit is {limit:g}{detail and f' ({detail})'}")
        self.check, self.value, self.limit, self.detail = check, value, limit, detail

    def __reduce__(self) -> tuple[type[ParityFailed], tuple[str, float, float, str]]:
        return type(self), (self.check, self.value, self.limit, self.detail)


@dataclass
class ParityReport:
    """Writes every figure to ``path`` as soon as it is known, so that a failure leaves its evidence."""

    path: Path
    content: dict[str, Any] = field(default_factory=lambda: {"checks": {}, "measured": {}})

    def require(
        self, check: str, value: float, comparison: Literal["<=", ">="], limit: float, detail: str = ""
    ) -> None:
        """Record a check; raises :class:`ParityFailed` when it does not hold. A value that is no number fails."""
        passed = value <= limit if comparison == "<=" else value >= limit
        figures = {"value": _rounded(value), "comparison": comparison, "limit": limit, "passed": passed}
        self.content["checks"][check] = figures | ({"detail": detail} if detail else {})
        self._write()
        if not passed:
            raise ParityFailed(check, value, limit, detail)

    def record(self, **figures: float) -> None:
        self.content["measured"] |= {name: _rounded(value) for name, value in figures.items()}
        self._write()

    def _write(self) -> None:
        self.path.write_text(json.dumps(self.content, indent=2) + "\n", encoding="utf-8")


def check(
    merged: Path,
    f16: Path,
    quantized: Path,
    texts: Sequence[str],
    token_rows: Sequence[Sequence[int]],
    limits: ParityLimits,
    *,
    seed: int,
    n_threads: int,
    out: Path,
) -> dict[str, Any]:
    """Hold both GGUF files against the Hugging Face folder ``merged``; writes ``out`` and returns its content.

    Args:
        texts: conversation turns, of which pieces are tokenised both ways.
        token_rows: held-out conversations, at least two tokens each.

    Raises:
        ParityFailed: names the first check that does not hold.
    """
    report = ParityReport(out)
    original, converted = LlamaModel(f16), LlamaModel(quantized)
    try:
        _check_tokenizer(merged, converted, tokenizer_strings(texts, limits.tokenizer_strings, seed), report)
        _check_template(merged, converted, texts, report)
        _check_turn_end(merged, converted, report)
        _check_logits(merged, original, token_rows[:_REFERENCE_ROWS], limits, n_threads, report)
        _check_quantization(original, converted, token_rows, limits, n_threads, report)
    finally:
        original.close()
        converted.close()
    return report.content


def _check_tokenizer(merged: Path, converted: LlamaModel, strings: Sequence[str], report: ParityReport) -> None:
    tokenizer = load_tokenizer(merged)
    expected = tokenizer(list(strings), add_special_tokens=False)["input_ids"]
    wrong = [text for text, ids in zip(strings, expected, strict=True) if converted.tokenize(text) != list(ids)]
    report.record(tokenizer_strings=len(strings))
    report.require("tokenizer", len(wrong), "<=", 0, f"first: {wrong[0]!r}" if wrong else "")


def _check_template(merged: Path, converted: LlamaModel, texts: Sequence[str], report: ParityReport) -> None:
    tokenizer = load_tokenizer(merged)
    template = ChatTemplate(converted.chat_template or "", converted.bos_text, converted.eos_text)
    wrong = [
        index
        for index, messages in enumerate(_conversations(texts))
        for prompt in (True, False)
        if template.render(messages, prompt)
        != tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
    ]
    report.require("chat_template", len(wrong), "<=", 0, f"first: conversation {wrong[0]}" if wrong else "")


def _check_turn_end(merged: Path, converted: LlamaModel, report: ParityReport) -> None:
    """Whatever ends an answer for the model must end it in the file too, or the service talks on."""
    ignored = [token for token in stop_tokens(merged, _ANSWERED) if not converted.ends_generation(token)]
    detail = f"does not end an answer: {converted.token_text(ignored[0])!r}" if ignored else ""
    report.require("turn_end", len(ignored), "<=", 0, detail)


def _conversations(texts: Sequence[str]) -> list[list[Message]]:
    """As they are served: alone, with passages, and with an answer and a second question."""
    passages = [
        Passage(str(number), "d", "s.md", "Title", ("A", "B"), 0, len(text), 0, 0.0, "Title > A > B", text)
        for number, text in enumerate(texts[:2])
    ]
    alone, with_sources = build_messages("What is measured?"), build_messages("  Why? <b>&amp;</b>\n", passages)
    return [alone, with_sources, [*with_sources, _ANSWER, Message(role="user", content="And \u6771\u4eac?")]]


def _check_logits(
    merged: Path,
    original: LlamaModel,
    token_rows: Sequence[Sequence[int]],
    limits: ParityLimits,
    n_threads: int,
    report: ParityReport,
) -> None:
    network = load_model(merged, "float32", n_threads)
    measured = compare_with_reference(network, original, token_rows, n_threads)
    report.require("f16_logits", measured.max_difference, "<=", limits.max_logit_difference)
    report.require("f16_argmax", measured.argmax_agreement, ">=", limits.min_argmax_agreement)


def _check_quantization(
    original: LlamaModel,
    converted: LlamaModel,
    token_rows: Sequence[Sequence[int]],
    limits: ParityLimits,
    n_threads: int,
    report: ParityReport,
) -> None:
    measured = compare_files(original, converted, token_rows, n_threads)
    report.record(
        tokens=measured.num_tokens,
        same_top_1=measured.same_top,
        perplexity_f16=measured.perplexity,
        perplexity_quantized=measured.perplexity_other,
        tail_kld=measured.tail_kld,
        term_tokens=measured.num_terms,
    )
    report.require("quantized_kld", measured.mean_kld, "<=", limits.max_mean_kld)
    if measured.num_terms:
        report.require("term_kld", measured.term_kld, "<=", limits.max_term_kld)


def _rounded(value: float) -> float:
    """Six digits of a measurement: the rest is noise of the order of summation. Counts stay whole."""
    return value if isinstance(value, int) else float(f"{value:.6g}")
