"""The order of passages: cosine similarity with the question, and how much each passage says in its words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from qa_core.config import RetrievalSettings
from qa_core.schemas import Passage
from qa_core.terms import is_technical, normalise, tokenize

_WINDOW = 50
_SPECIFICITY_GAIN = 4.0
# Function words of English (determiners, pronouns, prepositions, conjunctions, auxiliaries, common adverbs).
_FUNCTION_WORDS = frozenset(
    re.findall(
        r"\S+",
        """a about above after again all almost also although always am among an and another any are as at be because
        been before being below between both but by can cannot could did do does doing done down during
        each either else even ever every few for from further had has have having he her here hers him his
        how however i if in into is it its itself just less let many may me might more most much must my
        neither no nor not now of off often on once one only onto or other our ours out over own per quite
        rather same shall she should since so some such than that the their theirs them then there these
        they this those through thus to too under until up upon us very was we were what when where
        whether which while who whom whose why will with within without would yet you your yours""",
    )
)


def information_density(text: str) -> float:
    """How much ``text`` says in its words, from 0 (nothing) to 1.

    ``(2 L + V + S) / 4`` over its word tokens:

    * ``L`` lexical density, content words / words (J. Ure, "Lexical density and register differentiation", 1971);
    * ``V`` variety, the mean type-token ratio of segments of 50 words, which unlike the plain ratio does not fall with
      the length of the text (W. Johnson, "Studies in language behavior", 1944);
    * ``S`` specificity, ``min(1, 4 x technical / words)``, where numbers, acronyms and symbols are technical: about one
      word in four of a dense results section.
    """
    tokens = tokenize(text)
    if not tokens:
        return 0.0
    words = [normalise(token) for token in tokens]
    lexical = sum(word not in _FUNCTION_WORDS for word in words) / len(words)
    segments = [words[start : start + _WINDOW] for start in range(0, len(words), _WINDOW)]
    # Segments weigh by their length, so that a short last one cannot lift the mean.
    variety = sum(len(set(segment)) for segment in segments) / len(words)
    technical = sum(map(is_technical, tokens)) / len(tokens)
    return (2 * lexical + variety + min(1.0, _SPECIFICITY_GAIN * technical)) / 4


def rank(passages: Sequence[Passage], settings: RetrievalSettings) -> list[Passage]:
    """Passages by ``(1 - w) x similarity + w x density``, at most ``max_per_document`` of a paper, with ``score`` set.

    Equal scores keep the order they came in.
    """
    weight = settings.density_weight
    scored = [replace(p, score=(1 - weight) * p.similarity + weight * p.density) for p in passages]
    taken: Counter[str] = Counter()
    ranked = []
    for passage in sorted(scored, key=lambda passage: -passage.score):
        if taken[passage.doc_id] < settings.max_per_document:
            taken[passage.doc_id] += 1
            ranked.append(passage)
    return ranked
