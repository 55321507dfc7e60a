"""Whether an answer says that the paper does not tell: it has to where there is no answer, and must not elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence

from qa_core.dataset.checks.rejection import Rejection
from qa_core.dataset.unanswered import answered_by

_TOLD = (
    r"(?:stat|giv|report|specif|mention|sa(?:y|id)|descri|provid|discuss|disclos|cover|address|indicat|tell|told"
    r"|detail|defin|list|document|explain|answer|known|determin|quantif|measur|examin|evaluat)\w*"
)
_ABSTAINS = re.compile(
    rf"(?:\b(?:not|never|nowhere|cannot be)|n['’]t)(?: \w+){{0,3}}? {_TOLD}"
    rf"|\b(?:without|instead of) {_TOLD}"
    r"|\b(?:no|any|without) (?:\w+ ){0,2}(?:information|statement|figures?|details?|data|mention|answer|numbers?|value"
    r"|evidence|account|indication|description|measurements?|comparison|definition|explanation)\b"
    rf"|\b(?:nothing|no \w+(?: \w+){{0,4}}) (?:is|are|was|were|has been|have been) (?:\w+ )?{_TOLD}"
    r"|\b(?:unknown|unspecified|unstated|left open|leaves? (?:\w+ ){0,3}open|silent (?:on|about)|says nothing"
    rf"|(?:omits?|fails? to {_TOLD}|lacks?))\b"
    r"|\b(?:nicht|nirgends|keine? \w+) (?:\w+ ){0,3}(?:angegeben|genannt|erwähnt|beschrieben|berichtet|angaben?|hervor)"
    r"|\bkeine (?:angaben?|informationen|aussagen?)\b"
    r"|\bn(?:e |['’])(?:\w+ ){1,3}(?:pas|rien|jamais|aucune?)\b|\baucune (?:information|indication|mention)\b"
    r"|\bno (?:se )?(?:\w+ )?(?:indica|menciona|especifica|proporciona|informa|describe|dice)\w*"
    r"|(?:没有|未|並未|并未|沒有)(?:明确)?(?:提及|提到|说明|說明|给出|給出|指出|描述|报告)",
    re.IGNORECASE,
)
_SPEAKER = re.compile(
    r"^\W*(?:(?:this|that|it|the answer)(?: is|'s)? )?(?:not (?:stated|given|specified|mentioned|reported|provided)"
    r"|unknown|unspecified|no information|there is no (?:information|mention))\b"
    r"|\b(?:passages?|papers?|text|source|context|article|excerpt|document|authors?|study)\b[^.?!]{0,40}?"
    rf"(?:\b(?:does|do|did|is|are) not|n't|\bnever|\bcannot) (?:\w+ ){{0,2}}?{_TOLD}"
    rf"|\b(?:not (?:\w+ )?{_TOLD}|nowhere) (?:in|by|from) the (?:given |provided )?"
    r"(?:passages?|papers?|text|source|context|article|excerpt|document)\b",
    re.IGNORECASE,
)
"""Where it is the paper that does not tell; a fact may say that a protocol does not specify something."""


def check(answer: str, evidence: str, *, answerable: bool) -> Rejection | None:
    """Reasons: ``does_not_abstain`` for an unanswerable question, ``abstains`` for any other.

    An answer that repeats what the evidence itself leaves open is no abstention. English, German, French, Spanish and
    Chinese are understood.
    """
    if not answerable:
        return None if abstains(answer) else Rejection("grounding", "does_not_abstain", answer[:200])
    found = _SPEAKER.search(answer.replace("’", "'"))
    if found is None or found[0].casefold() in evidence.casefold():
        return None
    return Rejection("grounding", "abstains", found[0])


def abstains(answer: str) -> bool:
    """Whether ``answer`` says that something is not told."""
    return _ABSTAINS.search(answer) is not None


def answered_in_paper(question: str, paper_texts: Sequence[str]) -> Rejection | None:
    """``answered_in_paper``, with the sentence that does it as detail."""
    sentence = answered_by(question, paper_texts)
    return Rejection("grounding", "answered_in_paper", sentence) if sentence else None
