from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from qa_core.config import ParityLimits
from qa_core.quantization import parity
from qa_core.quantization.calibration import HeldOut
from qa_core.quantization.convert import write_gguf
from qa_core.quantization.hard_strings import HARD_STRINGS, tokenizer_strings
from qa_core.quantization.moments import collect
from qa_core.quantization.parity_report import ParityReport
from qa_core.quantization.quantize import quantize

TEXTS = ["Block 3 stores 256 values with one scale.", "東京大学 reported $x^2$ and `code()`.\n\n| a | b |"]
LIMITS = ParityLimits(tokenizer_strings=300, min_argmax_agreement=0.98, greedy_tokens=8)


@pytest.fixture(scope="module")
def q4(
    tiny_model: Path, tiny_gguf: Path, token_rows: list[list[int]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("q4") / "q4.gguf"
    quantize(tiny_gguf, out, "Q4_K_M", collect(tiny_model, token_rows).importance, n_threads=1)
    return out


@pytest.fixture(scope="module")
def held_out(token_rows: list[list[int]]) -> HeldOut:
    return HeldOut(TEXTS, token_rows, [row[: len(row) // 2] for row in token_rows], token_rows[:3])


def check(
    merged: Path, f16: Path, quantized: Path, held_out: HeldOut, out: Path, limits: ParityLimits = LIMITS
) -> ParityReport:
    return parity.check(merged, f16, quantized, held_out, limits, seed=1, n_threads=1, out=out)


def failed_checks(report: ParityReport) -> list[str]:
    """Names of the checks that do not hold; the line and the table for people name the same ones."""
    content = json.loads(report.path.read_text())
    failed = [name for name, entry in content["checks"].items() if not entry["passed"]]
    assert content["passed"] == (not failed)
    assert [name.replace("_", " ") for name, _, said in report.table if said.endswith("FAILED")] == [
        name.replace("_", " ") for name in failed
    ]
    assert all(f"{name} is" in report.failure for name in failed)
    return failed


def test_a_faithful_conversion_passes_every_check(
    tiny_model: Path, tiny_gguf: Path, q4: Path, held_out: HeldOut, tmp_path: Path
) -> None:
    report = check(tiny_model, tiny_gguf, q4, held_out, tmp_path / "parity.json")
    assert list(report.checks) == [
        "tokenizer", "chat_template", "turn_end", "f16_logits", "f16_argmax", "f16_greedy", "quantized_kld",
        "term_kld", "corpus_perplexity",
    ]  # fmt: skip
    assert failed_checks(report) == []
    assert report.failure == ""
    measured = report.measured
    assert measured["tokenizer_strings"] == 300
    assert measured["perplexity_quantized"] > 1
    assert measured["tail_kld"] >= report.checks["quantized_kld"].value
    assert measured["term_tokens"] > 5
    assert measured["corpus_tokens"] == sum(len(row) - 1 for row in held_out.corpus)
    assert measured["greedy_prompts"] == 8
    assert json.loads(report.path.read_text())["measured"] == measured
    first = report.path.read_bytes()
    check(tiny_model, tiny_gguf, q4, held_out, tmp_path / "parity.json")
    assert report.path.read_bytes() == first


def sabotaged(model: Path, out: Path) -> Path:
    return shutil.copytree(model, out)


def test_a_changed_chat_template_is_found(
    tiny_model: Path, tiny_gguf: Path, q4: Path, held_out: HeldOut, tmp_path: Path
) -> None:
    changed = sabotaged(tiny_model, tmp_path / "m")
    template = changed / "chat_template.jinja"
    template.write_text(template.read_text().replace("assistant\\n", "assistant \\n"))
    assert "chat_template" in failed_checks(check(changed, tiny_gguf, q4, held_out, tmp_path / "parity.json"))


def test_a_changed_tokenizer_is_found(
    tiny_model: Path, tiny_gguf: Path, q4: Path, held_out: HeldOut, tmp_path: Path
) -> None:
    changed = sabotaged(tiny_model, tmp_path / "m")
    tokenizer = json.loads((changed / "tokenizer.json").read_text())
    tokenizer["model"]["merges"] = tokenizer["model"]["merges"][:100]
    (changed / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert "tokenizer" in failed_checks(check(changed, tiny_gguf, q4, held_out, tmp_path / "parity.json"))


def test_an_end_of_turn_that_the_file_would_run_over_is_found(
    tiny_model: Path, tiny_gguf: Path, q4: Path, held_out: HeldOut, tmp_path: Path
) -> None:
    changed = sabotaged(tiny_model, tmp_path / "m")
    settings = json.loads((changed / "generation_config.json").read_text())
    (changed / "generation_config.json").write_text(json.dumps(settings | {"eos_token_id": [300]}))
    assert "turn_end" in failed_checks(check(changed, tiny_gguf, q4, held_out, tmp_path / "parity.json"))


def test_swapped_tensors_are_found(
    tiny_model: Path, tiny_gguf: Path, q4: Path, held_out: HeldOut, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    changed = sabotaged(tiny_model, tmp_path / "m")
    weights = load_file(changed / "model.safetensors")
    up, gate = "model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.gate_proj.weight"
    weights[up], weights[gate] = weights[gate].clone(), weights[up].clone()
    save_file(weights, changed / "model.safetensors", metadata={"format": "pt"})
    write_gguf(changed, tmp_path / "swapped.gguf")
    failed = failed_checks(check(tiny_model, tmp_path / "swapped.gguf", q4, held_out, tmp_path / "parity.json"))
    assert failed[0] == "f16_logits"


def test_a_merge_onto_four_bit_weights_is_found(
    tiny_model: Path, tiny_gguf: Path, q4: Path, held_out: HeldOut, tmp_path: Path
) -> None:
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit
    from safetensors.torch import load_file, save_file

    rounded = sabotaged(tiny_model, tmp_path / "m")
    weights = load_file(rounded / "model.safetensors")
    for name, weight in weights.items():
        if "_proj.weight" in name:
            weights[name] = dequantize_4bit(*quantize_4bit(weight, quant_type="nf4")).to(weight.dtype)
    save_file(weights, rounded / "model.safetensors", metadata={"format": "pt"})
    write_gguf(rounded, tmp_path / "nf4.gguf")
    failed = failed_checks(check(tiny_model, tmp_path / "nf4.gguf", q4, held_out, tmp_path / "parity.json"))
    assert failed[0] == "f16_logits"


def test_a_permuted_tensor_is_found(
    tiny_model: Path, tiny_gguf: Path, q4: Path, held_out: HeldOut, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    changed = sabotaged(tiny_model, tmp_path / "m")
    weights = load_file(changed / "model.safetensors")
    name = "model.layers.1.self_attn.o_proj.weight"
    weights[name] = weights[name][torch.randperm(256, generator=torch.Generator().manual_seed(1))].contiguous()
    save_file(weights, changed / "model.safetensors", metadata={"format": "pt"})
    write_gguf(changed, tmp_path / "permuted.gguf")
    failed = failed_checks(check(tiny_model, tmp_path / "permuted.gguf", q4, held_out, tmp_path / "parity.json"))
    assert failed[0] == "f16_logits"


def test_a_quantisation_that_is_too_coarse_is_found(
    tiny_model: Path, tiny_gguf: Path, q4: Path, held_out: HeldOut, tmp_path: Path
) -> None:
    limits = LIMITS.model_copy(update={"max_mean_kld": 1e-9})
    assert "quantized_kld" in failed_checks(check(tiny_model, tiny_gguf, q4, held_out, tmp_path / "p.json", limits))


def test_technical_terms_are_judged_apart(
    tiny_model: Path, tiny_gguf: Path, q4: Path, held_out: HeldOut, tmp_path: Path
) -> None:
    limits = LIMITS.model_copy(update={"max_term_kld": 1e-9})
    assert "term_kld" in failed_checks(check(tiny_model, tiny_gguf, q4, held_out, tmp_path / "p.json", limits))


def test_a_value_that_is_no_number_fails(tmp_path: Path) -> None:
    report = ParityReport(tmp_path / "parity.json")
    report.require("f16_logits", float("nan"), "<=", 0.05)
    assert failed_checks(report) == ["f16_logits"]


def test_a_failure_is_told_in_one_line(tmp_path: Path) -> None:
    report = ParityReport(tmp_path / "parity.json")
    report.require("tokenizer", 2, "<=", 0, "first: 'x'")
    report.require("turn_end", 0, "<=", 0)
    report.require("f16_argmax", 0.5, ">=", 0.99)
    assert report.failure == "tokenizer is 2 instead of <= 0 (first: 'x'); f16_argmax is 0.5 instead of >= 0.99"


def test_tokenizer_strings_are_the_hard_ones_the_special_ones_and_seeded_pieces_of_the_corpus() -> None:
    special = ["<|im_end|>", "<tool>"]
    strings = tokenizer_strings(TEXTS, special, 200, seed=1)
    hard = len(HARD_STRINGS)
    assert strings[:hard] == list(HARD_STRINGS)
    assert strings[hard : hard + 6 : 3] == special
    assert len(strings) == 200
    assert strings == tokenizer_strings(TEXTS, special, 200, seed=1) != tokenizer_strings(TEXTS, special, 200, seed=2)
    assert all(any(piece in text for text in TEXTS) for piece in strings[hard + 6 :])


def test_no_special_token_is_left_out_however_few_strings_are_asked_for() -> None:
    special = [f"<|{number}|>" for number in range(100)]
    assert set(special) <= set(tokenizer_strings(TEXTS, special, 10, seed=1))
