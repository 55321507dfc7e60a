"""What a term means."""

from __future__ import annotations

import re
from collections.abc import Iterator

from qa_core.dataset.template.clauses import is_noun_phrase, parse_clause
from qa_core.dataset.template.frames import FRAMES
from qa_core.dataset.template.sentences import Statement

_FRAMES = FRAMES["definition"]
DEFINITION = re.compile(r"((?:(?:an?|the) )?[^,]{2,60}?) (is|are) ((?:an?|the|any|one of the) [a-z].+)")
"""Term, verb and meaning."""
_EXPLAINS = re.compile(r" (?:that|which|who|whose|where|of|for|in|with|to)\b| [a-z]+ed ")
_JUDGES = re.compile(
    r"(?:an?|the|any|one of the) "
    r"(?:usual|best|opposite|classical|same|only|right|central|main|first|second|third|last|natural|most|simple|simplest|"
    r"better|good|poor|compromise|trade|trade-off|gamble|choice|problem|reason|common|cheap|large|small|single|key|"
    r"result|sensible|special|standard|chain|consequence|matter|sum|product|reasonable|statement|"
    r"larger|smaller|faster|slower|cheaper|higher|lower|longer|shorter|stronger|weaker|simpler|safer|harder|easier)\b"
)
"""*X is the usual choice* says what X is worth, not what it is."""
_MEANS = re.compile(r"((?:(?:an?|the) )?[^,]{2,60}?) means (?:that|[a-z]+ing) .{20,}")
_LONGEST_TERM = 6  # words


def definition(statement: Statement) -> Iterator[str]:
    """*A quorum is any set that ...*; *hedging means sending ...*"""
    if defined := definition_parts(statement.text):
        term, be, _ = defined
        yield _FRAMES["thing"].format(be=be, term=term)
    elif (means := _MEANS.fullmatch(statement.text)) and _is_term(means[1]):
        yield _FRAMES["meaning"].format(term=means[1])


def definition_parts(text: str) -> tuple[str, str, str] | None:
    """The term, ``is`` or ``are``, and the meaning; None where ``text`` defines nothing."""
    found = DEFINITION.fullmatch(text)
    if found is None:
        return None
    term, be, meaning = found.groups()
    explains = _is_term(term) and _EXPLAINS.search(meaning) and not _JUDGES.match(meaning)
    return (term, be, meaning) if explains else None


def _is_term(term: str) -> bool:
    return (
        len(term.split(" ")) <= _LONGEST_TERM
        and is_noun_phrase(term)
        and not re.match(r"[a-z]+ing (?:an?|the) |.* in the ", term)
        and parse_clause(f"{term} is so") is not None
    )
