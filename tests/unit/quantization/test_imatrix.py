from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pyarrow as pa
import pytest

from qa_core.errors import UserError
from qa_core.generation.chat import build_messages
from qa_core.quantization.calibration import calibration_rows, turns
from qa_core.quantization.imatrix import ImportanceMatrix, collect
from qa_core.schemas import QA, Message, Passage


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


def conversations(shown: int = 6) -> pa.Table:
    """Twelve training rows, the first ``shown`` of them with a passage, and four test rows."""
    rows = []
    for n in range(16):
        text = f"Block {n} stores 256 values with one scale."
        passages = (
            [Passage(f"c{n}", "d", "a.md", "A", ("S",), 0, len(text), 9, 0.5, "A > S", text)] if n < shown else []
        )
        messages = build_messages(f"What does block {n} store?", passages)
        messages.append(Message(role="assistant", content="256 values."))
        ids = [passage.chunk_id for passage in passages]
        split = "train" if n < 12 else "test"
        rows.append({"qa_id": f"q{n:02}", "split": split, "context_chunk_ids": ids, "messages": messages})
    return pa.Table.from_pylist(rows, QA)


def decoded(model: Path, rows: list[list[int]]) -> list[str]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    return [tokenizer.decode(row) for row in rows]


def test_calibration_text_is_training_conversations_in_the_served_template(tiny_model: Path) -> None:
    texts = decoded(tiny_model, calibration_rows(tiny_model, conversations(), split="train", rows=10, length=400))
    assert len(texts) == 10
    assert all(text.startswith("<|im_start|>system\n") and "256 values." in text for text in texts)
    assert not any(f"block {number} store?" in text for text in texts for number in range(12, 16))


@pytest.mark.parametrize(("shown", "expected"), [(6, 5), (2, 2), (11, 8), (0, 0), (12, 9)])
def test_as_many_conversations_have_passages_as_have_none_where_there_are_enough(
    tiny_model: Path, shown: int, expected: int
) -> None:
    rows = calibration_rows(tiny_model, conversations(shown), split="train", rows=9, length=400)
    texts = decoded(tiny_model, rows)
    assert (len(texts), sum("<sources>" in text for text in texts)) == (9, expected)


def test_fewer_rows_than_asked_for_are_all_taken(tiny_model: Path) -> None:
    assert len(calibration_rows(tiny_model, conversations(3), split="train", rows=50, length=400)) == 12


def test_calibration_rows_do_not_depend_on_the_order_of_the_table(tiny_model: Path) -> None:
    qa = conversations()
    rows = calibration_rows(tiny_model, qa, split="train", rows=5, length=30)
    assert rows == calibration_rows(tiny_model, qa.take(list(range(15, -1, -1))), split="train", rows=5, length=30)
    assert max(map(len, rows)) == 30


def test_the_texts_for_the_tokenizer_are_all_turns_once() -> None:
    texts = turns(conversations(1))
    assert len(texts) == len(set(texts)) == 2 + 16 + 1  # two system turns, sixteen questions, one answer
    assert any("Block 0 stores 256 values" in text for text in texts)


def test_an_empty_split_is_refused_by_name(tiny_model: Path) -> None:
    with pytest.raises(UserError, match="no validation row"):
        calibration_rows(tiny_model, conversations(), split="validation", rows=5, length=30)
