"""The stages in order: what each reads, what it writes and which settings are part of its identity."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.progress import Progress
from qa_core.artifacts import Artifact
from qa_core.config import LecternConfig
from qa_core.packaged import is_packaged

PAPERS = "papers"
"""An input that is no artifact: the user's folder, identified by the bytes in it."""
REVIEWS, REPLAYS, WORDING = "reviews", "replays", "wording"
"""Inputs that are no artifacts: what a person decided about rows, which rejected requests were asked again, and the
words in which rows are asked for."""
PACKAGED = "packaged model"
"""An input that is no artifact: the files of a base model that ships inside a package."""
EXTERNAL = (PAPERS, REVIEWS, REPLAYS, WORDING, PACKAGED)


@dataclass(frozen=True)
class StageContext:
    """All that a stage's ``run`` is given. Nothing else decides what it does."""

    config: LecternConfig
    inputs: Mapping[str, Artifact]
    outputs: Mapping[str, Artifact]
    """Write into their staging folders; the runner publishes them when ``run`` returns."""
    scratch: str
    """Address of a folder that survives a kill, for checkpoints of just these settings and inputs."""
    progress: Progress


@dataclass(frozen=True)
class FunnelStep:
    """How many were left after a step, and why the others were not."""

    name: str
    left: int
    lost: Mapping[str, int]
    """Reason -> how many."""


@dataclass(frozen=True)
class StageOutcome:
    """What a stage did, for the manifest and for the lines a person reads."""

    num_rows: Mapping[str, int]
    rejected: Mapping[str, int]
    metrics: Mapping[str, Any]
    funnel: Sequence[FunnelStep] = ()
    table: Sequence[tuple[str, str, str]] = ()
    """Rows that are printed below the stage's line: a name, a figure, and what is said about it."""


@dataclass(frozen=True)
class Resources:
    """What a stage needs at once to run."""

    num_cpus: float
    num_gpus: float = 0.0


@dataclass(frozen=True)
class Stage:
    """One arrow of the pipeline."""

    name: str
    """The command that runs it alone."""
    module: str
    version: int
    """Raised when the same settings give other bytes than before."""
    settings: tuple[str, ...]
    """Dotted config keys, or whole sections, that are part of the result's identity where they count."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    """The first is published last: its manifest says that the stage is complete."""
    resources: Callable[[LecternConfig], Resources]
    help: str
    headline: tuple[str, ...]
    """The metrics on the line that a person reads; the manifest has all of them."""

    def run(self, context: StageContext) -> StageOutcome:
        """Import the job only now, so that no command pays for the libraries of another."""
        outcome: StageOutcome = importlib.import_module(self.module).run(context)
        return outcome

    def reads(self, config: LecternConfig) -> tuple[str, ...]:
        """The inputs that count under ``config``."""
        return tuple(name for name in self.inputs if name not in _unread(self.name, config))

    def settings_that_count(self, config: LecternConfig) -> tuple[str, ...]:
        return tuple(name for name in self.settings if name not in _unread(self.name, config))


_OF_JOINT_SWEEPS = ("index", "documents", "retrieval", "generate_qa.context", "generate_qa.splits")
_OF_CHUNK_SWEEPS = (PAPERS, "chunk", "index.embedder", "index.factory")


def _unread(stage: str, config: LecternConfig) -> tuple[str, ...]:
    """Inputs and settings of a stage that ``config`` leaves alone."""
    base = config.base_model
    if stage == "base-model":
        if base.source == "scratch":
            return (PACKAGED,)
        return (PAPERS,) if is_packaged(base.name_or_path) else (PAPERS, PACKAGED)
    if stage == "eval" and not config.eval.compare:
        return ("base", "adapter")  # only copies of the model are made of them
    if stage == "tune" and not config.tune.is_joint:
        return (*_OF_JOINT_SWEEPS, *_OF_CHUNK_SWEEPS)
    if stage == "tune" and not config.tune.sweeps_chunks:
        return _OF_CHUNK_SWEEPS
    return ()


def _data(section: str) -> Callable[[LecternConfig], Resources]:
    def resources(config: LecternConfig) -> Resources:
        compute = getattr(config, section).compute
        return Resources(compute.num_workers * compute.cpus_per_worker, compute.num_workers * compute.gpus_per_worker)

    return resources


def _chunking(config: LecternConfig) -> Resources:
    compute = config.chunk.compute
    return Resources(compute.num_workers * compute.cpus_per_worker)


def _teaching(config: LecternConfig) -> Resources:
    """The teacher and the examination of its replies take turns."""
    settings = config.generate_qa
    examining = _data("generate_qa")(config)
    teachers = [settings.teacher, *([settings.judge.model] if settings.judge and settings.judge.model else [])]
    gpus = [
        teacher.compute.concurrency * teacher.tensor_parallel_size * teacher.pipeline_parallel_size
        for teacher in teachers
        if teacher.engine == "vllm" and teacher.compute.placement_group_config is None
    ]
    return Resources(examining.num_cpus, max([examining.num_gpus, *gpus]))


def _training(config: LecternConfig) -> Resources:
    """Of the fewest workers there may be: with more it goes on when there is room for them."""
    compute = config.finetune.compute
    fewest = compute.worker_counts[0]
    return Resources(fewest * compute.cpus_per_worker, fewest if compute.use_gpu else 0)


def _sweep(config: LecternConfig) -> Resources:
    """The corpora of a joint sweep are made before its first trial."""
    one, trials = _training(config), config.tune.compute.max_concurrent_trials
    corpora = [_chunking(config), _data("index")(config)] if config.tune.sweeps_chunks else []
    return Resources(
        max(one.num_cpus * trials, *(needed.num_cpus for needed in corpora), 0.0),
        max(one.num_gpus * trials, *(needed.num_gpus for needed in corpora), 0.0),
    )


def _converting(config: LecternConfig) -> Resources:
    compute = config.convert.compute
    return Resources(compute.num_workers * compute.num_cpus, compute.num_workers * compute.num_gpus)


def _evaluating(config: LecternConfig) -> Resources:
    """One task, and beside it those that calibrate a base that is quantised for comparison."""
    own, calibration = config.eval.compute, config.convert.compute
    helpers = calibration.num_workers - 1 if "base-4bit" in config.eval.compare else 0
    return Resources(own.num_cpus + helpers * calibration.num_cpus, own.num_gpus + helpers * calibration.num_gpus)


PIPELINE: tuple[Stage, ...] = (
    Stage(
        "base-model", "jobs.base_model", 1, ("base_model",), (PAPERS, PACKAGED), ("base",),
        lambda config: Resources(1.0),
        "Fetch or build the base model.", ("source", "papers", "characters"),
    ),
    Stage(
        "chunk", "jobs.chunk", 2, ("chunk",), (PAPERS, "base"), ("chunks", "chunks_rejected", "documents"),
        _chunking,
        "Cut papers into chunks.", ("papers", "chunks", "tokens"),
    ),
    Stage(
        "index", "jobs.build_index", 2, ("index",), ("chunks",), ("index",), _data("index"),
        "Embed chunks into a FAISS index.", ("passages", "dimension"),
    ),
    Stage(
        "generate-qa", "jobs.generate_qa", 4,
        ("generate_qa", "retrieval.top_k", "retrieval.candidates", "retrieval.density_weight",
         "retrieval.max_per_document"),
        ("chunks", "documents", "index", REVIEWS, REPLAYS, WORDING), ("qa", "qa_rejected"), _teaching,
        "Make question/answer rows from chunks.", ("rows", "train", "validation", "test"),
    ),
    Stage(
        "finetune", "jobs.finetune", 4, ("finetune",), ("qa", "base"), ("adapter",),
        _training,
        "Fine-tune with QLoRA on Ray Train.", ("train_rows", "eval_loss_first", "eval_loss_last"),
    ),
    Stage(
        "convert", "jobs.convert", 6, ("convert",), ("adapter", "base", "qa", "chunks"), ("gguf",),
        _converting,
        "Merge, calibrate and quantise to GGUF.", ("file", "bits_per_weight", "quantized_kld", "same_top_1"),
    ),
    Stage(
        "eval", "jobs.eval", 5,
        ("eval", "retrieval", "generation", "convert.quantization", "convert.rounding",
         "convert.gptq_max_inputs", "convert.calibration_rows", "convert.calibration_chunks",
         "convert.calibration_length"),
        ("qa", "chunks", "index", "gguf", "base", "adapter"), ("eval",),
        _evaluating,
        "Measure answers on the test split.",
        ("f1_standalone", "f1_rag", "recall@3", "tokens_per_second"),
    ),
)  # fmt: skip
"""What `lectern run` runs."""

TUNE = Stage(
    "tune", "jobs.tune", 5,
    ("tune", "finetune", "retrieval", "generate_qa.context", "generate_qa.splits", "chunk", "index.embedder",
     "index.factory"),
    ("qa", "base", "index", "documents", PAPERS), ("sweep",), _sweep,
    "Search hyperparameters with Ray Tune. A sweep that was stopped goes on when the command is run again.",
    ("best_trial", "best_answer_f1", "best_evidence_recall", "stopped_early", "failed"),
)  # fmt: skip

STAGES: dict[str, Stage] = {stage.name: stage for stage in (*PIPELINE, TUNE)}


def producer(artifact: str) -> Stage:
    """The stage that writes ``artifact``."""
    return next(stage for stage in STAGES.values() if artifact in stage.outputs)
