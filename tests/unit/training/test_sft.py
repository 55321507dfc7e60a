"""Training rows: which passages a row is shown, and which tokens the loss counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from transformers import AutoTokenizer

from qa_core.errors import UserError
from qa_core.generation.chat import SYSTEM_STANDALONE, build_messages, cited_numbers
from qa_core.schemas import CHUNKS, QA, Passage
from qa_core.training.sft import PaddingCollator, SftSettings, TrainingExample, build_examples, chat_of, encode
from qa_core.training.tokenizer import save_tokenizer, train_tokenizer

ALWAYS = SftSettings(max_length=4096, context_fraction=1.0, top_k=3, seed=7)
NEVER = SftSettings(max_length=4096, context_fraction=0.0, top_k=3, seed=7)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(train_tokenizer(["A quorum is a majority of the nodes. " * 4], 320), 2048, folder)
    return AutoTokenizer.from_pretrained(folder)


def chunk(number: int) -> dict[str, Any]:
    return {
        "chunk_id": f"c{number}", "doc_id": "d", "source": "d.md", "title": "Title", "section_path": ["Section"],
        "chunk_index": number, "start_char": 0, "end_char": 9, "num_tokens": 5, "kind": "prose",
        "density": 0.5, "prefix": "Title > Section",
        "text": f"Passage text {number}.",
    }  # fmt: skip


def qa_row(qa_id: str = "q0", gold: tuple[str, ...] = ("c2",), split: str = "train", **values: Any) -> dict[str, Any]:
    return {
        "qa_id": qa_id, "doc_id": "d", "chunk_ids": list(gold), "question_type": "factual", "question": "What?",
        "answer": "A majority.", "evidence": [], "answerable": True, "split": split, "teacher": "t",
        "prompt_version": "1", **values,
    }  # fmt: skip


CHUNK_ROWS = [chunk(number) for number in range(8)]
PASSAGES = {row["chunk_id"]: Passage.from_row(row) for row in CHUNK_ROWS}
IDS = sorted(PASSAGES)


def test_labels_are_the_answer_and_its_end_mark_and_nothing_else(tokenizer: Any) -> None:
    example = encode(tokenizer, build_messages("What is a quorum?"), "A majority.")
    ids = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    prompt = ids(
        f"<|im_start|>system\n{SYSTEM_STANDALONE}<|im_end|>\n"
        "<|im_start|>user\nWhat is a quorum?<|im_end|>\n<|im_start|>assistant\n"
    )
    answer = [*ids("A majority."), tokenizer.eos_token_id]
    assert example.input_ids == prompt + answer
    assert example.labels == [-100] * len(prompt) + answer


def test_a_row_without_passages_does_not_cite() -> None:
    messages, answer = chat_of(qa_row(), PASSAGES, IDS, NEVER)
    assert messages == build_messages("What?")
    assert answer == "A majority."


def test_a_row_with_passages_cites_exactly_its_gold_passages() -> None:
    for number in range(20):
        row = qa_row(f"q{number}", gold=("c1", "c5"))
        messages, answer = chat_of(row, PASSAGES, IDS, ALWAYS)
        prompt = messages[-1]["content"]
        cited = {f"Passage text {gold}." for gold in (1, 5)}
        assert {prompt.split(f"[{n}] ")[1].split("\n")[1] for n in cited_numbers(answer, 3)} == cited
        assert prompt.count("Passage text") == 3


def test_gold_passages_do_not_always_stand_in_the_same_place() -> None:
    marks = {chat_of(qa_row(f"q{number}"), PASSAGES, IDS, ALWAYS)[1] for number in range(30)}
    assert marks == {"A majority. [1]", "A majority. [2]", "A majority. [3]"}


def test_an_unanswerable_row_is_shown_passages_but_cites_none() -> None:
    messages, answer = chat_of(qa_row(answerable=False), PASSAGES, IDS, ALWAYS)
    assert messages[-1]["content"].count("Passage text") == 3
    assert answer == "A majority."


def test_more_gold_passages_than_top_k_are_all_shown() -> None:
    messages, _ = chat_of(qa_row(gold=("c0", "c1", "c2", "c3")), PASSAGES, IDS, ALWAYS)
    assert messages[-1]["content"].count("Passage text") == 4


def test_a_rows_draw_depends_on_its_id_and_not_on_its_neighbours(tokenizer: Any) -> None:
    chunks = pa.Table.from_pylist(CHUNK_ROWS, schema=CHUNKS)
    half = SftSettings(max_length=4096, context_fraction=0.5, top_k=3, seed=7)
    rows = [qa_row(f"q{number}") for number in range(40)]
    forward, _ = build_examples(pa.Table.from_pylist(rows, schema=QA), chunks, "train", tokenizer, half)
    backward, _ = build_examples(pa.Table.from_pylist(rows[::-1], schema=QA), chunks, "train", tokenizer, half)
    assert forward == backward[::-1]
    with_passages = sum(len(example.input_ids) > 150 for example in forward)
    assert 10 <= with_passages <= 30


def test_too_long_rows_are_rejected_and_counted_never_cut(tokenizer: Any) -> None:
    rows = [qa_row("short"), qa_row("long", answer="word " * 400), qa_row("other", split="test")]
    chunks = pa.Table.from_pylist(CHUNK_ROWS, schema=CHUNKS)
    settings = SftSettings(max_length=300, context_fraction=0.0, top_k=3, seed=7)
    examples, rejected = build_examples(pa.Table.from_pylist(rows, schema=QA), chunks, "train", tokenizer, settings)
    assert rejected == {"too_long": 1}
    assert len(examples) == 1
    assert examples[0].input_ids[-1] == tokenizer.eos_token_id


def test_batches_are_padded_on_the_right_and_padding_is_no_target() -> None:
    batch = PaddingCollator(0)([TrainingExample([5, 6, 7], [-100, 6, 7]), TrainingExample([8], [8])])
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == [[-100, 6, 7], [8, -100, -100]]


def test_a_template_that_rewrites_the_prompt_is_refused(tokenizer: Any, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    other = AutoTokenizer.from_pretrained(tmp_path)
    other.chat_template = (
        "{% for m in messages %}{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}>{% endif %}"
    )
    with pytest.raises(UserError, match="chat template"):
        encode(other, build_messages("What?"), "A majority.")
