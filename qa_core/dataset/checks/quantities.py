"""Numbers with their units: each one in an answer has to stand in its evidence."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterator
from dataclasses import dataclass

from qa_core.dataset.checks.units import SCALES, unit_meanings
from qa_core.terms import NUMBER_WORDS, normalise

_NUMBER = re.compile(
    r"(?<![A-Za-z\d_])(?<![A-Za-z\d]\.)"
    r"(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\d,])|(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d{1,3})?)"
    r"(?: ?-? ?(?P<unit>[%×€]|° ?[CF]?|[A-Za-zμ]+))?"
)
_NUMBER_WORD = re.compile(
    rf"(?<![\w-])(?P<word>{'|'.join(NUMBER_WORDS)})(?:[ -](?P<unit>[a-z]+))?(?![\w-])", re.IGNORECASE
)
_CHECKED_WORDS = frozenset(NUMBER_WORDS) - {"zero", "one", "two", "twice", "double"}
"""*One* and *two* are said of nearly everything."""
_FACTORS = ("twice", "double")
_UNIT_WORD = re.compile(r"[%°]|(?<![\w.])[A-Za-zμ]{2,}(?![\w])|(?<=[(/])[A-Za-z](?=\))")
_ENUMERATOR = re.compile(r"(?:(?<=\s)|^)\(?(\d)[.)](?=\s)|\((\d)\)")


@dataclass(frozen=True)
class Quantity:
    """A number as it stands in a text."""

    text: str
    value: str
    units: frozenset[str]
    """What the word after it may stand for; empty when that is no unit."""
    in_full: str | None
    """``1500000`` for 1.5 million."""


def missing_quantity(answer: str, evidence: str, headers: str) -> tuple[str, str] | None:
    """Reason and detail for the first number, or unit of a number, of ``answer`` that is not in ``evidence``.

    All texts are flat (``plain_math``). A unit may also stand in ``headers``, where a table has it.
    """
    known: defaultdict[str, set[str]] = defaultdict(set)
    for found in _quantities(evidence, NUMBER_WORDS):
        known[found.value] |= found.units
        if found.in_full:
            known[found.in_full] |= set()
    elsewhere = _units_anywhere(f"{evidence} {headers}")
    for asked in _quantities(_without_enumerators(answer), _CHECKED_WORDS):
        if asked.in_full in known:
            continue
        if asked.value not in known:
            return "number_not_in_evidence", asked.text
        # A number that has a unit in the evidence keeps it; one that has none there may take it from a table's header.
        if asked.units and not asked.units & (known[asked.value] or elsewhere):
            return "unit_not_in_evidence", asked.text
    return None


def _quantities(text: str, words: Container[str]) -> Iterator[Quantity]:
    for match in _NUMBER.finditer(text):
        yield _quantity(match, f"0{match['digits']}" if match["digits"].startswith(".") else match["digits"])
    for match in _NUMBER_WORD.finditer(text):
        if (word := match["word"].lower()) in words:
            yield _quantity(match, str(NUMBER_WORDS[word]))


def _quantity(match: re.Match[str], number: str) -> Quantity:
    units = unit_meanings(match["unit"].replace(" ", "")) if match["unit"] else frozenset()
    if match[0].lower().startswith(_FACTORS):
        units |= {"times"}
    value = normalise(number)
    scale = next((SCALES[unit] for unit in units if unit in SCALES), None)
    written = match[0] if units else match[0].removesuffix(match["unit"] or "").rstrip(" -")
    return Quantity(written, value, units, f"{float(value) * scale:.12g}" if scale else None)


def _units_anywhere(text: str) -> set[str]:
    return {unit for match in _UNIT_WORD.finditer(text) for unit in unit_meanings(match[0])}


def _without_enumerators(answer: str) -> str:
    """``answer`` without (1), (2) ... before its parts: they count what the teacher lists."""
    found = [int(match[1] or match[2]) for match in _ENUMERATOR.finditer(answer)]
    return _ENUMERATOR.sub(" ", answer) if len(found) > 1 and found == list(range(1, len(found) + 1)) else answer
