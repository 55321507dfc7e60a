"""Whether a reply is in the language of its source.

py3langid gives each of 139 languages a probability. Related languages share it out among themselves, so what is asked
is how probable the *source's* languages are for the reply. On 1,101 questions and answers of the template teacher about
real papers that is never below 0.11; on German, French, Russian, Chinese ... sentences of the same kind ("Das Modell
verwendet LoRA mit rank 8.") never above 0.02.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from qa_core.dataset.checks.rejection import Rejection

_IMPROBABLE = 0.02
_PLAUSIBLE = 0.1
"""A source may be in each of the languages that are at least so probable."""
_SURE = 0.5
"""Least probability of the first language; below it a source is a table or a list of names."""
_NO_LANGUAGE = re.compile(r"`[^`]*`|\$[^$]*\$|https?://\S+|[!-~]*[\d_@{}\\][!-~]*")
"""Code, formulas and addresses."""
_FEWEST_BYTES = 12
"""Of letters, in UTF-8: a name has no language, four Chinese characters have one."""


def check(question: str, answer: str, sources: Sequence[str]) -> Rejection | None:
    """``other_language`` when the pair, or the answer alone, is not in a language of ``sources``.

    Words that the sources have themselves, such as names, are no sign of an answer's language. Sources without a
    language, such as a table of numbers, ask for none.
    """
    expected = {language for source in sources for language in _languages(source)}
    if not expected:
        return None
    own = {word.casefold() for source in sources for word in _words(source)}
    for words in (_words(f"{question} {answer}"), _words(answer)):
        added = [word for word in words if word.casefold() not in own]
        if _is_foreign(words, expected) and _is_foreign(added, expected):
            found = _identifier().rank(" ".join(words))[0][0]
            return Rejection("schema", "other_language", f"{found} instead of {', '.join(sorted(expected))}")
    return None


def _words(text: str) -> list[str]:
    return _NO_LANGUAGE.sub(" ", text).split()


def _is_foreign(words: Sequence[str], expected: set[str]) -> bool:
    text = " ".join(words)
    if len("".join(filter(str.isalpha, text)).encode()) < _FEWEST_BYTES:
        return False
    return sum(share for language, share in _identifier().rank(text) if language in expected) < _IMPROBABLE


@lru_cache(maxsize=1024)
def _languages(text: str) -> tuple[str, ...]:
    """What a source may be written in; nothing where it has too few words to tell."""
    ranked = _identifier().rank(text)
    return tuple(language for language, share in ranked if share >= _PLAUSIBLE) if ranked[0][1] >= _SURE else ()


@lru_cache(maxsize=1)
def _identifier() -> Any:
    """Loaded once a process: the model takes half a second."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
