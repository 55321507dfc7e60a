"""What lies beside a GGUF file: a model card for people, and the recipe that Ollama makes a model from."""

from __future__ import annotations

from pathlib import Path

from qa_core.config import Rounding
from qa_core.generation.chat import SYSTEM_STANDALONE, build_messages
from qa_core.generation.gguf_header import GGUFHeader, read_header
from qa_core.generation.template import ChatTemplate
from qa_core.quantization.description import Description
from qa_core.quantization.parity_report import ParityReport
from qa_core.schemas import Message

_CHATML = "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n"
"""ChatML in the template language of Go, which Ollama speaks instead of Jinja."""


_ROUNDING = {
    "gptq": "scales by llama.cpp under imatrix.gguf, codes of 4 and 5 bits by GPTQ on the same calibration rows",
    "nearest": "by llama.cpp under imatrix.gguf",
}


def write_card(model: Path, description: Description, report: ParityReport, rounding: Rounding) -> None:
    """Write ``README.md`` and ``Modelfile`` beside the GGUF file ``model``."""
    header = read_header(model)
    (model.parent / "Modelfile").write_text(modelfile(model.name, header, description), encoding="utf-8")
    (model.parent / "README.md").write_text(_card(model, header, description, report, rounding), encoding="utf-8")


def modelfile(file_name: str, header: GGUFHeader, description: Description) -> str:
    """``ollama create NAME -f Modelfile`` makes a model of it.

    The template is written down where it is ChatML; Ollama guesses any other from the one inside the file.
    """
    lines = [f"FROM ./{file_name}"]
    if _is_chatml(str(header.metadata.get("tokenizer.chat_template", ""))):
        lines += [f'TEMPLATE """{_CHATML}"""', "PARAMETER stop <|im_end|>"]
    lines += [f'SYSTEM """{SYSTEM_STANDALONE}"""', f"PARAMETER temperature {description.temperature or 0:g}"]
    context = header.metadata.get(f"{header.metadata['general.architecture']}.context_length")
    lines += [f"PARAMETER num_ctx {context}"] if context else []
    return "\n".join(lines) + "\n"


def _is_chatml(template: str) -> bool:
    """The template renders a conversation as ChatML does."""
    answered = [*build_messages("Why?"), Message(role="assistant", content="So."), Message(role="user", content="Ah?")]
    turns = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in answered)
    return ChatTemplate(template).render(answered) == f"{turns}<|im_start|>assistant\n"


def _card(model: Path, header: GGUFHeader, description: Description, report: ParityReport, rounding: Rounding) -> str:
    size = model.stat().st_size
    checks = [
        f"| {name.replace('_', ' ')} | {check.value:.4g} | {check.comparison} {check.limit:g} |"
        for name, check in report.checks.items()
    ]
    measured = [f"| {name.replace('_', ' ')} | {value:.6g} | |" for name, value in report.measured.items()]
    return "\n".join(
        [
            "---",
            *([f"license: {description.license}"] if description.license else []),
            *([f"base_model: {description.base_model}"] if description.base_model else []),
            "library_name: gguf",
            "pipeline_tag: text-generation",
            "tags: [question-answering, gguf]",
            "---",
            "",
            f"# {description.name}",
            "",
            "A model that answers questions about technical papers, tuned and quantised by Lectern.",
            "",
            f"    llama-cli -m {model.name} --jinja",
            "    ollama create NAME -f Modelfile",
            "",
            "| | |",
            "|---|---|",
            f"| size | {size:,} bytes, {header.bits_per_weight:.2f} bits per weight |",
            f"| of bf16, of fp32 | {size / header.num_weights / 2:.1%}, {size / header.num_weights / 4:.1%} |",
            f"| tensors | {', '.join(f'{count} {name}' for name, count in header.tensor_types.items())} |",
            f"| rounding | {_ROUNDING[rounding]} |",
            f"| sampling | temperature {description.temperature or 0:g} |",
            "",
            "| check | value | limit |",
            "|---|---:|---|",
            *checks,
            *measured,
            "",
        ]
    )
