from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

from qa_core.config import ParityLimits
from qa_core.quantization import parity
from qa_core.quantization.convert import write_gguf
from qa_core.quantization.hard_strings import HARD_STRINGS, tokenizer_strings
from qa_core.quantization.imatrix import collect
from qa_core.quantization.quantize import quantize

TEXTS = ["Block 3 stores 256 values with one scale.", "東京大学 reported $x^2$ and `code()`.\n\n| a | b |"]
LIMITS = ParityLimits(tokenizer_strings=300, min_argmax_agreement=0.98)


@pytest.fixture(scope="module")
def q4(
    tiny_model: Path, tiny_gguf: Path, token_rows: list[list[int]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("q4") / "q4.gguf"
    quantize(tiny_gguf, out, "Q4_K_M", collect(tiny_model, token_rows), n_threads=1)
    return out


def check(
    merged: Path, f16: Path, quantized: Path, rows: Any, out: Path, limits: ParityLimits = LIMITS
) -> dict[str, Any]:
    return parity.check(merged, f16, quantized, TEXTS, rows, limits, seed=1, n_threads=1, out=out)


def failed_check(merged: Path, f16: Path, quantized: Path, rows: Any, out: Path, limits: ParityLimits = LIMITS) -> str:
    """Name of the check that fails; it is also the last one in the report, marked as failed."""
    with pytest.raises(parity.ParityFailed) as caught:
        check(merged, f16, quantized, rows, out, limits)
    checks = json.loads(out.read_text())["checks"]
    assert list(checks)[-1] == caught.value.check
    assert checks[caught.value.check]["passed"] is False
    return caught.value.check


def test_a_faithful_conversion_passes_every_check(
    tiny_model: Path, tiny_gguf: Path, q4: Path, token_rows: list[list[int]], tmp_path: Path
) -> None:
    report = check(tiny_model, tiny_gguf, q4, token_rows, tmp_path / "parity.json")
    assert list(report["checks"]) == [
        "tokenizer", "chat_template", "turn_end", "f16_logits", "f16_argmax", "quantized_kld", "term_kld",
    ]  # fmt: skip
    assert all(entry["passed"] for entry in report["checks"].values())
    assert report["measured"]["tokenizer_strings"] == 300
    assert report["measured"]["perplexity_quantized"] > 1
    assert report["measured"]["tail_kld"] >= report["checks"]["quantized_kld"]["value"]
    assert report["measured"]["term_tokens"] > 5
    assert json.loads((tmp_path / "parity.json").read_text()) == report
    first = (tmp_path / "parity.json").read_bytes()
    check(tiny_model, tiny_gguf, q4, token_rows, tmp_path / "parity.json")
    assert (tmp_path / "parity.json").read_bytes() == first


def sabotaged(model: Path, out: Path) -> Path:
    return shutil.copytree(model, out)


def test_a_changed_chat_template_is_found(
    tiny_model: Path, tiny_gguf: Path, q4: Path, token_rows: list[list[int]], tmp_path: Path
) -> None:
    changed = sabotaged(tiny_model, tmp_path / "m")
    template = changed / "chat_template.jinja"
    template.write_text(template.read_text().replace("assistant\\n", "assistant \\n"))
    assert failed_check(changed, tiny_gguf, q4, token_rows, tmp_path / "parity.json") == "chat_template"


def test_a_changed_tokenizer_is_found(
    tiny_model: Path, tiny_gguf: Path, q4: Path, token_rows: list[list[int]], tmp_path: Path
) -> None:
    changed = sabotaged(tiny_model, tmp_path / "m")
    tokenizer = json.loads((changed / "tokenizer.json").read_text())
    tokenizer["model"]["merges"] = tokenizer["model"]["merges"][:100]
    (changed / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert failed_check(changed, tiny_gguf, q4, token_rows, tmp_path / "parity.json") == "tokenizer"


def test_an_end_of_turn_that_the_file_would_run_over_is_found(
    tiny_model: Path, tiny_gguf: Path, q4: Path, token_rows: list[list[int]], tmp_path: Path
) -> None:
    changed = sabotaged(tiny_model, tmp_path / "m")
    settings = json.loads((changed / "generation_config.json").read_text())
    (changed / "generation_config.json").write_text(json.dumps(settings | {"eos_token_id": [300]}))
    assert failed_check(changed, tiny_gguf, q4, token_rows, tmp_path / "parity.json") == "turn_end"


def test_swapped_tensors_are_found(
    tiny_model: Path, tiny_gguf: Path, q4: Path, token_rows: list[list[int]], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    changed = sabotaged(tiny_model, tmp_path / "m")
    weights = load_file(changed / "model.safetensors")
    up, gate = "model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.gate_proj.weight"
    weights[up], weights[gate] = weights[gate].clone(), weights[up].clone()
    save_file(weights, changed / "model.safetensors", metadata={"format": "pt"})
    write_gguf(changed, tmp_path / "swapped.gguf")
    failed = failed_check(tiny_model, tmp_path / "swapped.gguf", q4, token_rows, tmp_path / "parity.json")
    assert failed == "f16_logits"


def test_a_quantisation_that_is_too_coarse_is_found(
    tiny_model: Path, tiny_gguf: Path, q4: Path, token_rows: list[list[int]], tmp_path: Path
) -> None:
    limits = LIMITS.model_copy(update={"max_mean_kld": 1e-9})
    assert failed_check(tiny_model, tiny_gguf, q4, token_rows, tmp_path / "p.json", limits) == "quantized_kld"


def test_technical_terms_are_judged_apart(
    tiny_model: Path, tiny_gguf: Path, q4: Path, token_rows: list[list[int]], tmp_path: Path
) -> None:
    limits = LIMITS.model_copy(update={"max_term_kld": 1e-9})
    assert failed_check(tiny_model, tiny_gguf, q4, token_rows, tmp_path / "p.json", limits) == "term_kld"


def test_a_failure_names_its_check_and_crosses_process_borders() -> None:
    error = parity.ParityFailed("f16_logits", 0.31, 0.05)
    assert str(error) == "parity check f16_logits failed: 0.31, the limit is 0.05"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_value_that_is_no_number_fails(tmp_path: Path) -> None:
    report = parity.ParityReport(tmp_path / "parity.json")
    with pytest.raises(parity.ParityFailed):
        report.require("f16_logits", float("nan"), "<=", 0.05)


def test_tokenizer_strings_are_the_hard_ones_and_seeded_pieces_of_the_corpus() -> None:
    strings = tokenizer_strings(TEXTS, 200, seed=1)
    assert strings[: len(HARD_STRINGS)] == list(HARD_STRINGS)
    assert strings == tokenizer_strings(TEXTS, 200, seed=1) != tokenizer_strings(TEXTS, 200, seed=2)
    assert all(any(piece in text for text in TEXTS) for piece in strings[len(HARD_STRINGS) :])
