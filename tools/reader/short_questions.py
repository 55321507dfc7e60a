"""Questions as people type them: two or three words of the sentence that answers, with other endings, in any order.

A person asks for a thing by its name ("What is a quorum?") or says what it does in words of their own order ("Why does
the leader send heartbeats?"). So the words are the name that a sentence begins with, or a few content words from
anywhere in it, and they are asked only where no other sentence that is shown would answer as well.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache

from qa_core.terms import content_stems

_NAME_FRAMES = (
    "What is {}?", "What is a {}?", "What are {}?", "What does {} do?", "How does {} work?", "What is {} for?",
    "What is meant by {}?", "How is {} used?", "Explain {}.", "Tell me about {}.", "What does {} mean?",
)  # fmt: skip
_MATTER_FRAMES = (
    "Why does {}?", "How does {}?", "What does {}?", "When does {}?", "What {}?", "Why is {}?", "How is {}?",
    "What happens when {}?", "Which {}?", "How often {}?", "Where is {}?", "Is it true that {}?",
)  # fmt: skip
_NAME_SHARE, _SHUFFLED_SHARE, _BENT_SHARE = 0.5, 0.3, 0.3
_NAME_REACH = 3
"""Words into its sentence at which a name may begin: *A bounded queue ...*, *With virtual nodes ...*."""
_LONGEST_NAME, _MOST_WORDS = 3, 4


def short_question(sentence: str, others: Sequence[str], draw: random.Random, silent: Sequence[str] = ()) -> str | None:
    """A question that ``sentence`` answers and none of ``others`` does; None where the draw finds none.

    Args:
        silent: sentences that must not even mention what is asked for.
    """
    words = [word.strip(".,;:!?()\"'") for word in sentence.split()]
    if draw.random() < _NAME_SHARE:
        start = draw.randrange(min(_NAME_REACH, len(words)))
        asked = words[start : start + draw.randint(1, _LONGEST_NAME)]
        if not (asked and content_stems(asked[0]) and content_stems(asked[-1])) or _is_named(asked, start, others):
            return None
        others, frames = silent, _NAME_FRAMES
    else:
        telling = [word for word in words if content_stems(word)]
        asked, others, frames = _some(telling, draw), (*others, *silent), _MATTER_FRAMES
    if not asked or any(_stems_of(asked) <= content_stems(other) for other in others):
        return None
    if asked[0] == words[0] and asked[0][1:].islower():
        asked[0] = asked[0].lower()
    return draw.choice(frames).format(" ".join(_bent(word, draw) for word in asked))


def _some(words: Sequence[str], draw: random.Random) -> list[str]:
    count = draw.randint(2, _MOST_WORDS)
    if len(words) < count:
        return []
    places = draw.sample(range(len(words)), count)
    return [words[place] for place in (places if draw.random() < _SHUFFLED_SHARE else sorted(places))]


def _is_named(asked: Sequence[str], start: int, others: Sequence[str]) -> bool:
    """Whether another sentence has the name as near to its beginning."""
    wanted = _stems_of(asked)
    return any(wanted <= _opening_stems(other, start + _LONGEST_NAME + 1) for other in others)


@lru_cache(maxsize=1 << 16)
def _opening_stems(sentence: str, words: int) -> frozenset[str]:
    return content_stems(" ".join(sentence.split()[:words]))


def _stems_of(words: Sequence[str]) -> frozenset[str]:
    return content_stems(" ".join(words))


def _bent(word: str, draw: random.Random) -> str:
    """``word``, at times with the other of its two commonest endings: *sends* for *send*, *key* for *keys*."""
    if not word.islower() or len(word) < 4 or draw.random() >= _BENT_SHARE:
        return word
    return word.removesuffix("s") if word.endswith("s") and not word.endswith("ss") else f"{word}s"
