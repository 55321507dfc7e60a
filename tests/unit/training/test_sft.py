"""Training rows: they are the data set's conversations, and the loss counts the last turn only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from transformers import AutoTokenizer

from qa_core.config import ContextSettings
from qa_core.dataset.conversations import converse
from qa_core.errors import UserError
from qa_core.generation.chat import SYSTEM_STANDALONE, build_messages
from qa_core.schemas import QA, Message, Passage
from qa_core.training.sft import build_examples, encode
from qa_core.training.tokenizer import save_tokenizer, train_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(train_tokenizer(["A quorum is a majority of the nodes. " * 4], 320), 2048, folder)
    return AutoTokenizer.from_pretrained(folder)


def conversation(answer: str = "A majority.", question: str = "What is a quorum?") -> list[Message]:
    return [*build_messages(question), Message(role="assistant", content=answer)]


def qa_table(*rows: tuple[str, list[Message]]) -> pa.Table:
    return pa.Table.from_pylist(
        [{"qa_id": f"q{n}", "split": split, "messages": messages} for n, (split, messages) in enumerate(rows)],
        schema=QA,
    )


def ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def test_labels_are_the_answer_and_its_end_mark_and_nothing_else(tokenizer: Any) -> None:
    example = encode(tokenizer, conversation())
    prompt = ids(
        tokenizer,
        f"<|im_start|>system\n{SYSTEM_STANDALONE}<|im_end|>\n"
        "<|im_start|>user\nWhat is a quorum?<|im_end|>\n<|im_start|>assistant\n",
    )
    answer = [*ids(tokenizer, "A majority."), tokenizer.eos_token_id]
    assert example.input_ids == prompt + answer
    assert example.labels == [-100] * len(prompt) + answer


def test_in_a_longer_conversation_every_answer_is_learned_and_no_question(tokenizer: Any) -> None:
    first, second = "A majority of the nodes.", "The nodes."
    messages = [
        *conversation(first),
        Message(role="user", content="Who votes?"),
        Message(role="assistant", content=second),
    ]
    example = encode(tokenizer, messages)
    pieces = [
        (False, f"<|im_start|>system\n{SYSTEM_STANDALONE}<|im_end|>\n"),
        (False, "<|im_start|>user\nWhat is a quorum?<|im_end|>\n<|im_start|>assistant\n"),
        (True, f"{first}<|im_end|>"),
        (False, "\n<|im_start|>user\nWho votes?<|im_end|>\n<|im_start|>assistant\n"),
        (True, f"{second}<|im_end|>"),
    ]
    assert example.input_ids == ids(tokenizer, "".join(text for _, text in pieces))
    assert example.labels == [token if learned else -100 for learned, text in pieces for token in ids(tokenizer, text)]


def test_what_is_trained_is_what_the_data_set_shows(tokenizer: Any) -> None:
    text = "In Raft a quorum is a majority of the nodes."
    passages = [Passage(f"c{n}", f"d{n}", "d.md", "T", ("S",), 0, 9, 5, 0.5, "T > S", f"{n} {text}") for n in range(4)]
    row = {"qa_id": "q", "chunk_ids": ["c2"], "question": "What is a quorum?", "answer": "A majority.", "evidence": []}
    settings = ContextSettings(shown=1.0, without_gold=0.0)
    shown, messages = converse({**row, "answerable": True}, [passages[2]], passages, settings, 3, 7)
    (example,), _ = build_examples(qa_table(("train", messages)), "train", tokenizer, 4096)
    trained = tokenizer.decode(example.input_ids)
    assert messages[1]["content"] in trained
    assert [f"{chunk_id[1]} {text}" in trained for chunk_id in shown] == [True] * 3
    learned = tokenizer.decode([label for label in example.labels if label != -100])
    assert learned == f"A majority [{shown.index('c2') + 1}].<|im_end|>"


def test_examples_are_those_of_the_split_in_the_tables_order(tokenizer: Any) -> None:
    first, second, other = (conversation(answer) for answer in ("A majority.", "The nodes.", "A quorum."))
    examples, rejected = build_examples(
        qa_table(("train", first), ("test", other), ("train", second)), "train", tokenizer, 4096
    )
    assert examples == [encode(tokenizer, first, "q0"), encode(tokenizer, second, "q2")]
    assert rejected == {}


def test_too_long_rows_are_rejected_and_counted_never_cut(tokenizer: Any) -> None:
    table = qa_table(
        ("train", conversation()), ("train", conversation("word " * 400)), ("test", conversation("w " * 400))
    )
    examples, rejected = build_examples(table, "train", tokenizer, 300)
    assert rejected == {"too_long": 1}
    assert len(examples) == 1
    assert examples[0].input_ids[-1] == tokenizer.eos_token_id


def test_a_row_that_is_exactly_as_long_as_allowed_is_kept(tokenizer: Any) -> None:
    length = len(encode(tokenizer, conversation()).input_ids)
    table = qa_table(("train", conversation()))
    assert [len(build_examples(table, "train", tokenizer, limit)[0]) for limit in (length, length - 1)] == [1, 0]


def test_a_template_that_rewrites_the_prompt_is_refused(tokenizer: Any, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    other = AutoTokenizer.from_pretrained(tmp_path)
    other.chat_template = (
        "{% for m in messages %}{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}>{% endif %}"
    )
    with pytest.raises(UserError, match="chat template"):
        encode(other, conversation())


def test_a_template_without_a_mark_for_the_assistant_is_refused(tokenizer: Any, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    other = AutoTokenizer.from_pretrained(tmp_path)
    other.chat_template = "{% for m in messages %}{{ m['content'] + '\n' }}{% endfor %}"
    with pytest.raises(UserError, match="does not mark where the assistant's turn begins"):
        encode(other, conversation())
