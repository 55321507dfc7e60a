"""A teacher's own tokenizer: how long a text is to it, and the tokens in which it reads a chat."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from qa_core.errors import UserError
from qa_core.schemas import Message

_REMEDY = "Use an instruction-tuned model, whose template takes a system and a user turn."


class ChatTokenizer:
    """The tokenizer in the Hugging Face folder ``folder``, and its chat template."""

    def __init__(self, folder: Path, trust_remote_code: bool = False) -> None:
        """Raises ``UserError`` when the folder holds no tokenizer or the tokenizer no chat template."""
        from transformers import AutoTokenizer

        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=trust_remote_code)
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(f"no tokenizer can be read from {folder}: {reason}", _REMEDY) from error
        if not self.count("a"):  # transformers makes an empty tokenizer where the files of one are missing
            raise UserError(f"{folder} holds no tokenizer", _REMEDY)
        self._tokenizer.model_max_length = sys.maxsize  # what is too long is told by who asks, not by a warning
        if not self._tokenizer.chat_template:
            raise UserError(f"the model in {folder} has no chat template", _REMEDY)

    def count(self, text: str) -> int:
        """Tokens of ``text`` by itself, without the marks that a chat adds."""
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of the chat, up to where the reply begins. Raises ``UserError`` when the template refuses it.

        The template writes the marks at the start itself; rendering to text first would have some tokenizers add them
        a second time.
        """
        try:
            ids: list[int] = self._tokenizer.apply_chat_template(
                [dict(message) for message in messages],
                add_generation_prompt=True,
                return_dict=False,
                enable_thinking=False,  # for templates that know it: a reply held to a schema has no room for it
            )
        except TemplateError as error:
            raise UserError(f"the model's chat template refuses a teacher's messages: {error}", _REMEDY) from error
        return ids
