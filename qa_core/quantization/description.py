"""What a GGUF file says about itself, and what it is called.

Conventions: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import gguf

from qa_core.model_cards import HUB_NAME, card_license, origin

_VERSION = "v1.0"
_TEMPERATURE = 0.0  # an answer that cites is no matter of chance
_SIZE = re.compile(r"-\d+(\.\d+)?[KMBT](?=-|$)")


@dataclass(frozen=True)
class Description:
    """The ``general.*`` keys that no tensor tells. What is None is not written."""

    name: str = "Lectern"
    basename: str | None = None
    finetune: str | None = None
    base_model: str | None = None
    """A hub name (``Qwen/Qwen2.5-3B-Instruct``) or the name of a folder."""
    license: str | None = None
    """SPDX identifier of the base model's licence."""
    temperature: float | None = None
    """What llama.cpp's programs sample with unless they are told otherwise; they read it from the file."""

    @classmethod
    def of_run(cls, base_model: str, run_name: str, card: Path) -> Description:
        """A model that a run tunes.

        Args:
            base_model: as it was configured: hub name, folder or ``package:MODULE/FOLDER``.
            card: README.md of the base model, which may name its licence; it need not be there.
        """
        base_model = base_model.rstrip("/")
        short = base_model.rsplit("/", 1)[-1]
        basename, _, variant = _SIZE.sub("\n", short, count=1).partition("\n")
        finetune = re.sub(r"[^A-Za-z0-9]+", "-", f"{variant}-{run_name[:1].upper()}{run_name[1:]}").strip("-")
        return cls(
            name=f"{short} {run_name}",
            basename=basename,
            finetune=finetune,
            base_model=origin(base_model),
            license=card_license(card),
            temperature=_TEMPERATURE,
        )

    def add_to(self, writer: gguf.GGUFWriter, num_weights: int) -> None:
        writer.add_type("model")
        writer.add_name(self.name)
        writer.add_size_label(size_label(num_weights))
        if self.basename:
            writer.add_basename(self.basename)
            writer.add_version(_VERSION)
        if self.finetune:
            writer.add_finetune(self.finetune)
        if self.license:
            writer.add_license(self.license)
        if self.temperature is not None:
            writer.add_sampling_temp(self.temperature)
        if self.base_model:
            self._add_base_model(writer, self.base_model)

    def file_name(self, num_weights: int, quantization: str) -> str:
        """``Qwen2.5-3.1B-Instruct-Papers-v1.0-Q4_K_M.gguf``: base, size, fine-tune, version and encoding."""
        size = size_label(num_weights)
        return gguf.naming_convention(None, self.basename, self.finetune, _VERSION, size, quantization) + ".gguf"

    @staticmethod
    def _add_base_model(writer: gguf.GGUFWriter, base_model: str) -> None:
        writer.add_base_model_count(1)
        if hub := HUB_NAME.fullmatch(base_model):
            writer.add_base_model_name(0, hub["name"].replace("-", " "))
            writer.add_base_model_organization(0, hub["organization"])
            writer.add_base_model_repo_url(0, f"https://huggingface.co/{base_model}")
        else:
            writer.add_base_model_name(0, base_model)


def size_label(num_weights: int) -> str:
    """``3.1B`` for 3,085,938,688."""
    return gguf.size_label(num_weights, num_weights, 0, 0)
