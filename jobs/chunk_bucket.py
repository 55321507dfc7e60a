"""What one task of the chunk stage does: the papers of a bucket, copied from an earlier run or read and cut anew."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from jobs.chunk_files import BucketWriter, EarlierBucket, EarlierFiles
from jobs.progress import Counter
from qa_core.artifacts import Artifact
from qa_core.config import ChunkSettings, SemanticSegmentation
from qa_core.corpus.chunking import Chunker, Row, rejected_file
from qa_core.corpus.dedup import PaperFingerprint, Verdict
from qa_core.corpus.density import information_density
from qa_core.corpus.documents import Document, DocumentRejected
from qa_core.corpus.loading import load_document
from qa_core.corpus.papers import PaperFile
from qa_core.corpus.segmentation import TopicSegmenter
from qa_core.schemas import DOCUMENTS
from qa_core.training.base_model import tokenizer_file

SUMMARY = pa.schema(
    [
        *(field for field in DOCUMENTS if field.name not in ("text", "start_char")),
        pa.field("reasons", pa.list_(pa.string())),  # of the rows in chunks_rejected, each with how many
        pa.field("reason_counts", pa.list_(pa.int64())),
    ]
)
"""What the driver learns of each paper: everything but its text."""


@dataclass(frozen=True)
class CutTask:
    """The same for every bucket."""

    buckets: Sequence[Sequence[PaperFile]]
    base: Artifact
    settings: ChunkSettings
    outputs: Mapping[str, Artifact]
    verdict: Verdict
    earlier: EarlierFiles | None
    counter: Counter | None
    """None when the papers were counted before."""

    def __call__(self, numbers: pa.Table) -> pa.Table:
        """Rows of ``SUMMARY`` for the buckets with these numbers."""
        rows = [row for number in numbers["item"].to_pylist() for row in self._cut_bucket(number)]
        return pa.Table.from_pylist(rows, schema=SUMMARY)

    def _cut_bucket(self, number: int) -> list[Row]:
        """A very large paper may turn out bad when a part of it is written: then the bucket is written without it."""
        torn: dict[str, Row] = {}
        while True:
            try:
                return self._write_bucket(number, torn)
            except _TornPaper as failure:
                torn[failure.rejection["source"]] = failure.rejection

    def _write_bucket(self, number: int, torn: Mapping[str, Row]) -> list[Row]:
        rows = []
        with ExitStack() as stack:
            bucket = self.earlier.open_bucket(number, len(self.buckets)) if self.earlier else None
            earlier = stack.enter_context(bucket) if bucket else None
            ledger = earlier.ledger() if earlier else {}
            writer = stack.enter_context(BucketWriter(self.outputs, number))
            for paper in self.buckets[number]:
                cutter = _PaperCutter(self, writer, paper)
                if paper.source in torn:
                    rows.append(cutter.refuse(torn[paper.source]))
                else:
                    rows.append(cutter.copy_or_cut(ledger.get(paper.source), earlier))
                if self.counter:
                    self.counter.advance()
        return rows


class _TornPaper(Exception):
    """A paper that failed after some of its rows had been written."""

    def __init__(self, rejection: Row) -> None:
        super().__init__(rejection)
        self.rejection = rejection


@dataclass(frozen=True)
class _PaperCutter:
    task: CutTask
    writer: BucketWriter
    paper: PaperFile

    def copy_or_cut(self, known: Mapping[str, Any] | None, earlier: EarlierBucket | None) -> Row:
        """The paper's row of ``SUMMARY``; its rows of all tables are written."""
        try:
            digest = self.paper.digest()
        except (OSError, pa.ArrowException) as error:
            detail = getattr(error, "strerror", None) or str(error)
            return self.refuse(rejected_file(self.paper.source, "unreadable", detail))
        if known is None or earlier is None or known["file_digest"] != digest:
            return self._cut(digest)
        if reason := self.task.verdict.duplicates.get(self.paper.source):
            return self.refuse(rejected_file(self.paper.source, *reason), known)
        skipped = set(known["skipped_blocks"].tolist())
        if known["outcome"] == "kept" and skipped == self._boilerplate(known["block_hashes"].tolist()):
            return self._copy(known, earlier)
        return self._cut(digest)

    def refuse(self, rejection: Row, known: Mapping[str, Any] | None = None) -> Row:
        """The whole file is left out; what is known of it is kept for the next comparison."""
        self.writer.write("chunks_rejected", [rejection])
        row = {**(known or {}), "source": self.paper.source}
        row.update(outcome=rejection["reason"], detail=rejection["detail"])
        row.update(num_chunks=0, num_tokens=0, skipped_blocks=[], start_char=None, text=None)
        self.writer.write("documents", [row])
        return _summary(row, Tally([rejection["reason"]]))

    def _copy(self, known: Mapping[str, Any], earlier: EarlierBucket) -> Row:
        reasons: Tally[str] = Tally()
        for table in ("chunks", "chunks_rejected", "documents"):
            for rows in earlier.rows(table, self.paper.source):
                self.writer.write(table, rows)
                if table == "chunks_rejected":
                    reasons.update(rows["reason"].to_pylist())
        return _summary(known, reasons)

    def _cut(self, digest: str) -> Row:
        try:
            document = load_document(self.paper)
        except DocumentRejected as error:
            return self.refuse(rejected_file(self.paper.source, error.reason, error.detail), {"file_digest": digest})
        except MemoryError:
            raise
        except Exception as error:  # a defect in a reader costs one paper and is counted, not a night's run
            return self.refuse(_defect(self.paper, error), {"file_digest": digest})
        try:
            return self._write_cut(document, digest)
        except DocumentRejected as error:
            raise _TornPaper(rejected_file(self.paper.source, error.reason, error.detail)) from error
        except (OSError, MemoryError):  # a full disk is no fault of the paper
            raise
        except Exception as error:
            raise _TornPaper(_defect(self.paper, error)) from error

    def _write_cut(self, document: Document, digest: str) -> Row:
        fingerprint, tokens, chunks = PaperFingerprint(), 0, 0
        reasons: Tally[str] = Tally()
        boilerplate = self.task.verdict.boilerplate
        for cut in _chunker(tokenizer_file(self.task.base.local()), self.task.settings).stream(
            document, lambda block, kind: fingerprint.add(block, kind) in boilerplate
        ):
            rows = [{**row, "density": information_density(row["text"])} for row in cut.chunks]
            self.writer.write("chunks", rows)
            self.writer.write("chunks_rejected", cut.rejected)
            reasons.update(row["reason"] for row in cut.rejected)
            chunks, tokens = chunks + len(rows), tokens + sum(row["num_tokens"] for row in rows)
            place = {"start_char": cut.start, "text": cut.text}
            if document.rest:
                self.writer.write("documents", [{"source": document.source, **place}])
                place = {}
        row = {
            **place,
            "source": document.source, "outcome": "kept", "file_digest": digest, "doc_id": document.doc_id,
            "format": document.format, "title": document.title, "authors": document.authors, "year": document.year,
            "num_chunks": chunks, "num_tokens": tokens, "num_words": fingerprint.num_words,
            "content_hash": fingerprint.content_hash, "signature": fingerprint.signature,
            "block_hashes": np.unique(np.array(fingerprint.block_hashes, dtype=np.uint64)),
            "skipped_blocks": sorted(self._boilerplate(fingerprint.block_hashes)),
        }  # fmt: skip
        self.writer.write("documents", [row])
        return _summary(row, reasons)

    def _boilerplate(self, block_hashes: Sequence[int]) -> set[int]:
        return set(self.task.verdict.boilerplate.intersection(block_hashes))


@lru_cache(maxsize=1)
def _chunker(tokenizer: Path, settings: ChunkSettings) -> Chunker:
    """Loaded once a worker process, which Ray uses for many buckets."""
    if not isinstance(settings.segmentation, SemanticSegmentation):
        return Chunker(tokenizer, settings)
    from qa_core.retrieval.embedding import Embedder

    embed = Embedder(settings.segmentation.embedder).embed_passages
    return Chunker(tokenizer, settings, TopicSegmenter(embed, settings.segmentation))


def _summary(row: Mapping[str, Any], reasons: Tally[str]) -> Row:
    return {
        **{name: row.get(name) for name in SUMMARY.names},
        "reasons": sorted(reasons),
        "reason_counts": [reasons[reason] for reason in sorted(reasons)],
    }


def _defect(paper: PaperFile, error: Exception) -> Row:
    return rejected_file(paper.source, "failed", f"{type(error).__name__}: {error}")
