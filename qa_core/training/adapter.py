"""The ``adapter/`` artifact: a PEFT folder whose bytes depend on the run's inputs only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qa_core.config import FinetuneSettings
from qa_core.model_cards import origin
from qa_core.training.samples import samples_page

if TYPE_CHECKING:
    from qa_core.training.fit import FitResult

CONFIG_FILE = "adapter_config.json"
SAMPLES_PAGE = "samples.md"


def write_adapter(
    result: FitResult,
    tokenizer: Any,
    base_model: str,
    settings: FinetuneSettings,
    num_rows: Mapping[str, int],
    license: str | None,
    out: Path,
) -> None:
    """Write weights, config, tokenizer, chat template, model card and the samples of validation answers to ``out``.

    Args:
        base_model: name for people and for ``adapter_config.json``; never this machine's path of a built model.
        num_rows: rows by split.
        license: of the base model, where its card names one.
    """
    out.mkdir(parents=True, exist_ok=True)
    result.model.save_pretrained(str(out))
    tokenizer.save_pretrained(str(out))
    _normalize_config(out / CONFIG_FILE, base_model)
    if result.samples:
        (out / SAMPLES_PAGE).write_text(samples_page(result.samples), encoding="utf-8")
    (out / "README.md").write_text(model_card(result, base_model, settings, num_rows, license), encoding="utf-8")


def model_card(
    result: FitResult, base_model: str, settings: FinetuneSettings, num_rows: Mapping[str, int], license: str | None
) -> str:
    """A Hugging Face model card: base model, data, settings and losses; no times, so equal runs have equal cards."""
    described = settings.model_dump(mode="json", exclude={"compute", "report_to"})
    rows = [f"| {entry['step']} | {entry['eval_loss']:.4f} |" for entry in result.history if "eval_loss" in entry]
    figures = [f"| {name} | {_shown(value)} |" for name, value in result.metrics.items()]
    return "\n".join(
        [
            "---",
            *([f"license: {license}"] if license else []),
            f"base_model: {origin(base_model)}",
            "library_name: peft",
            "pipeline_tag: text-generation",
            "tags: [lora, question-answering]",
            "---",
            "",
            "# Question answering over technical papers",
            "",
            f"A LoRA adapter for `{base_model}`, trained by Lectern.",
            "",
            "## Data",
            "",
            "| split | rows |",
            "|---|---|",
            *[f"| {split} | {count:,} |" for split, count in num_rows.items()],
            "",
            "## Results",
            "",
            "| figure | value |",
            "|---|---|",
            *figures,
            "",
            "| step | evaluation loss |",
            "|---|---|",
            *rows,
            "",
            "## Settings",
            "",
            "```json",
            json.dumps(described, indent=2),
            "```",
            "",
        ]
    )


def _shown(value: float | int) -> str:
    return f"{value:.4f}" if isinstance(value, float) else f"{value:,}"


def _normalize_config(path: Path, base_model: str) -> None:
    """Take out what differs between equal runs: the order of a set, and the base model's path on this machine."""
    config = json.loads(path.read_text(encoding="utf-8"))
    config["target_modules"] = sorted(config["target_modules"])
    config["base_model_name_or_path"] = base_model
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
