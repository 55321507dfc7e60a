"""The funnel between a teacher and the data set: every proposal is kept, or dropped with a reason that is counted."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from qa_core.dataset.prompts import QUESTION_TYPES, prompt_version
from qa_core.dataset.teachers import Proposal, raw_response
from qa_core.errors import UserError

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_POINTS_AWAY = re.compile(
    r"\b(?:this|these|such (?!as\b)|those (?!(?:of|that|who|which|in|with)\b)|our|we|us|aforementioned|latter|former)\b"
    r"|\b(?:of|in|on|for|with|by|from|at|into|than|under|after|before) that [a-z]+|\b(?:above|below)(?=[?,])"
    r"|\bthe (?:present |following )?(?:papers?|survey|section|authors?|text|passage|chunk|excerpt|article|study"
    r"|code|formula|equation|table|figure|argument|proofs?|results?|others?|property|difference|idea|recommendation"
    r"|estimate|trade|rule|heuristic|method|problem|purpose)\b(?! (?:of|for|that|by|between|heading|title)\b)"
    r"|\bexamples?\b|\b(?:the|all) (?:two|three|four|others?)\b|\b(?:Table|Figure|Equation|Section) \d",
    re.IGNORECASE,
)
_LOOSE_PRONOUN = re.compile(r"\b(?:it|they|them|itself|themselves|he|she)\b")
_LOOSE_POSSESSIVE = re.compile(
    r"(?:what happens (?:if|when)|(?:.*, )?(?:why|how|what)(?: \w+)?|"
    r"(?:by how|to what|how) (?:many|much|value) .* does?) (?:its|their)\b"
)
_SUBORDINATOR = re.compile(r"\b(?:that|which|who|because|if|when|while|although|though|after|before|until|once)\b")
_SHORTEST_QUESTION = 3  # words: "What is BM25?"


class YieldTooLow(UserError):
    """Fewer accepted rows than ``generate_qa.min_rows``; the message names what was dropped and why."""

    def __init__(self, accepted: int, min_rows: int, rejected: Mapping[str, int]) -> None:
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(rejected.items())) or "nothing was proposed"
        super().__init__(
            f"only {accepted} question/answer rows were accepted, min_rows is {min_rows} (rejected: {reasons})",
            "Add papers, or lower generate_qa.min_rows.",
        )
        self.accepted, self.min_rows, self.rejected = accepted, min_rows, dict(rejected)

    def __reduce__(self) -> tuple[type[YieldTooLow], tuple[int, int, dict[str, int]]]:  # type: ignore[override]
        # Exceptions cross process borders by pickle, which replays __init__ with self.args.
        return type(self), (self.accepted, self.min_rows, self.rejected)


def is_worth_asking(chunk: Mapping[str, Any], min_density: float) -> bool:
    """Whether questions are made from ``chunk``: never from what a paper cites or notes aside, nor from filler."""
    return chunk["kind"] not in ("references", "footnote") and chunk["density"] >= min_density


def problem(proposal: Proposal, chunk: Mapping[str, Any], max_answer_chars: int) -> str | None:
    """Why ``proposal`` cannot be a row, looked at alone; None when it can. ``chunk`` is the row it was read from."""
    if not _is_well_formed(proposal):
        return "schema"
    if not stands_alone(proposal.question):
        return "question_not_standalone"
    if not _evidence_is_there(proposal, chunk):
        return "evidence_not_found"
    if len(proposal.answer) > max_answer_chars:
        return "answer_too_long"
    if not _numbers(proposal.answer) <= _numbers(" ".join(span.text for span in proposal.evidence)):
        return "number_not_in_evidence"
    return None


def stands_alone(question: str) -> bool:
    """Whether ``question`` can be understood by someone who does not see the paper."""
    if _POINTS_AWAY.search(question):
        return False
    small = question[0].lower() + question[1:]
    if _LOOSE_POSSESSIVE.match(small):
        return False
    pronoun = _LOOSE_PRONOUN.search(small)
    if pronoun is None:
        return True
    # A pronoun needs a noun before it: that is the case in a subordinate clause that is not the first one.
    before = re.sub(r"^what happens (?:if|when)", "", small[: pronoun.start()])
    return _SUBORDINATOR.search(before) is not None


def to_row(proposal: Proposal, teacher: str) -> dict[str, Any]:
    """A row of ``QA`` without its split."""
    identity = "\0".join([proposal.question, proposal.answer, *proposal.chunk_ids])
    return {
        "qa_id": hashlib.sha256(identity.encode()).hexdigest()[:16],
        "doc_id": proposal.doc_id,
        "chunk_ids": list(proposal.chunk_ids),
        "question_type": proposal.question_type,
        "question": proposal.question,
        "answer": proposal.answer,
        "evidence": [vars(span) for span in proposal.evidence],
        "answerable": True,
        "teacher": teacher,
        "prompt_version": prompt_version(),
    }


def reject_row(row: Mapping[str, Any], reason: str) -> dict[str, str]:
    """A row of ``QA_REJECTED`` from an accepted row that was dropped after all."""
    return {
        "chunk_id": row["chunk_ids"][0],
        "question_type": row["question_type"],
        "reason": reason,
        "raw_response": raw_response(row["question"], row["answer"]),
    }


def check_all(
    proposals: Iterable[Proposal], chunk: Mapping[str, Any], teacher: str, max_answer_chars: int
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Rows and rejected rows of one chunk's proposals."""
    accepted, rejected = [], []
    for proposal in proposals:
        reason = problem(proposal, chunk, max_answer_chars)
        if reason is None:
            accepted.append(to_row(proposal, teacher))
        else:
            rejected.append(
                {
                    "chunk_id": chunk["chunk_id"],
                    "question_type": proposal.question_type,
                    "reason": reason,
                    "raw_response": raw_response(proposal.question, proposal.answer),
                }
            )
    return accepted, rejected


def require_yield(accepted: int, min_rows: int, rejected: Mapping[str, int]) -> None:
    """Raise :class:`YieldTooLow` when there is too little to train and to measure on."""
    if accepted < min_rows:
        raise YieldTooLow(accepted, min_rows, rejected)


def count_reasons(rejected: Iterable[Mapping[str, str]]) -> dict[str, int]:
    """Rejected rows per reason, by name."""
    return dict(sorted(Counter(row["reason"] for row in rejected).items()))


def _is_well_formed(proposal: Proposal) -> bool:
    return (
        proposal.question_type in QUESTION_TYPES
        and proposal.question.endswith("?")
        and len(proposal.question.split()) >= _SHORTEST_QUESTION
        and bool(proposal.answer.strip() and proposal.evidence and proposal.chunk_ids)
    )


def _evidence_is_there(proposal: Proposal, chunk: Mapping[str, Any]) -> bool:
    return all(
        span.chunk_id == chunk["chunk_id"]
        and chunk["start_char"] <= span.start_char < span.end_char <= chunk["end_char"]
        and chunk["text"][span.start_char - chunk["start_char"] : span.end_char - chunk["start_char"]] == span.text
        for span in proposal.evidence
    )


def _numbers(text: str) -> set[str]:
    return {number.replace(",", "") for number in _NUMBER.findall(text)}
