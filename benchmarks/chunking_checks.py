"""What is wrong with chunks: other token ids, lost text, torn blocks, pieces above the budget."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from benchmarks.chunking_peers import OURS, Paper, Piece, encoder
from qa_core.corpus.counting import TokenCounter
from qa_core.corpus.markdown import parse_blocks

_ATOMIC = ("table", "code", "math")


def wrong_ids(papers: list[Paper], tokenizer_file: Path, libraries: set[str]) -> dict[str, int]:
    """Papers that each library reads as other ids than tokenizers does."""
    expected = list(map(encoder("tokenizers", tokenizer_file), (paper.text for paper in papers)))
    counter, wrong = TokenCounter(tokenizer_file), {}
    for library in libraries:
        encode = encoder(library, tokenizer_file)
        wrong[library] = sum(encode(paper.text) != ids for paper, ids in zip(papers, expected, strict=True))
    for paper, ids in zip(papers, expected, strict=True):
        assert counter.count(paper.text) == len(ids), f"miscounted {paper.source}"
    return wrong


def lost_characters(papers: list[Paper], tokenizer_file: Path, max_tokens: int) -> tuple[int, int]:
    """Letters, digits and signs beyond ASCII that are in none of our chunks, rejected rows and headings; and all."""
    cut, lost, total = OURS.build(tokenizer_file, max_tokens), 0, 0
    for paper in papers:
        result, kept = cut(paper), bytearray(len(paper.text))
        spans = [(row["start_char"], row["end_char"]) for row in result.chunks]
        named = (re.match(r"characters (\d+) to (\d+)", row["detail"]) for row in result.rejected)
        spans += [(int(match[1]), int(match[2])) for match in named if match]
        spans += [(block.start, block.end) for block in parse_blocks(paper.text) if block.kind == "heading"]
        for start, end in spans:
            kept[start:end] = b"\1" * (end - start)
        said = [char.isalnum() or not (char.isascii() or char.isspace()) for char in paper.text]
        lost += sum(says and not is_kept for says, is_kept in zip(said, kept, strict=True))
        total += sum(said)
    return lost, total


def atomic_blocks(paper: Paper, count: Callable[[str], int], max_tokens: int) -> list[tuple[int, int]]:
    """Tables, code and display math within the budget, without white space around them."""
    spans = []
    for block in parse_blocks(paper.text):
        body = paper.text[block.start : block.end]
        if block.kind in _ATOMIC and count(body.strip()) <= max_tokens:
            start = block.start + len(body) - len(body.lstrip())
            spans.append((start, start + len(body.strip())))
    return spans


def is_torn(start: int, end: int, pieces: list[Piece]) -> bool:
    """Whether some piece holds a part of ``start`` to ``end`` and none holds all of it."""
    touching = [piece for piece in pieces if piece.start >= 0 and piece.start < end and piece.end > start]
    return bool(touching) and not any(piece.start <= start and end <= piece.end for piece in touching)


def judge(
    found: dict[int, list[Piece]], blocks: list[list[tuple[int, int]]], count: Callable[[str], int], most: int
) -> list[int]:
    """Chunks, those above the budget, torn blocks, and chunks whose text is not in the paper as it stands there."""
    pieces = [piece for of_paper in found.values() for piece in of_paper]
    torn = sum(is_torn(start, end, found[number]) for number in found for start, end in blocks[number])
    above = sum(count(piece.read) > most for piece in pieces)
    return [len(pieces), above, torn, sum(piece.start < 0 for piece in pieces)]
