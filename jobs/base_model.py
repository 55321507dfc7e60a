"""Stage ``base-model``: papers -> base/ (a model built from them, or a pinned reference to a pretrained one)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.progress import Counter
from jobs.ray_session import on_cluster
from jobs.stages import StageContext, StageOutcome
from qa_core.artifacts import Artifact
from qa_core.config import PretrainedModel, ScratchModel
from qa_core.corpus.documents import DocumentRejected
from qa_core.corpus.loading import load_document
from qa_core.corpus.papers import PaperFile, find_papers
from qa_core.training.base_model import build_scratch_model, config_file, model_name, write_pretrained_reference


def run(context: StageContext) -> StageOutcome:
    """Write ``base/`` from one task of the cluster: a driver may have neither torch's memory nor the hub's cache."""
    settings, out = context.config.base_model, context.outputs["base"]
    if isinstance(settings, PretrainedModel):
        quantization = context.config.convert.quantization
        name, nbytes = on_cluster(_reference, settings, out, quantization, num_cpus=1.0)
        size = ("predicted size", f"{nbytes / 1e6:,.1f} MB", f"as {quantization}")
        return StageOutcome(num_rows={}, rejected={}, metrics={"source": settings.source, "name": name}, table=[size])
    papers = find_papers(context.config.chunk.papers)
    with context.progress.track("steps", settings.pretraining_steps) as counter:
        read = on_cluster(_build, papers, settings, context.config.run.seed, out, counter, num_cpus=1.0)
    metrics = {"source": settings.source, "papers": read.papers, "characters": read.characters}
    return StageOutcome(num_rows={}, rejected=read.rejected, metrics=metrics)


@dataclass(frozen=True)
class _Read:
    """What was found in the papers folder."""

    papers: int
    characters: int
    rejected: dict[str, int]


def _reference(settings: PretrainedModel, out: Artifact, quantization: str) -> tuple[str, int]:
    """The model's name and the bytes that it will have when quantised: told before its weights are fetched.

    A family that cannot be converted is refused here, not after the training.
    """
    from qa_core.quantization.sizes import predicted_bytes

    with out.staging() as folder:
        write_pretrained_reference(settings, folder)
        config = json.loads(config_file(folder).read_text(encoding="utf-8"))
        return model_name(folder), predicted_bytes(config, quantization)


def _build(papers: Sequence[PaperFile], settings: ScratchModel, seed: int, out: Artifact, counter: Counter) -> _Read:
    texts, rejected = _read(papers)
    with out.staging() as folder:
        build_scratch_model(texts, settings, seed, folder, on_step=lambda step: counter.advance())
    return _Read(len(texts), sum(map(len, texts)), rejected)


def _read(papers: Sequence[PaperFile]) -> tuple[list[str], dict[str, int]]:
    """Texts in the order of ``papers``; unreadable papers are counted here and named by the chunk stage."""
    texts: list[str] = []
    rejected: dict[str, int] = {}
    for paper in papers:
        try:
            document = load_document(paper)
            texts.append("".join([document.text, *document.rest]))
        except DocumentRejected as error:
            rejected[error.reason] = rejected.get(error.reason, 0) + 1
    return texts, rejected
