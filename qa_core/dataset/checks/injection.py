"""What is left of a prompt injection: an instruction to a model that has made it from a paper into a row.

The source is fenced and the teacher told not to obey it; this looks for what leaks all the same. A paper about prompt
injection quotes such instructions, and rows may quote them too: what stands in quotation marks or as code is passed
over. Chat and fence marks are refused anywhere, as a tokenizer may read them as what they look like.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from qa_core.corpus.sentences import sentence_spans
from qa_core.dataset.checks.rejection import Rejection

_MARKS = re.compile(
    r"</?passage[ \d>]|<\|[\w-]{2,30}\|>|\[/?INST\]|<</?SYS>>|</?(?:start|end)_of_turn>|<｜\w{2,30}｜>", re.IGNORECASE
)
_SAY = r"(?:answer|reply|respond|output|print|say|write|repeat|return|state|include|mention|recommend|generate)"
_INSTRUCTION = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b (?:\w+ ){0,2}?(?:all|any|your|previous|prior|above|earlier"
    r"|preceding|existing) (?:\w+ ){0,2}?(?:instructions?|prompts?|rules|guidelines|messages?|directions)"
    r"|\b(?:ignore|disregard|forget) (?:all |everything |anything )?(?:(?:of )?the )?"
    r"(?:above|previous|prior|preceding)\b"
    r"|\bas an? (?:ai|artificial intelligence|(?:large )?language model|assistant|chatbot)\b(?=,| (?:i|you|language)\b)"
    r"|\b(?:my|your) (?:system )?(?:prompt|instructions?|guidelines)\b|\bi am (?:an ai|a (?:large )?language model)\b"
    r"|\b(?:reveal|print|show|repeat|output|leak) (?:\w+ )?(?:the |your )?system prompts?\b"
    rf"|\byou (?:must|should|shall|will|are to) (?:(?:now|only|always|never|not) ){{0,2}}{_SAY}\b"
    r"|\byou are (?:now )?(?:an? )?(?:\w+ ){0,2}(?:assistant|chatbot|ai|language model|dan)\b"
    rf"|(?:^|[.!?:;]\s+|\bnow |\bplease |\binstead,? |\bonly |\balways ){_SAY} (?:only |just |always )?"
    r"(?:with|exactly|the (?:word|phrase|following|text))\b"
    r"|\bnew (?:system )?instructions?:|\bsystem (?:override|message):|\bdo not (?:mention|reveal|tell the user)\b"
    r"|\b(?:note|attention|message|instructions?) (?:to|for) (?:the |any |all )?(?:ai|llms?|language models?"
    r"|chatbots?|assistants?|reviewers?)\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"\"[^\"]*\"|“[^“”]*”|„[^„“”]*[“”]|«[^«»]*»|`[^`]*`|(?<!\w)['‘][^'‘’]*['’](?!\w)")
_LEAST_WORDS = 3
_WORD = re.compile(r"\w+")


def check(question: str, answer: str, evidence: Sequence[str]) -> Rejection | None:
    """``instruction_leaked`` when question or answer is or obeys an instruction, or the evidence is nothing else."""
    for text in (question, answer, *evidence):
        if mark := _MARKS.search(text):
            return Rejection("grounding", "instruction_leaked", mark[0])
    for text in (question, answer):
        if found := find_instruction(text):
            return Rejection("grounding", "instruction_leaked", found)
    instructions = [found for text in evidence if (found := find_instruction(text))]
    if instructions and not any(_says_more(text) for text in evidence):
        return Rejection("grounding", "instruction_leaked", instructions[0])
    return None


def find_instruction(text: str) -> str | None:
    """The first instruction to a model in ``text`` outside of quotation marks and code."""
    found = _INSTRUCTION.search(_QUOTED.sub(" ", text))
    return found[0].strip() if found else None


def _says_more(text: str) -> bool:
    """Whether a sentence of ``text`` holds no instruction."""
    sentences = [text[start:end] for start, end in sentence_spans(text)]
    return any(
        len(_WORD.findall(sentence)) >= _LEAST_WORDS and not find_instruction(sentence) for sentence in sentences
    )
