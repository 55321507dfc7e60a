"""A base file with the adapter laid over it against the merged model, on a finished run.

    python -m benchmarks.adapters --config tiny [section.key=value ...]

Held-out conversations of the run are answered without chance by the merged 16-bit model, and by others: how many
answers are the same, and over all tokens of the prompts the mean divergence and the share with the same first choice.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt

from qa_core.artifacts import RunStore
from qa_core.config import GenerationCompute, GenerationSettings
from qa_core.config_loader import load_config
from qa_core.generation.engine import Engine, SamplingParams
from qa_core.generation.llama import LlamaModel
from qa_core.generation.llama_context import LlamaContext
from qa_core.generation.lora_adapter import LoraAdapter
from qa_core.quantization.convert import merge_adapter, write_gguf
from qa_core.quantization.description import Description
from qa_core.quantization.lora_gguf import write_lora_gguf
from qa_core.quantization.quantize import quantize
from qa_core.training.base_model import model_location

N_CTX, ANSWERS, PROMPTS, NEW_TOKENS = 1024, 40, 15, 48

Variant = tuple[Path, Path | None]
"""A model's file, and an adapter over it."""


def main() -> None:
    arguments = _parse()
    config = load_config(arguments.config, arguments.overrides)
    store = RunStore.open(config.run.storage, config.run.name)
    rows = store.artifact("qa").read_table(["split", "messages"]).to_pylist()
    conversations = [row["messages"][:-1] for row in rows if row["split"] != "train"][:ANSWERS]
    with tempfile.TemporaryDirectory() as folder:
        base = Path(model_location(store.artifact("base").local()))
        variants = make(base, store.artifact("adapter").local(), Path(folder), config.convert.quantization)
        answers, prompts = {}, []
        for name, (model, adapter) in variants.items():
            settings = GenerationSettings(n_ctx=N_CTX, n_seq_max=1, compute=GenerationCompute(n_threads=1))
            with closing(Engine(model, settings, adapter=adapter)) as engine:
                prompts = [engine.chat_prompt(conversation) for conversation in conversations]
                answers[name] = [done.text for done in engine.generate(prompts, SamplingParams(NEW_TOKENS))]
        expected = logits(*variants["merged-16bit"], prompts[:PROMPTS])
        figures = {
            name: {
                "same_answers": sum(map(str.__eq__, answers[name], answers["merged-16bit"])),
                "of": len(conversations),
                **compared(expected, logits(*variant, prompts[:PROMPTS])),
            }
            for name, variant in variants.items()
        }
    for name, values in figures.items():
        print(name, json.dumps(values))
    print(json.dumps(figures))


def make(base: Path, adapter: Path, folder: Path, quantization: str) -> dict[str, Variant]:
    """Every way to have the tuned model, the merged one in 16 bits first; and the base, which is another model."""
    laid_over = folder / "adapter.gguf"
    write_lora_gguf(base, adapter, laid_over, Description())
    merge_adapter(str(base), adapter, folder / "merged")
    files = {}
    for name, weights in (("merged", folder / "merged"), ("base", base)):
        files[f"{name}-16bit"], files[f"{name}-4bit"] = (folder / f"{name}-{bits}.gguf" for bits in (16, 4))
        write_gguf(weights, files[f"{name}-16bit"])
        quantize(files[f"{name}-16bit"], files[f"{name}-4bit"], quantization, None, n_threads=1)
    return {
        "merged-16bit": (files["merged-16bit"], None),
        "base-16bit with adapter": (files["base-16bit"], laid_over),
        "merged-4bit": (files["merged-4bit"], None),
        "base-4bit with adapter": (files["base-4bit"], laid_over),
        "base-16bit": (files["base-16bit"], None),
    }


def logits(file: Path, adapter: Path | None, prompts: Sequence[str]) -> npt.NDArray[np.float32]:
    """[tokens of all prompts, vocabulary]"""
    rows = []
    with closing(LlamaModel(file)) as model:
        over = LoraAdapter(adapter, model) if adapter else None
        with closing(LlamaContext(model, N_CTX, 1, N_CTX, 1, over)) as context:
            for prompt in prompts:
                tokens = model.tokenize(prompt)[:N_CTX]
                context.clear()
                context.decode(tokens, range(len(tokens)), [0] * len(tokens), [True] * len(tokens))
                rows.append(np.stack([context.logits(place) for place in range(len(tokens))]))
    return np.concatenate(rows)


def compared(expected: npt.NDArray[np.float32], actual: npt.NDArray[np.float32]) -> dict[str, float]:
    ours, its = _log_softmax(expected), _log_softmax(actual)
    return {
        "mean_kld": round(float((np.exp(ours) * (ours - its)).sum(1).mean()), 6),
        "same_first_choice": round(float((expected.argmax(1) == actual.argmax(1)).mean()), 4),
    }


def _log_softmax(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    shifted = values - values.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", "-c", action="append", default=[], help="of the run; may repeat")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    main()
