"""How much a text says in its words: the information density that retrieval and question generation use."""

from __future__ import annotations

import re
from functools import lru_cache

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
    read = [_read_word(token) for token in tokenize(text)]
    if not read:
        return 0.0
    words = [word for word, _, _ in read]
    segments = [words[start : start + _WINDOW] for start in range(0, len(words), _WINDOW)]
    lexical = sum(is_content for _, is_content, _ in read) / len(read)
    # Segments weigh by their length, so that a short last one cannot lift the mean.
    variety = sum(len(set(segment)) for segment in segments) / len(read)
    technical = sum(is_term for _, _, is_term in read) / len(read)
    return (2 * lexical + variety + min(1.0, _SPECIFICITY_GAIN * technical)) / 4


@lru_cache(maxsize=1 << 16)
def _read_word(token: str) -> tuple[str, bool, bool]:
    """``token`` in its one spelling, whether it is a content word, and whether it is technical."""
    word = normalise(token)
    return word, word not in _FUNCTION_WORDS, is_technical(token)
