"""Chunks to question/answer rows."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, model_validator

from qa_core.config.section import DataCompute, Fraction, Section
from qa_core.config.teachers import LanguageModelSettings, TeacherSettings, TemplateTeacher

QuestionType = Literal[
    "factual", "analytical", "comparative", "hypothetical", "definition", "procedure", "numeric", "unanswerable"
]


class SplitFractions(Section):
    """Shares of the papers; none is empty, as training, the parity check and the evaluation each need one."""

    train: float = Field(0.8, gt=0, lt=1)
    validation: float = Field(0.1, gt=0, lt=1)
    test: float = Field(0.1, gt=0, lt=1)
    together_similarity: Fraction = 0.3
    """Papers that share at least this share of their phrases go into the same split."""

    @model_validator(mode="after")
    def _sum_to_one(self) -> SplitFractions:
        total = self.train + self.validation + self.test
        if abs(total - 1.0) > 1e-6:
            raise ValueError(f"train + validation + test must be 1, not {total:g}")
        return self


class JudgeSettings(Section):
    """A language model that reads source, question and answer and gives 1 to 5 for each of three things."""

    model: LanguageModelSettings | None = None
    """The teacher itself when empty."""
    min_grounded: int = Field(4, ge=1, le=5)
    """Least mark for: the source says what the answer says."""
    min_complete: int = Field(4, ge=1, le=5)
    """Least mark for: the answer answers the question."""
    min_clear: int = Field(4, ge=1, le=5)
    """Least mark for: the question is understood without the source and worth asking."""


class ContextSettings(Section):
    """The passages in a row's conversation, as in RAFT (Zhang et al. 2024): the right ones among others that the
    service's own retrieval takes for close."""

    shown: Fraction = 0.75
    """Share of rows with passages in the prompt; the others are answered from what the model knows."""
    without_gold: Fraction = 0.15
    """Share of the rows with passages whose right passage is left out; there the answer abstains."""


class Quotas(Section):
    """Accepted rows to reach of each type; 0 asks for none."""

    factual: int = Field(500, ge=0)
    analytical: int = Field(500, ge=0)
    comparative: int = Field(400, ge=0)
    hypothetical: int = Field(400, ge=0)
    definition: int = Field(200, ge=0)
    procedure: int = Field(200, ge=0)
    numeric: int = Field(150, ge=0)
    unanswerable: int = Field(150, ge=0)

    @model_validator(mode="after")
    def _asks_for_something(self) -> Quotas:
        if not self.by_type:
            raise ValueError("every quota is 0, so there is nothing to ask")
        return self

    @property
    def by_type(self) -> dict[str, int]:
        """The types that are asked for."""
        return {kind: getattr(self, kind) for kind in get_args(QuestionType) if getattr(self, kind)}


class GenerateQASettings(Section):
    teacher: TeacherSettings = TemplateTeacher()
    judge: JudgeSettings | None = None
    """No row is judged when empty."""
    quotas: Quotas = Quotas()
    max_per_paper: int | None = Field(None, ge=1)
    """Most accepted rows of one paper; no limit when empty."""
    questions_per_request: int = Field(3, ge=1, le=10)
    """Questions of one type that the teacher is asked for about one passage."""
    max_rounds: int = Field(4, ge=1)
    """The first round and the rounds that top up what it left short."""
    min_rows: int = Field(20, ge=1)
    """Fewer accepted rows than this fail the stage, with the reasons."""
    min_yield: Fraction = 0.02
    """A smaller share of accepted rows among the proposed ones fails the stage, with the reasons."""
    max_answer_chars: int = Field(600, ge=40)
    min_density: Fraction = 0.35
    """No question is made from a chunk of lower information density: it says too little to be asked about."""
    near_duplicate_similarity: float = Field(0.95, gt=0, le=1)
    """Cosine similarity from which on two questions are the same one."""
    context: ContextSettings = ContextSettings()
    splits: SplitFractions = SplitFractions()
    compute: DataCompute = DataCompute(batch_size=64)
    """Where replies are checked and questions embedded; the teacher has a ``compute`` of its own."""

    @model_validator(mode="after")
    def _judge_can_read(self) -> GenerateQASettings:
        if self.judge is not None and self.judge.model is None and self.teacher.engine == "template":
            raise ValueError("the template teacher cannot judge; set judge.model to a vllm or openai engine")
        return self
