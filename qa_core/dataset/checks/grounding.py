"""Whether an answer says more than its evidence: numbers, units, symbols and names are looked up one by one."""

from __future__ import annotations

from collections.abc import Sequence

from qa_core.dataset.checks.evidence import Evidence
from qa_core.dataset.checks.names import missing_name, missing_symbol
from qa_core.dataset.checks.plain_math import flatten
from qa_core.dataset.checks.quantities import missing_quantity
from qa_core.dataset.checks.rejection import Rejection
from qa_core.dataset.requests import Source


def check(
    question: str, answer: str, evidence: Sequence[Evidence], sources: Sequence[Source], *, answerable: bool
) -> Rejection | None:
    """Everything in ``answer`` that can be looked up stands in ``evidence``.

    A name may also come from the question or from a title or heading ("According to BM25 Tuning: ..."); a number,
    unit or symbol may not, except where the answer is that the paper does not tell: it repeats what was asked.

    Reasons, with the offending word as detail: ``number_not_in_evidence``, ``unit_not_in_evidence``,
    ``symbol_not_in_evidence``, ``name_not_in_evidence``.
    """
    asked, said = flatten(question), flatten(answer)
    quoted = " \n ".join(flatten(span.text) for span in evidence)
    if not answerable:
        quoted = f"{quoted} \n {asked}"
    titles = [flatten(f"{source.title} \n {source.prefix}") for source in sources]
    headers = [flatten(_header(source)) for source in sources]
    if found := missing_quantity(said, quoted, " ".join(headers)):
        return Rejection("grounding", *found)
    if symbol := missing_symbol(said, quoted):
        return Rejection("grounding", "symbol_not_in_evidence", symbol)
    passages = " \n ".join(source.text for source in sources)
    if name := missing_name(said, [quoted, asked, *titles, *headers], passages):
        return Rejection("grounding", "name_not_in_evidence", name)
    return None


def _header(source: Source) -> str:
    """What says how a table's rows are to be read: its first line, and the prefix where the table goes on."""
    return f"{source.prefix} {source.text.partition(chr(10))[0]}" if source.kind == "table" else ""
