"""The text a reader learns from: papers and retrieval sets, cut into passages, some documents kept out to measure."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from qa_core.config import ChunkSettings
from qa_core.corpus.chunking import Chunker
from qa_core.corpus.documents import Document, DocumentRejected
from qa_core.corpus.loading import load_document, read_document
from qa_core.corpus.papers import find_papers
from qa_core.corpus.sentences import sentence_spans
from qa_core.errors import UserError
from qa_core.generation.chat import unmarked
from qa_core.schemas import Passage

PASSAGE_TOKENS = 128
"""As in the ``tiny`` config."""
_HELD_OUT = 5
"""One document in this many."""
_ASCII_SHARE = 0.97
"""Of the characters of an English text; the tokenizer and the question frames know English only."""
_WORDS_OF_A_SENTENCE = (6, 45)
_PLACEHOLDER = re.compile(r"\s*\(?(?:[A-Z]+REF|INLINEFORM|DISPLAYFORM)\d+\)?(?:\s*[,;]\s*(?=[A-Z]+REF))?")
"""What QASPER leaves where a paper had a reference or a formula."""
_LIST_MARK = re.compile(r"^(?:[-*+]|\d+[.)])\s+")


@dataclass(frozen=True)
class Lesson:
    """A passage and the sentences of it that can be asked for."""

    passage: Passage
    sentences: tuple[str, ...]


def read_documents(papers: Sequence[str], retrieval_sets: Sequence[str], left_out: Sequence[str]) -> list[Document]:
    """Every English document of the folders, in a fixed order.

    Args:
        papers: folders of papers, in any format that ``chunk`` reads.
        retrieval_sets: folders in BEIR's layout, each with a ``corpus.jsonl``; texts of one title are one document.
        left_out: shell patterns of paths inside ``papers``.

    Raises:
        UserError: when a folder holds nothing to read.
    """
    documents = [*_papers(papers, left_out), *_retrieval_documents(retrieval_sets)]
    return [document for document in documents if _is_english(document.text)]


def is_held_out(document: Document) -> bool:
    """Whether a document is for measuring; depends on its title alone, so that two copies stay together."""
    return int(hashlib.sha256(document.title.encode()).hexdigest(), 16) % _HELD_OUT == 0


def lessons(documents: Sequence[Document], tokenizer_file: Path) -> list[Lesson]:
    """The passages of ``documents`` that have a sentence to ask for."""
    # No overlap: a sentence that stands in two passages would have two right citations.
    chunker = Chunker(tokenizer_file, ChunkSettings(max_tokens=PASSAGE_TOKENS, overlap_tokens=0))
    found = []
    for document in documents:
        for row in chunker.chunk(document).chunks:
            sentences = tuple(_sentences(row["text"])) if row["kind"] in ("prose", "list") else ()
            if sentences:
                found.append(Lesson(Passage.from_row({"density": 0.0, **row}), sentences))
    return found


def _papers(folders: Sequence[str], left_out: Sequence[str]) -> Iterator[Document]:
    for folder in folders:
        for paper in find_papers(folder):
            if any(fnmatch(paper.source, pattern) for pattern in left_out):
                continue
            try:
                yield load_document(paper)
            except DocumentRejected as error:
                print(f"left out: {paper.source}: {error.reason}, {error.detail}", file=sys.stderr)


def _retrieval_documents(folders: Sequence[str]) -> Iterator[Document]:
    for folder in folders:
        corpus = Path(folder) / "corpus.jsonl"
        if not corpus.is_file():
            raise UserError(f"{corpus} does not exist", "give the folder of a retrieval set in BEIR's layout")
        texts: dict[str, list[str]] = {}
        for line in corpus.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            texts.setdefault(row["title"], []).append(_PLACEHOLDER.sub("", row["text"]))
        for title, paragraphs in texts.items():
            text = "\n\n".join([f"# {title}", *paragraphs])
            yield read_document(f"{Path(folder).name}/{title or 'untitled'}.md", text.encode())


def _is_english(text: str) -> bool:
    return sum(map(str.isascii, text)) >= _ASCII_SHARE * len(text)


def _sentences(text: str) -> Iterator[str]:
    for start, end in sentence_spans(text):
        sentence = unmarked(_LIST_MARK.sub("", " ".join(text[start:end].split())))
        shortest, longest = _WORDS_OF_A_SENTENCE
        if shortest <= len(sentence.split()) <= longest and sentence[0].isupper() and sentence[-1] in ".!":
            yield sentence
