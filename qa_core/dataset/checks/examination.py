"""One reply to rows: what passes every check is accepted, all else is kept with the reason why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from qa_core.config import GenerateQASettings
from qa_core.dataset.checks import abstention, answers, grounding, injection, language, standing_alone, two_papers
from qa_core.dataset.checks.evidence import Evidence, locate
from qa_core.dataset.checks.parsing import parse
from qa_core.dataset.checks.rejection import Rejection
from qa_core.dataset.proposals import Proposal, Quote
from qa_core.dataset.requests import Request
from qa_core.manifest import digest

Row = dict[str, Any]
PaperTexts = Callable[[str], Sequence[str]]
"""All passages of the paper with an id."""


def is_worth_asking(chunk: Mapping[str, Any], min_density: float) -> bool:
    """Whether questions are made from ``chunk``: never from what a paper cites or notes aside, nor from filler."""
    return chunk["kind"] not in ("references", "footnote") and chunk["density"] >= min_density


def examine(
    request: Request,
    reply: Mapping[str, Any],
    settings: GenerateQASettings,
    *,
    teacher: str,
    prompt_version: str,
    paper_texts: PaperTexts,
) -> tuple[list[Row], list[Row]]:
    """Rows of ``QA`` and of ``QA_REJECTED`` from a row of ``REPLIES``.

    Split, context, messages and review are left open: they are decided when all rows are known. A reply that is no
    reply, or cannot be read, is one rejected row; otherwise each pair is a row of one kind or the other.
    """
    if reply["error"]:
        reason, _, detail = reply["error"].partition(":")
        unread = Rejection("reply", reason.strip(), detail.strip())
        return [], [reject_reply(request, unread, reply["text"], teacher)]
    parsed = parse(reply["text"], len(request.sources))
    if isinstance(parsed, Rejection):
        return [], [reject_reply(request, parsed, reply["text"], teacher)]
    accepted: list[Row] = []
    rejected = [reject_reply(request, bad.rejection, bad.raw, teacher) for bad in parsed.bad_pairs]
    for proposal in parsed.proposals:
        found = judge_alone(proposal, request, settings, paper_texts)
        if isinstance(found, Rejection):
            rejected.append(reject_reply(request, found, proposal.to_json(), teacher))
        else:
            accepted.append(to_row(proposal, found, request, teacher=teacher, prompt_version=prompt_version))
    return accepted, rejected


def judge_alone(
    proposal: Proposal, request: Request, settings: GenerateQASettings, paper_texts: PaperTexts
) -> list[Evidence] | Rejection:
    """The evidence of ``proposal``, or the first check it fails; the cheap checks come first."""
    question, answer, sources = proposal.question, proposal.answer, request.sources
    answerable = request.question_type != "unanswerable"
    rejection = (
        answers.check(question, answer, settings.max_answer_chars)
        or language.check(question, answer, [source.text for source in sources])
        or standing_alone.check(question)
    )
    if rejection:
        return rejection
    evidence = locate(proposal.quotes, sources)
    if isinstance(evidence, Rejection):
        return evidence
    if request.question_type == "comparative" and (rejection := two_papers.check(answer, evidence, sources)):
        return rejection
    quoted = [span.text for span in evidence]
    rejection = (
        injection.check(question, answer, quoted)
        or abstention.check(answer, " ".join(quoted), answerable=answerable)
        or grounding.check(question, answer, evidence, sources, answerable=answerable)
    )
    if rejection is None and not answerable:
        rejection = abstention.answered_in_paper(question, paper_texts(sources[0].doc_id))
    return rejection or evidence


def to_row(
    proposal: Proposal, evidence: Sequence[Evidence], request: Request, *, teacher: str, prompt_version: str
) -> Row:
    """A row of ``QA``; the passages that are quoted are its gold passages."""
    quoted = {span.chunk_id for span in evidence}
    chunk_ids = [source.chunk_id for source in request.sources if source.chunk_id in quoted]
    return {
        "qa_id": digest([proposal.question, proposal.answer, chunk_ids])[:16],
        "doc_id": request.sources[0].doc_id,
        "chunk_ids": chunk_ids,
        "question_type": request.question_type,
        "question": proposal.question,
        "answer": proposal.answer,
        "evidence": [asdict(span) for span in evidence],
        "answerable": request.question_type != "unanswerable",
        "context_chunk_ids": [],
        "messages": [],
        "split": None,
        "teacher": teacher,
        "prompt_version": prompt_version,
        "request_id": request.request_id,
        "review": None,
    }


def reject_reply(request: Request, rejection: Rejection, raw: str, teacher: str) -> Row:
    """A row of ``QA_REJECTED`` from what a teacher sent."""
    return {
        "request_id": request.request_id,
        "attempt": request.attempt,
        "doc_id": request.sources[0].doc_id,
        "chunk_id": request.sources[0].chunk_id,
        "question_type": request.question_type,
        "stage": rejection.stage,
        "reason": rejection.reason,
        "detail": rejection.detail,
        "raw_response": raw,
        "teacher": teacher,
    }


def reject_row(row: Mapping[str, Any], stage: str, reason: str, detail: str = "") -> Row:
    """A row of ``QA_REJECTED`` from a row that passed the checks and was dropped after all.

    The attempt is left open: a row does not tell in which one of its request it was made.
    """
    number = {chunk_id: place for place, chunk_id in enumerate(row["chunk_ids"], start=1)}
    quotes = tuple(Quote(number[span["chunk_id"]], span["text"]) for span in row["evidence"])
    return {
        "request_id": row["request_id"],
        "attempt": None,
        "doc_id": row["doc_id"],
        "chunk_id": row["chunk_ids"][0],
        "question_type": row["question_type"],
        "stage": stage,
        "reason": reason,
        "detail": detail,
        "raw_response": Proposal(row["question"], row["answer"], quotes).to_json(),
        "teacher": row["teacher"],
    }
