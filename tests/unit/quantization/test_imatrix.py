from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pyarrow as pa
import pytest

from qa_core.errors import UserError
from qa_core.quantization.calibration import calibration_rows
from qa_core.quantization.imatrix import ImportanceMatrix, collect
from qa_core.schemas import CHUNKS, QA


def equal(a: ImportanceMatrix, b: ImportanceMatrix) -> bool:
    same = all(np.array_equal(a.sums[name], b.sums[name]) for name in a.sums)
    return (
        same and a.sums.keys() == b.sums.keys() and (a.counts, a.num_rows, a.length) == (b.counts, b.num_rows, b.length)
    )


def test_the_sums_are_those_of_the_layers_inputs(tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    row = list(range(20, 60))
    matrix = collect(tiny_model, [row])
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    with torch.inference_mode():
        hidden = model.model.embed_tokens(torch.tensor([row]))
        expected = model.model.layers[0].input_layernorm(hidden).double().square().sum((0, 1))
    np.testing.assert_allclose(matrix.sums["blk.0.attn_k.weight"], expected, rtol=1e-5)
    assert matrix.counts["blk.0.attn_k.weight"] == 40
    assert set(matrix.sums) == {
        f"blk.{layer}.{part}.weight"
        for layer in (0, 1)
        for part in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    }


def test_parts_merge_to_exactly_the_whole(tiny_model: Path, token_rows: list[list[int]]) -> None:
    whole = collect(tiny_model, token_rows)
    first, second, third = (collect(tiny_model, token_rows[part]) for part in (slice(0, 3), slice(3, 4), slice(4, 8)))
    assert equal(first.merge(second).merge(third), whole)
    assert equal(third.merge(first.merge(second)), whole)


def test_a_saved_matrix_is_read_back(tiny_model: Path, token_rows: list[list[int]], tmp_path: Path) -> None:
    matrix = collect(tiny_model, token_rows[:2])
    matrix.save(tmp_path / "a.gguf")
    loaded = ImportanceMatrix.load(tmp_path / "a.gguf")
    for name, values in matrix.means.items():
        np.testing.assert_allclose(loaded.means[name], values, rtol=1e-6)
    loaded.save(tmp_path / "b.gguf")
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


def test_the_file_is_llama_cpps_own_format(tiny_model: Path, token_rows: list[list[int]], tmp_path: Path) -> None:
    collect(tiny_model, token_rows[:2]).save(tmp_path / "imatrix.gguf")
    reader = gguf.GGUFReader(tmp_path / "imatrix.gguf")
    assert reader.fields["general.type"].contents() == "imatrix"
    assert reader.fields["imatrix.chunk_count"].contents() == 2
    assert "general.architecture" not in reader.fields
    shapes = {tensor.name: tuple(tensor.shape.tolist()) for tensor in reader.tensors}
    assert shapes["blk.0.ffn_down.weight.in_sum2"] == (768, 1)
    assert shapes["blk.0.ffn_down.weight.counts"] == (1, 1)


def tables() -> tuple[pa.Table, pa.Table]:
    texts = [f"Block {number} stores 256 values with one scale." for number in range(4)]
    chunks = [
        {"chunk_id": f"c{n}", "doc_id": "d", "source": "a.md", "title": "A", "section_path": ["S"], "chunk_index": n,
         "start_char": 0, "end_char": len(text), "num_tokens": 9, "kind": "prose", "density": 0.5,
         "prefix": "A > S", "text": text}
        for n, text in enumerate(texts)
    ]  # fmt: skip
    qa = [
        {"qa_id": f"q{n}", "doc_id": "d", "chunk_ids": [f"c{n % 4}"], "question_type": "factual",
         "question": f"What does block {n} store?", "answer": "256 values.", "evidence": [], "answerable": True,
         "split": "train" if n < 12 else "test", "teacher": "template", "prompt_version": "1"}
        for n in range(16)
    ]  # fmt: skip
    return pa.Table.from_pylist(qa, QA), pa.Table.from_pylist(chunks, CHUNKS)


def test_calibration_text_is_training_conversations_in_the_served_template(tiny_model: Path) -> None:
    from transformers import AutoTokenizer

    qa, chunks = tables()
    rows = calibration_rows(tiny_model, qa, chunks, split="train", rows=10, length=400, top_k=2, seed=1)
    texts = [AutoTokenizer.from_pretrained(tiny_model).decode(row) for row in rows]
    assert len(texts) == 10
    assert all(text.startswith("<|im_start|>system\n") and "256 values." in text for text in texts)
    assert 0 < sum("<sources>" in text for text in texts) < 10
    assert not any(f"block {number} store?" in text for text in texts for number in range(12, 16))


def test_calibration_rows_do_not_depend_on_the_order_of_the_tables(tiny_model: Path) -> None:
    qa, chunks = tables()
    options = {"split": "train", "rows": 5, "length": 30, "top_k": 2, "seed": 1}
    rows = calibration_rows(tiny_model, qa, chunks, **options)
    assert rows == calibration_rows(tiny_model, qa.take(list(range(15, -1, -1))), chunks.take([3, 1, 0, 2]), **options)
    assert max(map(len, rows)) == 30


def test_an_empty_split_is_refused_by_name(tiny_model: Path) -> None:
    qa, chunks = tables()
    with pytest.raises(UserError, match="no validation row"):
        calibration_rows(tiny_model, qa, chunks, split="validation", rows=5, length=30, top_k=2, seed=1)
