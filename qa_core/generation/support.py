"""Whether a sentence says what a passage says, as far as words can tell.

Every number and technical term of the sentence must stand in the passage, and most of its other words: a sentence
taken from the passage passes, one on another matter or with another number does not. It is no proof of entailment; a
"not" more or less goes unseen.
"""

from __future__ import annotations

from qa_core.corpus.sentences import sentence_spans
from qa_core.generation.chat import cited_numbers, strip_citations
from qa_core.terms import is_technical, normalise, tokenize

_LEAST_SHARE = 0.75
_SHORT_WORD = 3
"""Letters up to which a word says little."""


def supports(passage: str, sentence: str) -> bool:
    """Whether ``passage`` holds the numbers and terms of ``sentence`` and the larger part of its other words.

    A sentence without a word to look for is not supported.
    """
    said, held = tokenize(strip_citations(sentence)), {normalise(token) for token in tokenize(passage)}
    if any(is_technical(token) and normalise(token) not in held for token in said):
        return False
    words = [normalise(token) for token in said if len(token) > _SHORT_WORD or is_technical(token)]
    return bool(words) and sum(word in held for word in words) >= _LEAST_SHARE * len(words)


def marking_sentences(answer: str, number: int, num_passages: int) -> list[str]:
    """The sentences of ``answer`` that carry the mark ``[number]``."""
    sentences = (answer[start:end] for start, end in sentence_spans(answer))
    return [sentence for sentence in sentences if number in cited_numbers(sentence, num_passages)]
