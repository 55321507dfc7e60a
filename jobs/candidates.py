"""A trial of a joint sweep: the run's rows as it learns them, and the questions that it is judged by.

Questions and answers are those of the run's ``qa/``; passages are the trial's own chunks, found by its own retrieval
settings. So trials with other chunks learn and answer the same questions, and chunk ids judge none of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from statistics import fmean
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jobs.corpora import Corpus, read_questions
from qa_core.artifacts import Artifact
from qa_core.config import LecternConfig
from qa_core.errors import UserError
from qa_core.generation.answer import Prepared, compose
from qa_core.schemas import Passage

if TYPE_CHECKING:
    import numpy as np

    from qa_core.retrieval.index import PassageIndex

Row = dict[str, Any]

NO_PASSAGE = "no_passage"
"""A row whose evidence the chunks do not hold as a whole."""


@dataclass(frozen=True)
class Candidate:
    """One trial's view of the run's rows."""

    config: LecternConfig
    """With the trial's parameters."""
    qa: Artifact
    corpus: Corpus

    def conversations(self) -> tuple[pa.Table, dict[str, int]]:
        """``qa_id``, ``split`` and ``messages`` of the rows on the trial's chunks, and how many were lost and why.

        With the settings that the rows were made with, these are the rows as they are in ``qa/``.
        """
        from qa_core.dataset.conversations import converse
        from qa_core.dataset.distractors import DistractorMiner
        from qa_core.dataset.relaying import relay

        context, top_k, seed = self.config.generate_qa.context, self.config.retrieval.top_k, self.config.run.seed
        miner = DistractorMiner(self._index, self.corpus.splits, self.config.retrieval)
        after: dict[str, list[Passage]] = defaultdict(list)
        for passage in _passages(self.corpus.index):
            after[passage.doc_id].append(passage)
        learned = []
        for moved, gold in filter(None, (relay(row, self._before, after) for row in self._rows)):
            others = miner.mine(moved, self._vectors[moved["qa_id"]])
            _, messages = converse(moved, gold, others, context, top_k, seed)
            learned.append({"qa_id": moved["qa_id"], "split": moved["split"], "messages": messages})
        lost = len(self._rows) - len(learned)
        if not {"train", "validation"} <= {row["split"] for row in learned}:
            raise UserError(
                f"chunks of {self.config.chunk.max_tokens} tokens hold the evidence of too few rows to train on",
                "search over larger values of chunk.max_tokens",
            )
        return pa.Table.from_pylist(learned), {NO_PASSAGE: lost} if lost else {}

    def judge(self, model: Any, tokenizer: Any, num_rows: int, longest: int) -> dict[str, float]:
        """``answer_f1`` and ``evidence_recall`` of a model that answers ``num_rows`` questions, each seeing what the
        trial's retrieval finds; ``longest`` is the most tokens of an answer."""
        from qa_core.training.answers import written_answers
        from qa_core.training.sft import num_tokens, prompt_ids

        rows = self.questions(num_rows)
        shown = [self.prepare(row, partial(num_tokens, tokenizer)) for row in rows]
        prompts = [prompt_ids(tokenizer, prompt.messages) for prompt in shown]
        return self.scores(rows, shown, written_answers(model, tokenizer, prompts, longest))

    def questions(self, limit: int) -> list[Row]:
        """Answerable validation rows, at most ``limit``, spread over the split: the same for every trial."""
        from qa_core.evaluation.selection import spread

        rows = [row for row in self._rows if row["split"] == "validation" and row["answerable"]]
        return spread(rows, limit)

    def prepare(self, row: Row, count_tokens: Callable[[str], int]) -> Prepared:
        """What the service would send to the model for the question of ``row``."""
        from qa_core.retrieval.retriever import nearest

        found = nearest(self._index, self._vectors[row["qa_id"]], self.config.retrieval)
        return compose(row["question"], found, self.config.retrieval, count_tokens)

    def scores(self, rows: Sequence[Row], prepared: Sequence[Prepared], answers: Sequence[str]) -> dict[str, float]:
        """Mean token F1 of the answers without their citations, and mean share of the evidence that was shown, where
        rows have any."""
        from qa_core.evaluation.evidence import evidence_recall
        from qa_core.evaluation.metrics import token_f1
        from qa_core.generation.chat import strip_citations

        papers = {chunk_id: passage.doc_id for chunk_id, passage in self._before.items()}
        asked = list(zip(rows, prepared, answers, strict=True))
        supported = [(row["evidence"], shown.passages) for row, shown, _ in asked if row["evidence"]]
        recall = [evidence_recall(*pair, papers) for pair in supported]
        return {
            "answer_f1": fmean(token_f1(strip_citations(answer), row["answer"]) for row, _, answer in asked),
            **({"evidence_recall": fmean(recall)} if recall else {}),
        }

    @cached_property
    def _rows(self) -> list[Row]:
        return self.qa.read_table().to_pylist()

    @cached_property
    def _before(self) -> dict[str, Passage]:
        return {passage.chunk_id: passage for passage in _passages(self.corpus.own_index)}

    @cached_property
    def _index(self) -> PassageIndex:
        from qa_core.retrieval.retriever import open_index

        return open_index(self.corpus.index.local(), self.config.index.embedder)

    @cached_property
    def _vectors(self) -> dict[str, np.ndarray]:
        return read_questions(self.corpus.questions)


def _passages(index: Artifact) -> list[Passage]:
    return [Passage.from_row(row) for row in index.read_table().to_pylist()]
