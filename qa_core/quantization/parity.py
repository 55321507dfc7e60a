"""The gate between conversion and service: is the file that will be served still the model that was trained?"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from qa_core.config import ParityLimits
from qa_core.generation.chat import build_messages
from qa_core.generation.llama import LlamaModel
from qa_core.generation.template import ChatTemplate
from qa_core.quantization.calibration import HeldOut
from qa_core.quantization.divergence import compare_files, compare_with_reference
from qa_core.quantization.greedy import greedy_agreement, greedy_from_file, greedy_from_network
from qa_core.quantization.hard_strings import tokenizer_strings
from qa_core.quantization.parity_report import ParityReport
from qa_core.quantization.reference import load_model, load_tokenizer
from qa_core.quantization.turn_end import stop_tokens
from qa_core.schemas import Message, Passage

_REFERENCE_ROWS = 8
"""Sequences that the float32 model is run on: each of its logits is compared, so few suffice."""
_ANSWER = Message(role="assistant", content=" It is. [1]\n")
_ANSWERED = [*build_messages("What is measured?"), _ANSWER]


def check(
    merged: Path, f16: Path, quantized: Path, held_out: HeldOut, limits: ParityLimits,
    *, seed: int, n_threads: int, out: Path,
) -> ParityReport:  # fmt: skip
    """Hold both GGUF files against the Hugging Face folder ``merged``; every check is made, whatever the others say.

    Args:
        out: the report's file.
    """
    report = ParityReport(out)
    with closing(LlamaModel(f16)) as original, closing(LlamaModel(quantized)) as converted:
        _check_tokenizer(merged, converted, held_out.texts, limits, seed, report)
        _check_template(merged, converted, held_out.texts, report)
        _check_turn_end(merged, converted, report)
        _check_reference(merged, original, held_out, limits, n_threads, report)
        _check_quantization(original, converted, held_out, limits, n_threads, report)
    return report


def _check_tokenizer(
    merged: Path, converted: LlamaModel, texts: Sequence[str], limits: ParityLimits, seed: int, report: ParityReport
) -> None:
    tokenizer = load_tokenizer(merged)
    special = [*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()]
    strings = tokenizer_strings(texts, special, limits.tokenizer_strings, seed)
    expected = tokenizer(strings, add_special_tokens=False)["input_ids"]
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
    stops = stop_tokens(merged, _ANSWERED)
    ignored = [token for token in stops if not converted.ends_generation(token)]
    detail = f"does not end an answer: {converted.token_text(ignored[0])!r}" if ignored else ""
    report.require("turn_end", len(ignored), "<=", 0, detail or ("" if stops else "nothing ends an answer"))


def _conversations(texts: Sequence[str]) -> list[list[Message]]:
    """As they are served: alone, with passages, and with an answer and a second question."""
    passages = [
        Passage(str(number), "d", "s.md", "Title", ("A", "B"), 0, len(text), 0, 0.0, "Title > A > B", text)
        for number, text in enumerate(texts[:2])
    ]
    alone, with_sources = build_messages("What is measured?"), build_messages("  Why? <b>&amp;</b>\n", passages)
    return [alone, with_sources, [*with_sources, _ANSWER, Message(role="user", content="And \u6771\u4eac?")]]


def _check_reference(
    merged: Path, original: LlamaModel, held_out: HeldOut, limits: ParityLimits, n_threads: int, report: ParityReport
) -> None:
    """The F16 file against the network in float32: its logits, and the answers that it gives."""
    network = load_model(merged, n_threads)
    measured = compare_with_reference(network, original, held_out.conversations[:_REFERENCE_ROWS], n_threads)
    report.record(logit_spread=measured.spread)
    report.require("f16_logits", measured.max_difference, "<=", limits.max_logit_difference)
    report.require("f16_argmax", measured.argmax_agreement, ">=", limits.min_argmax_agreement)
    answers = greedy_from_network(network, held_out.prompts, limits.greedy_tokens, stop_tokens(merged, _ANSWERED))
    ours = greedy_from_file(original, held_out.prompts, limits.greedy_tokens, n_threads)
    report.record(greedy_prompts=len(held_out.prompts))
    report.require("f16_greedy", greedy_agreement(answers, ours), ">=", limits.min_greedy_agreement)


def _check_quantization(
    original: LlamaModel, converted: LlamaModel, held_out: HeldOut, limits: ParityLimits, n_threads: int,
    report: ParityReport,
) -> None:  # fmt: skip
    """The quantised file against the F16 file."""
    measured = compare_files(original, converted, held_out.conversations, n_threads)
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
    if held_out.corpus:
        text = compare_files(original, converted, held_out.corpus, n_threads)
        report.record(
            corpus_tokens=text.num_tokens,
            corpus_perplexity_f16=text.perplexity,
            corpus_perplexity_quantized=text.perplexity_other,
        )
        ratio = text.perplexity_other / text.perplexity
        report.require("corpus_perplexity", ratio, "<=", limits.max_perplexity_ratio)
    answers, others = (
        greedy_from_file(model, held_out.prompts, limits.greedy_tokens, n_threads) for model in (original, converted)
    )
    report.record(quantized_greedy=greedy_agreement(answers, others))
