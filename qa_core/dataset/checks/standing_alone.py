"""Whether a question is one, and can be understood by someone who does not see the paper."""

from __future__ import annotations

import re

from qa_core.dataset.checks.rejection import Rejection

_POINTS_AWAY = re.compile(
    r"\b(?:this|these|such (?!as\b)|those (?!(?:of|that|who|which|in|with)\b)|our|we|(?-i:us)"
    r"|aforementioned|latter|former)\b"
    r"|\b(?:of|in|on|for|with|by|from|at|into|than|under|after|before) that [a-z]+|\b(?:above|below)(?=[?,])"
    r"|\bthe (?:present |following |given |provided )?(?:"
    r"(?:papers?|survey|section|authors?|passages?|chunk|excerpt|article|study|formula|equation|figure"
    r"|(?:text|code|table)(?! (?:en|de)coder| embed| generat| model| token| corpus| base\b| lookup| entr| size| row))\b"
    r"(?! (?:of|for|that|by|between|heading|title)\b)"
    r"|(?:argument|proofs?|results?|others?|property|difference|idea|recommendation|estimate|trade|rule|heuristic"
    r"|method|problem|purpose)\b(?! (?:of|for|that|by|between|in|with|behind|from|to)\b))"
    r"|\bpassages? [12]\b|\b(?:Table|Figure|Equation|Section) \d"
    r"|(?<!training )(?<!adversarial )(?<!labelled )(?<!labeled )(?<!few-shot )(?<!test )(?<!negative )(?<!positive )"
    r"\bexamples?\b|\b(?:the|all) (?:two|three|four|others?)\b",
    re.IGNORECASE,
)
_IMPERSONAL = (
    r"(?:(?:cost|take|mean|matter|pay)\w*|possible|necessary|important|better|useful|hard|difficult|easy"
    r"|likely|enough|safe|cheaper|faster|advisable|beneficial|sensible)\b"
)
_LOOSE_PRONOUN = re.compile(
    rf"\b(?:it(?! (?:\w+ )?{_IMPERSONAL}(?: [\w-]+){{0,4}}? (?:to|that|if)\b)|they|them|itself|themselves|he|she)\b"
)
_LOOSE_POSSESSIVE = re.compile(
    r"(?:what happens (?:if|when)|(?:.*, )?(?:why|how|what)(?: \w+)?|"
    r"(?:by how|to what|how) (?:many|much|value) .* does?) (?:its|their)\b"
)
_SUBORDINATOR = re.compile(r"\b(?:that|which|who|because|if|when|while|although|though|after|before|until|once)\b")
_FIRST_CONDITION = re.compile(r"^what happens (?:if|when)")
_QUESTION_MARKS = ("?", "？", "؟", "?”", '?"')
_FEWEST_WORDS = 3  # "What is BM25?"
_FEWEST_UNSPACED = 3
"""Characters of a question in a script that sets no spaces."""
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")


def check(question: str) -> Rejection | None:
    """Reasons: ``not_a_question``, ``question_not_standalone``."""
    if not is_question(question):
        return Rejection("stands_alone", "not_a_question", question[-60:])
    if not stands_alone(question):
        return Rejection("stands_alone", "question_not_standalone", question)
    return None


def is_question(text: str) -> bool:
    """Whether ``text`` ends with a question mark and is long enough to ask for something."""
    if not text.endswith(_QUESTION_MARKS):
        return False
    return len(text.split()) >= _FEWEST_WORDS or len(_UNSPACED.findall(text)) >= _FEWEST_UNSPACED


def stands_alone(question: str) -> bool:
    """Whether an English ``question`` names what it is about. In another language nothing is found amiss."""
    if _POINTS_AWAY.search(question):
        return False
    small = question[:1].lower() + question[1:]
    if _LOOSE_POSSESSIVE.match(small):
        return False
    pronoun = _LOOSE_PRONOUN.search(small)
    if pronoun is None:
        return True
    # A pronoun needs a noun before it: that is the case in a subordinate clause that is not the first one.
    before = _FIRST_CONDITION.sub("", small[: pronoun.start()])
    return _SUBORDINATOR.search(before) is not None
