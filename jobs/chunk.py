"""``lectern chunk``: papers to chunks on Ray Data.

A task reads and cuts one bucket of papers and writes that bucket's files, so text passes through no driver. The driver
sees a summary of each paper and judges which papers and blocks repeat others; buckets that this changes are written
once more. Rows, their order and the bytes of every file depend on the corpus alone, never on the number of workers.
"""

from __future__ import annotations

import hashlib
from collections import Counter as Tally
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import ray
from ray.data import TaskPoolStrategy

from jobs.chunk_bucket import CutTask
from jobs.chunk_files import EarlierFiles, bucket_of, fingerprint_of, into_buckets, summary_rows
from jobs.stages import FunnelStep, StageContext, StageOutcome
from qa_core.artifacts import Artifact
from qa_core.config import ChunkSettings, SemanticSegmentation
from qa_core.corpus.dedup import DUPLICATE_REASONS, Verdict, judge
from qa_core.corpus.papers import find_papers
from qa_core.errors import UserError
from qa_core.manifest import digest, package_versions
from qa_core.training.base_model import tokenizer_file

CUT_VERSION = 1
"""Raised when the same paper and settings give other rows than before: nothing of an earlier run is then copied."""

_CUTTING_PACKAGES = ("docutils", "fastokens", "justhtml", "pypdfium2", "rensa", "sentence-transformers")
"""Another version of these may read, count or compare otherwise."""
Summaries = list[dict[str, Any]]


def run(context: StageContext) -> StageOutcome:
    """Write the chunks, what was left out of them, and the documents; a bad file never stops the run."""
    settings, base = context.config.chunk, context.inputs["base"]
    if isinstance(settings.segmentation, SemanticSegmentation):
        from qa_core.retrieval.embedding import locate_model

        locate_model(settings.segmentation.embedder.name_or_path)  # told now, not by every task
    papers = find_papers(settings.papers)
    buckets = into_buckets(papers)
    key = _cut_key(settings, base)
    earlier = _earlier_files(context.outputs, key)
    with context.progress.track("papers", len(papers)) as counter:
        verdict = _earlier_verdict(earlier, settings)
        task = CutTask(buckets, base, settings, context.outputs, verdict, earlier, counter)
        summaries = _cut(task, range(len(buckets)))
        verdict = judge([fingerprint_of(row) for row in summaries if row["content_hash"]], settings)
        if changed := sorted({bucket_of(source, len(buckets)) for source in _treated_otherwise(summaries, verdict)}):
            staged = {name: output.staging_path for name, output in context.outputs.items()}
            earlier = EarlierFiles(context.outputs["chunks"].filesystem, staged, len(buckets))
            again = replace(task, verdict=verdict, earlier=earlier, counter=None)
            kept = [row for row in summaries if bucket_of(row["source"], len(buckets)) not in changed]
            summaries = kept + _cut(again, changed)
    outcome = _outcome(summaries, {"cut_key": key, "buckets": len(buckets)})
    if not outcome.num_rows["chunks"]:
        raise _nothing_left(settings, outcome)
    return outcome


def _cut_key(settings: ChunkSettings, base: Artifact) -> str:
    """Equal keys cut an equal paper into equal rows."""
    tokenizer = hashlib.sha256(tokenizer_file(base.local()).read_bytes()).hexdigest()
    versions = {name: version for name, version in package_versions().items() if name in _CUTTING_PACKAGES}
    return digest([CUT_VERSION, tokenizer, versions, settings.model_dump(mode="json", exclude={"papers", "compute"})])


def _earlier_files(outputs: Mapping[str, Artifact], key: str) -> EarlierFiles | None:
    """The finished files of one earlier run that cut papers in the same way, or None.

    Files that are damaged, or of two runs because one was killed between publishing two artifacts, are not copied from.
    """
    manifests = []
    for output in outputs.values():
        try:
            manifest = output.manifest()
            if manifest is None or manifest.metrics.get("cut_key") != key:
                return None
            output.verify(manifest)
        except UserError:  # damaged; it is about to be replaced
            return None
        manifests.append(manifest)
    if len({manifest.fingerprint for manifest in manifests}) > 1:
        return None
    folders = {name: output.path for name, output in outputs.items()}
    return EarlierFiles(outputs["chunks"].filesystem, folders, int(manifests[0].metrics["buckets"]))


def _earlier_verdict(earlier: EarlierFiles | None, settings: ChunkSettings) -> Verdict:
    """What the earlier run found is most likely what this one will find, so most papers are written once."""
    if earlier is None:
        return Verdict()
    rows = [row for number in range(earlier.buckets) for row in earlier.ledger(number)]
    return judge([fingerprint_of(row) for row in rows if row["content_hash"]], settings)


def _cut(task: CutTask, numbers: Sequence[int]) -> Summaries:
    workers = min(task.settings.compute.num_workers, len(numbers))
    compute = task.settings.compute
    batches = (
        ray.data.from_items(list(numbers), override_num_blocks=len(numbers))
        .map_batches(
            task,
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=compute.cpus_per_worker,
            compute=TaskPoolStrategy(size=workers),
        )
        .iter_batches(batch_size=None, batch_format="pyarrow")
    )
    return [row for batch in batches for row in summary_rows(batch)]


def _treated_otherwise(summaries: Summaries, verdict: Verdict) -> list[str]:
    """Sources whose rows are not what ``verdict`` asks for."""
    found = []
    for row in summaries:
        if not row["content_hash"]:
            continue
        asked = verdict.duplicates.get(row["source"])
        written = None if row["outcome"] == "kept" else (row["outcome"], row["detail"])
        skips = set() if asked else verdict.boilerplate.intersection(row["block_hashes"].tolist())
        if asked != written or skips != set(row["skipped_blocks"].tolist()):
            found.append(row["source"])
    return found


def _outcome(summaries: Summaries, files: Mapping[str, Any]) -> StageOutcome:
    rejected: Tally[str] = Tally()
    for row in summaries:
        rejected.update(dict(zip(row["reasons"], row["reason_counts"], strict=True)))
    outcomes = Tally(row["outcome"] for row in summaries)
    chunks = sum(row["num_chunks"] for row in summaries)
    return StageOutcome(
        num_rows={"chunks": chunks, "chunks_rejected": rejected.total(), "documents": len(summaries)},
        rejected=dict(sorted(rejected.items())),
        metrics={
            "papers": len(summaries),
            "papers_with_chunks": sum(row["num_chunks"] > 0 for row in summaries),
            "chunks": chunks,
            "tokens": sum(row["num_tokens"] for row in summaries),
            **files,
        },
        funnel=_funnel(summaries, outcomes, rejected),
    )


def _funnel(summaries: Summaries, outcomes: Mapping[str, int], rejected: Mapping[str, int]) -> list[FunnelStep]:
    """Every file is in exactly one loss of the first three steps, or has chunks."""
    repeats = {reason: outcomes[reason] for reason in DUPLICATE_REASONS if reason in outcomes}
    refused = {reason: n for reason, n in sorted(outcomes.items()) if reason not in {"kept", *repeats}}
    kept = [row for row in summaries if row["outcome"] == "kept"]
    without = sum(row["num_chunks"] == 0 for row in kept)
    parts = {
        reason: n - outcomes.get(reason, 0) for reason, n in sorted(rejected.items()) if n > outcomes.get(reason, 0)
    }
    return [
        FunnelStep("files", len(summaries), {}),
        FunnelStep("papers read", len(summaries) - sum(refused.values()), refused),
        FunnelStep("different papers", len(kept), repeats),
        FunnelStep("papers with chunks", len(kept) - without, {"nothing to keep": without} if without else {}),
        FunnelStep("chunks", sum(row["num_chunks"] for row in kept), parts),
    ]


def _nothing_left(settings: ChunkSettings, outcome: StageOutcome) -> UserError:
    reasons = ", ".join(f"{reason} {n}" for reason, n in outcome.rejected.items())
    return UserError(
        f"none of the {outcome.metrics['papers']} papers in {settings.papers} gave a chunk: {reasons}",
        "docs/formats.md says what can be read; papers with little text need a lower chunk.min_tokens.",
    )
