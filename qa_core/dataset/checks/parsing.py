"""A teacher's reply to proposals: what it says is taken apart here and judged elsewhere."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from qa_core.dataset.checks.json_object import encodable, find_object, mend_latex
from qa_core.dataset.checks.rejection import Rejection
from qa_core.dataset.proposals import Proposal, Quote

_REFUSAL = re.compile(
    r"\b(?:(?:i am|i'm|we are|we're) (?:sorry|unable|not able)|i (?:can ?not|can't|won't|will not)|as an ai\b"
    r"|i must decline|(?:can ?not|can't) (?:help|assist|comply|fulfil)|i apologi[sz]e)",
    re.IGNORECASE,
)
_SHOWN = 120
"""Characters of a bad reply that are told."""


@dataclass(frozen=True)
class BadPair:
    """One pair of a reply that is otherwise readable."""

    rejection: Rejection
    raw: str
    """The pair as JSON."""


@dataclass(frozen=True)
class ParsedReply:
    """What a reply holds; one bad pair costs none of the others."""

    proposals: tuple[Proposal, ...]
    bad_pairs: tuple[BadPair, ...]


class _WrongSchema(Exception):
    """What is wrong with one pair, in words; never leaves this module."""


def parse(reply_text: str, num_sources: int) -> ParsedReply | Rejection:
    """The pairs of a reply, or why it has none. Quotes may name sources 1 to ``num_sources``. Never raises.

    Reasons: ``empty_reply``, ``refusal``, ``invalid_json`` (also a stream that was cut), ``wrong_schema``, and
    ``no_pairs`` when the teacher says that there is nothing to ask, as it may.
    """
    text = reply_text.strip()
    if not text:
        return Rejection("reply", "empty_reply")
    found = find_object(text, "pairs")
    if found is None:
        if _REFUSAL.search(text[:400].replace("’", "'")):
            return Rejection("reply", "refusal", _start(text))
        shown = f"ends with {encodable(text[-_SHOWN:])}" if "{" in text else _start(text)
        return Rejection("schema", "invalid_json", shown)
    pairs = found.get("pairs")
    if not isinstance(pairs, list):
        return Rejection("schema", "wrong_schema", f"no list named pairs, but {_names(found)}")
    if not pairs:
        return Rejection("schema", "no_pairs")
    proposals: list[Proposal] = []
    bad: list[BadPair] = []
    for number, pair in enumerate(pairs, start=1):
        try:
            proposals.append(_proposal(pair, num_sources))
        except _WrongSchema as error:
            bad.append(BadPair(Rejection("schema", "wrong_schema", f"pair {number}: {error}"), _raw(pair)))
    return ParsedReply(tuple(proposals), tuple(bad))


def _proposal(pair: Any, num_sources: int) -> Proposal:
    if not isinstance(pair, dict):
        raise _WrongSchema("not an object")
    quotes = pair.get("evidence")
    if not isinstance(quotes, list) or not quotes:
        raise _WrongSchema("no list of evidence")
    return Proposal(
        question=" ".join(_text(pair, "question").split()),
        answer=" ".join(_text(pair, "answer").split()),
        quotes=tuple(_quote(quote, num_sources) for quote in quotes),
    )


def _quote(quote: Any, num_sources: int) -> Quote:
    if not isinstance(quote, dict):
        raise _WrongSchema("evidence is not a list of objects")
    passage = quote.get("passage")
    if type(passage) is not int or not 1 <= passage <= num_sources:
        named = str(passage)[:20] if type(passage) is int else f"a {type(passage).__name__}"
        raise _WrongSchema(f"evidence names passage {named}, of {num_sources}")
    return Quote(passage, _text(quote, "quote"))


def _text(owner: dict[str, Any], name: str) -> str:
    value = owner.get(name)
    if not isinstance(value, str) or not value.strip():
        raise _WrongSchema(f"no text in {name}")
    if encodable(value) != value:
        raise _WrongSchema(f"{name} has half a surrogate pair")
    return mend_latex(value).replace("\0", " ")


def _names(found: dict[str, Any]) -> str:
    return _start(", ".join(sorted(found)) or "an empty object")


def _start(text: str) -> str:
    return encodable(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _raw(pair: Any) -> str:
    try:
        return encodable(json.dumps(pair, ensure_ascii=False))
    except RecursionError:  # read at a lower depth of the stack than it is written at
        return ""
