"""A teacher's tokenizer, on the tokenizer of a real model folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from qa_core.dataset.chat_tokenizer import ChatTokenizer
from qa_core.errors import UserError
from qa_core.schemas import Message

MESSAGES = [Message(role="system", content="You ask."), Message(role="user", content="Ask about blocks of 256 values.")]


def test_a_prompt_is_the_chat_in_the_models_template_up_to_the_reply(tiny_model: Path) -> None:
    ids = ChatTokenizer(tiny_model).prompt(MESSAGES)
    text = Tokenizer.from_file(str(tiny_model / "tokenizer.json")).decode(ids, skip_special_tokens=False)
    assert text == (
        "<|im_start|>system\nYou ask.<|im_end|>\n"
        "<|im_start|>user\nAsk about blocks of 256 values.<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_start_mark_that_the_template_writes_is_not_added_a_second_time(tiny_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "llama-like"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    start = tokenizer.token_to_id("<|endoftext|>")
    tokenizer.post_processor = TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", start)])
    tokenizer.save(str(folder / "tokenizer.json"))
    template = folder / "chat_template.jinja"
    template.write_text("<|endoftext|>" + template.read_text())
    assert ChatTokenizer(folder).prompt(MESSAGES).count(start) == 1


def test_a_text_is_counted_without_the_marks_of_a_chat(tiny_model: Path) -> None:
    tokenizer = ChatTokenizer(tiny_model)
    text = "Quantised weights are stored in blocks."
    assert tokenizer.count(text) == len(Tokenizer.from_file(str(tiny_model / "tokenizer.json")).encode(text).ids)
    assert tokenizer.count("") == 0


def test_a_folder_without_tokenizer_is_a_user_error(tiny_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "no-tokenizer"))
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UserError, match="tokenizer"):
        ChatTokenizer(folder)


def test_a_tokenizer_that_cannot_be_read_is_a_user_error(tiny_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "broken"))
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match="no tokenizer can be read"):
        ChatTokenizer(folder)


def test_a_model_without_chat_template_is_a_user_error(tiny_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "plain"))
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(UserError, match="no chat template"):
        ChatTokenizer(folder)


def test_a_template_that_refuses_a_system_turn_is_a_user_error(tiny_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "strict"))
    (folder / "chat_template.jinja").write_text("{{ raise_exception('System role not supported') }}")
    with pytest.raises(UserError, match="System role not supported"):
        ChatTokenizer(folder).prompt(MESSAGES)
