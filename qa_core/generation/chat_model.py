"""A GGUF model as one speaks to it: its weights, its vocabulary and its chat template."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from qa_core.errors import UserError
from qa_core.generation.llama import LlamaModel
from qa_core.generation.template import ChatTemplate
from qa_core.schemas import Message


class ChatModel:
    """Raises :class:`UserError` for a file that is missing, damaged or without a chat template."""

    def __init__(self, path: Path, n_gpu_layers: int = 0) -> None:
        self.llama = LlamaModel(path, n_gpu_layers)
        if (source := self.llama.chat_template) is None:
            raise UserError(f"{path} carries no chat template", "Convert a model with a chat template.")
        self._template = ChatTemplate(source, self.llama.bos_text, self.llama.eos_text)
        control = [text for text in self.llama.control_tokens if text]
        self._control = re.compile("|".join(map(re.escape, sorted(control, key=len, reverse=True))) or "(?!)")

    def prompt(self, messages: Sequence[Message]) -> str:
        """The prompt for ``messages`` in the model's own template, up to where the answer begins.

        A control token inside a message is broken up, so that no text can pretend to be another turn.
        """
        safe = [
            Message(role=message["role"], content=self._control.sub(_break_up, message["content"]))
            for message in messages
        ]
        return self._template.render(safe)

    def close(self) -> None:
        """Free the weights; every context on them must be closed before."""
        self.llama.close()


def _break_up(match: re.Match[str]) -> str:
    return f"{match[0][0]} {match[0][1:]}"
