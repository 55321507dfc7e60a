"""Which requests a round asks: written as a table, and again without those whose replies are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from jobs.rows.work import Row, RowsWork, is_open, table_of
from jobs.teaching import token_counter
from qa_core.dataset.checks.examination import is_worth_asking
from qa_core.dataset.planning import Demand, Sites, Unaskable, build_requests, by_source, sites_to_ask
from qa_core.dataset.prompts import again
from qa_core.dataset.replays import read_replays
from qa_core.dataset.requests import Request
from qa_core.schemas import QA_REJECTED, REQUESTS

_PAIRS = pa.schema([("first", pa.string()), ("second", pa.string())])


@dataclass(frozen=True)
class Round:
    """One round: the table ``requests-NN`` has all of it, ``asking-NN`` what still has to be sent."""

    number: int
    requests: int
    to_ask: int
    asked: Mapping[str, int]
    """Sites of each type that were asked by the end of this round."""

    @property
    def requests_table(self) -> str:
        return requests_table(self.number)

    @property
    def asking_table(self) -> str:
        return f"asking-{self.number:02}"


def requests_table(number: int) -> str:
    return f"requests-{number:02}"


def unaskable_table(number: int) -> str:
    return f"unaskable-{number:02}"


def plan_round(work: RowsWork, number: int, demand: Demand) -> Round:
    """Write the tables of round ``number``. The same replies lead to the same rounds, so a killed run goes on."""
    config, settings = work.config, work.config.generate_qa
    chunks = work.chunks()
    askable = {name: chunk for name, chunk in chunks.items() if is_worth_asking(chunk, settings.min_density)}
    kinds = list(settings.quotas.by_type)
    pairs = _pairs(work, chunks, askable) if "comparative" in kinds else []
    sites = Sites.of(list(askable.values()), pairs, kinds, config.run.seed)
    counts = sites_to_ask(demand, sites, settings)
    begin = {kind: demand.asked.get(kind, 0) for kind in kinds}
    chosen: Any = {kind: sites.of_type[kind][begin[kind] : begin[kind] + counts[kind]] for kind in kinds}
    requests, unaskable = build_requests(chosen, settings, work.identity, token_counter(settings.teacher))
    requests = by_source([*requests, *_further_attempts(work, requests)])
    answered = work.replies.read({request.request_id for request in requests})
    asking = [request for request in requests if is_open(answered.get(request.request_id))]
    work.write(requests_table(number), _table(requests))
    work.write(f"asking-{number:02}", _table(asking))
    work.write(unaskable_table(number), table_of([_overflow(work, site) for site in unaskable], QA_REJECTED))
    return Round(number, len(requests), len(asking), {kind: begin[kind] + counts[kind] for kind in kinds})


def _table(requests: list[Request]) -> pa.Table:
    return table_of([request.to_row() for request in requests], REQUESTS)


def _further_attempts(work: RowsWork, requests: list[Request]) -> list[Request]:
    """What was asked again of ``requests`` by ``lectern replay-rejected``."""
    replays = read_replays(work.inputs["chunks"].store)
    return [
        again(request, attempt, feedback, work.identity)
        for request in requests
        for attempt, feedback in enumerate(replays.get(request.request_id, []), start=1)
    ]


def _pairs(work: RowsWork, chunks: Mapping[str, Row], askable: Mapping[str, Row]) -> list[tuple[Row, Row]]:
    """Pairs of passages, found once for all rounds."""
    from qa_core.dataset.pairing import pairs_across_papers
    from qa_core.retrieval.index import PassageIndex

    if not work.exists("pairs"):
        index = PassageIndex.open(work.inputs["index"].local())
        found = pairs_across_papers(index, askable, work.splits(chunks))
        rows = [{"first": first["chunk_id"], "second": second["chunk_id"]} for first, second in found]
        work.write("pairs", table_of(rows, _PAIRS))
    return [(askable[row["first"]], askable[row["second"]]) for row in work.read("pairs").to_pylist()]


def _overflow(work: RowsWork, site: Unaskable) -> Row:
    source = site.sources[0]
    return {
        "request_id": "",
        "doc_id": source.doc_id,
        "chunk_id": source.chunk_id,
        "question_type": site.question_type,
        "stage": "reply",
        "reason": "context_overflow",
        "detail": "no sentence of the passage fits the teacher's context beside the instruction",
        "raw_response": "",
        "teacher": work.config.generate_qa.teacher.name,
    }
