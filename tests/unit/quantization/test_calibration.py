from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from qa_core.config import ConvertSettings, ParityLimits
from qa_core.errors import UserError
from qa_core.generation.chat import build_messages
from qa_core.quantization.calibration import calibration_rows, held_out, turns
from qa_core.schemas import CHUNKS, QA, Message, Passage

SPLITS = {"train": range(12), "validation": range(12, 16), "test": range(16, 20)}
PAPERS = {"train": "learned", "validation": "checked", "test": "asked"}


def conversations(shown: int = 6) -> pa.Table:
    """Twelve training rows, the first ``shown`` of them with a passage, and four each to check and to ask."""
    rows = []
    for split, numbers in SPLITS.items():
        for n in numbers:
            text = f"Block {n} stores 256 values with one scale."
            passages = (
                [Passage(f"c{n}", "d", "a.md", "A", ("S",), 0, len(text), 9, 0.5, "A > S", text)] if n < shown else []
            )
            question = f"What does block {n} store?"
            messages = [*build_messages(question, passages), Message(role="assistant", content="256 values.")]
            ids = [passage.chunk_id for passage in passages]
            rows.append(
                {"qa_id": f"q{n:02}", "doc_id": PAPERS[split], "split": split, "question": question,
                 "context_chunk_ids": ids, "messages": messages}
            )  # fmt: skip
    return pa.Table.from_pylist(rows, QA)


def chunks(count: int = 7) -> pa.Table:
    """``count`` chunks of each of three papers."""
    rows = [
        {"chunk_id": f"{paper}{n}", "doc_id": paper, "source": f"{paper}.md", "title": paper, "section_path": ["S"],
         "chunk_index": n, "start_char": 0, "end_char": 9, "num_tokens": 9, "density": 0.5, "prefix": f"{paper} > S",
         "text": f"The {paper} paper says {n}."}
        for paper in PAPERS.values()
        for n in range(count)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, CHUNKS)


def settings(rows: int = 10, shown: int = 0, length: int = 400, at_least: int = 1) -> ConvertSettings:
    return ConvertSettings(
        calibration_rows=rows, calibration_chunks=shown, calibration_length=length, min_calibration_rows=at_least,
        parity=ParityLimits(greedy_prompts=3),
    )  # fmt: skip


def decoded(model: Path, rows: list[list[int]]) -> list[str]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    return [tokenizer.decode(row) for row in rows]


def calibration_texts(model: Path, qa: pa.Table, wanted: ConvertSettings) -> list[str]:
    return decoded(model, calibration_rows(model, qa, chunks(), wanted))


def test_calibration_text_is_training_conversations_in_the_served_template(tiny_model: Path) -> None:
    texts = calibration_texts(tiny_model, conversations(), settings())
    assert len(texts) == 10
    assert all(text.startswith("<|im_start|>system\n") and "256 values." in text for text in texts)
    assert not any(f"block {number} store?" in text for text in texts for number in range(12, 20))


def test_chunks_of_training_papers_are_shown_as_sources_of_training_questions(tiny_model: Path) -> None:
    texts = calibration_texts(tiny_model, conversations(), settings(rows=2, shown=8))
    assert len(texts) == 2 + 3  # seven chunks, three at a time
    for text in texts[2:]:
        assert "[1] learned > S\nThe learned paper says" in text
        assert text.endswith("<|im_start|>assistant\n")
    assert not any(paper in text for text in texts for paper in ("checked", "asked"))


@pytest.mark.parametrize(("shown", "expected"), [(6, 5), (2, 2), (11, 8), (0, 0), (12, 9)])
def test_as_many_conversations_have_passages_as_have_none_where_there_are_enough(
    tiny_model: Path, shown: int, expected: int
) -> None:
    texts = calibration_texts(tiny_model, conversations(shown), settings(rows=9))
    assert (len(texts), sum("<sources>" in text for text in texts)) == (9, expected)


def test_fewer_rows_than_asked_for_are_all_taken(tiny_model: Path) -> None:
    assert len(calibration_texts(tiny_model, conversations(3), settings(rows=50))) == 12


def test_too_few_calibration_rows_are_refused_with_the_number_that_is_missing(tiny_model: Path) -> None:
    with pytest.raises(UserError, match="there are 12 calibration rows of the training split, which is 8 too few"):
        calibration_texts(tiny_model, conversations(), settings(rows=50, at_least=20))


def test_calibration_rows_do_not_depend_on_the_order_of_the_tables(tiny_model: Path) -> None:
    qa, shown, wanted = conversations(), chunks(), settings(rows=5, shown=2, length=40)
    rows = calibration_rows(tiny_model, qa, shown, wanted)
    reversed_tables = (table.take(list(range(table.num_rows - 1, -1, -1))) for table in (qa, shown))
    assert rows == calibration_rows(tiny_model, *reversed_tables, wanted)
    assert max(map(len, rows)) == 40


def test_checks_are_made_on_validation_rows_and_papers(tiny_model: Path) -> None:
    held = held_out(tiny_model, conversations(), chunks(), settings())
    said = decoded(tiny_model, [*held.conversations, *held.prompts])
    assert len(held.conversations) == 4
    assert len(held.prompts) == 3
    assert all(any(f"block {number} store?" in text for number in range(12, 16)) for text in said)
    assert all(text.endswith("<|im_start|>assistant\n") for text in decoded(tiny_model, list(held.prompts)))
    assert decoded(tiny_model, list(held.corpus)) == [f"The checked paper says {n}." for n in range(7)]


def test_the_texts_for_the_tokenizer_are_all_turns_once() -> None:
    texts = turns(conversations(1))
    assert len(texts) == len(set(texts)) == 2 + 20 + 1  # two system turns, twenty questions, one answer
    assert any("Block 0 stores 256 values" in text for text in texts)


def test_no_validation_row_is_a_user_error(tiny_model: Path) -> None:
    with pytest.raises(UserError, match="no validation row"):
        held_out(tiny_model, conversations().slice(0, 12), chunks(), settings())
