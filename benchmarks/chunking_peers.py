"""The contestants of ``benchmarks.chunking``, each as its documentation sets it up, and whose ids each counts by.

A peer gets the decoded text and cuts it; ours gets the file's bytes, decodes them and looks for the title, too. All
read the same ``tokenizer.json``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import fastokens
from tokenizers import Tokenizer

from qa_core.config import ChunkSettings
from qa_core.corpus.chunking import Chunker
from qa_core.corpus.loading import read_document


class Paper(NamedTuple):
    """A markdown file in memory."""

    source: str
    data: bytes
    text: str


class Piece(NamedTuple):
    """A chunk as a model would read it, and where its text stands in the paper: -1 where it is not found there."""

    read: str
    start: int
    end: int


Cut = Callable[[Paper], Any]


@dataclass(frozen=True)
class Contestant:
    """``build`` makes the function that is timed; ``pieces`` makes what is judged of its result."""

    name: str
    counts_by: str
    """The library that makes its token ids."""
    packages: tuple[str, ...]
    """What has to be installed beside the project itself."""
    build: Callable[[Path, int], Cut]
    """From a ``tokenizer.json`` and the most tokens of a chunk."""
    pieces: Callable[[Paper, Any], list[Piece]]

    @property
    def is_installed(self) -> bool:
        return all(map(importlib.util.find_spec, self.packages))


def encoder(library: str, tokenizer_file: Path) -> Callable[[str], list[int]]:
    """Text to ids, without special tokens around it."""
    if library == "fastokens":
        fast = fastokens.Tokenizer.from_json_str(Tokenizer.from_file(str(tokenizer_file)).to_str())
        return lambda text: fast.encode(text, add_special_tokens=False).ids
    if library == "tokie":
        import tokie

        own = tokie.Tokenizer.from_json(str(tokenizer_file))
        return lambda text: own.encode(text, add_special_tokens=False).ids
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def _ours(tokenizer_file: Path, max_tokens: int) -> Cut:
    chunker = Chunker(tokenizer_file, ChunkSettings(max_tokens=max_tokens, overlap_tokens=0))
    return lambda paper: chunker.chunk(read_document(paper.source, paper.data))


def _chonkie(tokenizer: Any, max_tokens: int) -> Cut:
    from chonkie import RecursiveChunker

    chunker = RecursiveChunker(tokenizer=tokenizer, chunk_size=max_tokens)
    return lambda paper: chunker.chunk(paper.text)


def _chonkie_with_tokenizers(tokenizer_file: Path, max_tokens: int) -> Cut:
    return _chonkie(Tokenizer.from_file(str(tokenizer_file)), max_tokens)


def _chonkie_with_tokie(tokenizer_file: Path, max_tokens: int) -> Cut:
    import tokie

    return _chonkie(tokie.Tokenizer.from_json(str(tokenizer_file)), max_tokens)


def _chonkie_with_fastokens(tokenizer_file: Path, max_tokens: int) -> Cut:
    from chonkie.tokenizer import AutoTokenizer

    class Fastokens(AutoTokenizer):
        """A plain callable would do until a word exceeds the budget: that is cut between ids."""

        def encode(self, text: str) -> list[int]:
            return self.tokenizer.encode(text, add_special_tokens=False).ids

    fast = fastokens.Tokenizer.from_json_str(Tokenizer.from_file(str(tokenizer_file)).to_str())
    return _chonkie(Fastokens(fast), max_tokens)


def _langchain(tokenizer_file: Path, max_tokens: int) -> Cut:
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    splitter = RecursiveCharacterTextSplitter(
        chunk_size=max_tokens,
        chunk_overlap=0,
        length_function=lambda text: len(tokenizer.encode(text, add_special_tokens=False)),
    )
    return lambda paper: splitter.split_text(paper.text)


def _semantic_text_splitter(tokenizer_file: Path, max_tokens: int) -> Cut:
    from semantic_text_splitter import MarkdownSplitter

    splitter = MarkdownSplitter.from_huggingface_tokenizer(Tokenizer.from_file(str(tokenizer_file)), max_tokens)
    return lambda paper: splitter.chunks(paper.text)


def _semchunk(tokenizer_file: Path, max_tokens: int) -> Cut:
    from semchunk import chunkerify

    chunker = chunkerify(Tokenizer.from_file(str(tokenizer_file)), max_tokens)
    return lambda paper: chunker(paper.text)


def our_pieces(paper: Paper, cut: Any) -> list[Piece]:
    return [
        Piece(f"{row['prefix']}\n{row['text']}" if row["prefix"] else row["text"], row["start_char"], row["end_char"])
        for row in cut.chunks
    ]


def located(paper: Paper, chunks: Any) -> list[Piece]:
    """Each chunk at its first occurrence after the end of the one before."""
    pieces, cursor = [], 0
    for chunk in chunks:
        text = chunk if isinstance(chunk, str) else chunk.text
        start = paper.text.find(text, cursor)
        cursor = cursor if start < 0 else start + len(text)
        pieces.append(Piece(text, start, cursor))
    return pieces


OURS = Contestant("ours", "fastokens", (), _ours, our_pieces)
CHONKIE = Contestant("chonkie", "tokenizers", ("chonkie",), _chonkie_with_tokenizers, located)
PEERS = (
    CHONKIE,
    Contestant("langchain", "tokenizers", ("langchain_text_splitters",), _langchain, located),
    Contestant("semantic-text-splitter", "tokenizers", ("semantic_text_splitter",), _semantic_text_splitter, located),
    Contestant("semchunk", "tokenizers", ("semchunk",), _semchunk, located),
)
"""Peers that count with the model's own tokenizer: the fastest of them is the one to beat."""
CHONKIE_BY_OTHERS = (
    Contestant("chonkie", "fastokens", ("chonkie",), _chonkie_with_fastokens, located),
    Contestant("chonkie", "tokie", ("chonkie", "tokie"), _chonkie_with_tokie, located),
)
"""The first peer with faster libraries, so that the chunker and the tokenizer can be told apart."""
