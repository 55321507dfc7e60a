"""A row's conversation: what the model is shown and what it learns to say.

As in RAFT (Zhang et al., "RAFT: Adapting Language Model to Domain Specific RAG", 2024, arXiv 2403.10131) most rows show
the right passages among others that retrieval takes for close, some show only the others, and some show none. Every
draw depends on the seed and on the row's id, never on its place in the table.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from qa_core.config import ContextSettings
from qa_core.corpus.sentences import sentence_spans
from qa_core.generation.chat import ABSTENTION, build_messages, cited_answer, unmarked
from qa_core.retrieval.ranking import without_repeats
from qa_core.schemas import Message, Passage
from qa_core.terms import is_technical, normalise, tokenize

Row = Mapping[str, Any]

_CONTRAST = re.compile(r"(?<=; )|(?<=, )(?=(?:while|whereas|but|although|though)\b)")
"""Where a sentence turns from one thing to the other."""
_WORD = re.compile(r"[^\W_]+")
_SHORTEST_CONTENT_WORD = 4
"""Letters; shorter words are everywhere, unless they are technical."""


def converse(
    row: Row, gold: Sequence[Passage], distractors: Sequence[Passage], settings: ContextSettings, top_k: int, seed: int
) -> tuple[list[str], list[Message]]:
    """Chunk ids of the passages in the prompt, in order, and the turns: system, user, assistant.

    Args:
        row: of ``QA``; its split, conversation and context are not read.
        gold: the passages of ``row["chunk_ids"]``.
        distractors: what the service's retrieval finds for the question, best first. Those that hold the row's evidence
            too (a neighbour that repeats a sentence, a copy of the paper) are passed over, so offer a few more than
            ``top_k``.
        top_k: most passages in the prompt; more only when there are more gold ones.
    """
    if {passage.chunk_id for passage in gold} != set(row["chunk_ids"]):
        raise ValueError(f"row {row['qa_id']} needs the passages {row['chunk_ids']}")
    draw = random.Random(f"{seed}:context:{row['qa_id']}")
    is_shown, is_hidden = draw.random() < settings.shown, draw.random() < settings.without_gold
    if row["answerable"] and not is_shown:
        return [], _turns(row, (), unmarked(row["answer"].strip()))
    others = _without_evidence(distractors, row)
    is_hidden = is_hidden and row["answerable"] and bool(others)
    kept = [] if is_hidden else sorted(gold, key=lambda passage: passage.chunk_id)
    passages = _filled(kept, others, top_k)
    draw.shuffle(passages)
    if is_hidden:
        answer = ABSTENTION
    elif row["answerable"]:
        answer = _answer_from(row, passages)
    else:
        answer = unmarked(row["answer"].strip())
    return [passage.chunk_id for passage in passages], _turns(row, passages, answer)


def _turns(row: Row, passages: Sequence[Passage], answer: str) -> list[Message]:
    return [*build_messages(row["question"], passages), Message(role="assistant", content=answer)]


def _without_evidence(distractors: Sequence[Passage], row: Row) -> list[Passage]:
    """``distractors`` that are not gold and hold none of the row's evidence, each once."""
    evidence = [_words(span["text"]) for span in row["evidence"]]
    chosen = {passage.chunk_id: passage for passage in distractors if passage.chunk_id not in row["chunk_ids"]}
    return [
        passage for passage in chosen.values() if not any(_holds(_words(passage.text), words) for words in evidence)
    ]


def _filled(kept: Sequence[Passage], others: Sequence[Passage], top_k: int) -> list[Passage]:
    """``kept``, whole, and as many of ``others`` as make ``top_k``, each with what those before it have not said."""
    passages = list(kept)
    for passage in others:
        if len(passages) >= top_k:
            break
        if rest := without_repeats(passage, passages):
            passages.append(rest)
    return passages


def _answer_from(row: Row, passages: Sequence[Passage]) -> str:
    """The row's answer with its citations; a passage is quoted where the answer does not use its words."""
    evidence: dict[int, list[str]] = {}
    for number, passage in enumerate(passages, start=1):
        spans = [span["text"] for span in row["evidence"] if span["chunk_id"] == passage.chunk_id]
        if spans or (not row["evidence"] and passage.chunk_id in row["chunk_ids"]):
            evidence[number] = spans
    answer = row["answer"].strip()
    claims = assign(answer, {n: [*spans, passages[n - 1].title] for n, spans in evidence.items()})
    quotes = {}
    for number, spans in evidence.items():
        said = [text for text, numbers in claims if number in numbers]
        if spans and not _is_verbatim(said, spans):
            quotes[number] = min(spans, key=len)
    return cited_answer(claims, quotes)


def assign(answer: str, texts: Mapping[int, Sequence[str]]) -> list[tuple[str, list[int]]]:
    """The parts of ``answer`` with the numbers of the ``texts`` they come from; joined they are ``answer``.

    With several texts a part belongs to those whose own words it uses. When some part uses none, or some text is left
    without a part, the whole answer belongs to all.
    """
    everything = [(answer, sorted(texts))]
    parts = _parts(answer)
    if len(texts) < 2 or len(parts) < 2:
        return everything
    words = {number: set().union(*map(_content_words, text)) for number, text in texts.items()}
    own = {number: mine.difference(*(words[n] for n in words if n != number)) for number, mine in words.items()}
    claims = []
    for part in parts:
        shared = {number: len(mine & _content_words(part)) for number, mine in own.items()}
        most = max(shared.values())
        claims.append((part, [number for number, count in sorted(shared.items()) if most and 2 * count >= most]))
    cited = {number for _, numbers in claims for number in numbers}
    return claims if cited == set(texts) and all(numbers for _, numbers in claims) else everything


def _parts(answer: str) -> list[str]:
    """Sentences, cut again where they turn to the other thing; each with the white space that follows it."""
    starts = [0, *(start for start, _ in sentence_spans(answer)[1:]), len(answer)]
    sentences = [answer[start:end] for start, end in pairwise(starts)]
    return [part for sentence in sentences for part in _CONTRAST.split(sentence)]


def _content_words(text: str) -> set[str]:
    return {normalise(token) for token in tokenize(text) if len(token) >= _SHORTEST_CONTENT_WORD or is_technical(token)}


def _is_verbatim(said: Sequence[str], evidence: Sequence[str]) -> bool:
    """Whether each sentence of ``said`` stands in one of ``evidence``, case and punctuation aside."""
    sentences = [_words(text[start:end]) for text in said for start, end in sentence_spans(text)]
    return all(any(_holds(_words(span), sentence) for span in evidence) for sentence in sentences)


def _words(text: str) -> str:
    """The words and numbers of ``text`` between single spaces, with a space at each end."""
    return f" {' '.join(_WORD.findall(unicodedata.normalize('NFKC', text).casefold()))} "


def _holds(text: str, words: str) -> bool:
    return bool(words.strip()) and words in text
