"""What a command would do: which stages run, which are skipped, and which were made with other settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from jobs.stages import PACKAGED, PAPERS, REPLAYS, REVIEWS, WORDING, Stage, producer
from qa_core.artifacts import RunStore
from qa_core.config import LecternConfig
from qa_core.corpus.papers import PaperFile, find_papers
from qa_core.dataset.replays import replays_digest
from qa_core.dataset.reviews import reviews_digest
from qa_core.dataset.wording import wording_digest
from qa_core.errors import UserError
from qa_core.manifest import Manifest, digest, fingerprint, flatten
from qa_core.training.base_model import packaged_model_digest


@dataclass(frozen=True)
class PlannedStage:
    """One stage and what is to happen to it."""

    stage: Stage
    fingerprint: str
    inputs: Mapping[str, str]
    settings: Mapping[str, Any]
    action: Literal["run", "skip", "replace"]
    reason: str


def make_plan(
    config: LecternConfig, store: RunStore, stages: Sequence[Stage], *, force: bool = False
) -> list[PlannedStage]:
    """The plan for ``stages``; raises :class:`UserError` where an artifact differs and ``force`` is not given."""
    external: dict[str, Callable[[], str]] = {
        PAPERS: lambda: papers_fingerprint(config.chunk.papers),
        REVIEWS: lambda: reviews_digest(store),
        REPLAYS: lambda: replays_digest(store),
        WORDING: lambda: wording_digest(config.generate_qa),
        PACKAGED: lambda: packaged_model_digest(getattr(config.base_model, "name_or_path", "")),
    }
    read = {name for stage in stages for name in stage.reads(config)}
    known = {name: identify() for name, identify in external.items() if name in read}
    plan = []
    for stage in stages:
        inputs = {name: known.get(name) or _made_before(store, stage, name) for name in stage.reads(config)}
        planned = plan_stage(config, store, stage, inputs, force=force)
        known.update(dict.fromkeys(stage.outputs, planned.fingerprint))
        plan.append(planned)
    return plan


def papers_fingerprint(folder: str) -> str:
    """Hash over the names and bytes of the papers."""
    return digest([[paper.source, _content_hash(paper)] for paper in find_papers(folder)])


def _content_hash(paper: PaperFile) -> str:
    try:
        return paper.digest()
    except OSError as error:  # the chunk stage rejects the file by name; here it only has to count as a change
        return f"unreadable: {type(error).__name__}"


def _made_before(store: RunStore, stage: Stage, name: str) -> str:
    artifact = store.artifact(name)
    manifest = artifact.manifest()
    if manifest is None:
        raise UserError(
            f"{stage.name} needs {store.uri}/{name}, which is not there",
            f"Run `lectern {producer(name).name}` first, or `lectern run` for all stages.",
        )
    artifact.verify(manifest)
    return manifest.fingerprint


def plan_stage(
    config: LecternConfig, store: RunStore, stage: Stage, inputs: Mapping[str, str], *, force: bool = False
) -> PlannedStage:
    """The plan for one stage of which the fingerprints of what it reads are known."""
    settings = _settings(config, stage)
    wanted = fingerprint(stage.name, stage.version, settings, inputs)

    def planned(action: Literal["run", "skip", "replace"], reason: str) -> PlannedStage:
        return PlannedStage(stage, wanted, inputs, settings, action, reason)

    try:
        manifests = {name: store.artifact(name).manifest() for name in stage.outputs}
        if any(manifest is None for manifest in manifests.values()):
            return planned("run", "not made yet")
        differences = [_difference(stage, manifest, wanted, settings, inputs) for manifest in manifests.values()]
        difference = next(filter(None, differences), None)
        if difference is None:
            for name, manifest in manifests.items():
                assert manifest is not None
                store.artifact(name).verify(manifest)
            return planned("skip", "complete and unchanged")
    except UserError as error:
        if not force:
            raise
        return planned("replace", error.problem)
    if not force:
        raise UserError(
            f"{store.uri}/{stage.outputs[0]} was made differently: {difference}",
            "Give --force to replace it and what follows from it, or run.name=ANOTHER to keep both.",
        )
    return planned("replace", difference)


def _settings(config: LecternConfig, stage: Stage) -> dict[str, Any]:
    """The flattened settings that decide the stage's result."""
    names = (*stage.settings_that_count(config), "run.seed")
    everything = flatten(config.model_dump(mode="json"))
    del everything["chunk.papers"]  # known by the bytes in it, the input PAPERS, wherever the folder is
    return {key: value for key, value in everything.items() if any(f"{key}.".startswith(f"{name}.") for name in names)}


def _difference(
    stage: Stage, manifest: Manifest | None, wanted: str, settings: Mapping[str, Any], inputs: Mapping[str, str]
) -> str | None:
    """Which settings or inputs differ from those in the manifest; None when nothing does."""
    assert manifest is not None
    if manifest.fingerprint == wanted:
        return None
    changes = [
        f"{key} was {manifest.config.get(key, 'unset')!r}, now {settings.get(key, 'unset')!r}"
        for key in sorted(manifest.config.keys() | settings.keys())
        if manifest.config.get(key) != settings.get(key)
    ]
    changes += [f"input {name} changed" for name in sorted(inputs) if manifest.inputs.get(name) != inputs[name]]
    return "; ".join(changes) or f"the {stage.name} stage itself is of another version"
