"""What a model of `tools.train_reader` can read: documents it never saw, at 16 and 4 bits, with passages and without.

    python -m benchmarks.reader --papers FOLDER --retrieval-set FOLDER --model FOLDER

Give the folders that it was trained on: one document in five was kept out, and only those are asked about. Three
passages are shown, one of which answers (`answerable`) or none of which does (`unanswerable`). Decoding is greedy.
Intervals are 95% bootstraps over documents.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from qa_core.config import ConvertSettings, GenerationSettings
from qa_core.corpus.documents import Document
from qa_core.evaluation.metrics import token_f1
from qa_core.evaluation.statistics import DocumentBootstrap, mean_of
from qa_core.generation.chat import ABSTENTION, build_messages, cited_numbers, strip_citations
from qa_core.generation.engine import Engine
from qa_core.generation.sampling import SamplingParams
from qa_core.quantization.convert import write_gguf
from qa_core.quantization.moments import collect
from qa_core.quantization.quantize import quantize_calibrated
from qa_core.quantization.reference import load_model, load_tokenizer
from tools.reader import attention
from tools.reader.batches import Batcher
from tools.reader.contexts import Classroom, Course
from tools.reader.corpus import is_held_out, lessons, read_documents
from tools.reader.exam import ExamQuestion, exam
from tools.reader.questions import Pupil, pupils
from tools.reader.training import course_at, hidden_states

THREADS = 2
SETTINGS = GenerationSettings(n_ctx=1024, max_tokens=112, n_seq_max=8, no_repeat_ngram_size=6)
"""Greedy, without loops, as in ``tiny``."""
CALIBRATION_CONTEXTS = 24
CONTEXTS_BY_PLACE = 40
_PLACES = 5


def main() -> None:
    arguments = _parse()
    documents = read_documents(arguments.papers, arguments.retrieval_set, arguments.leave_out)
    held_out, learned = _taught(documents, arguments.model, True), _taught(documents, arguments.model, False)
    answerable, unanswerable = exam(held_out, arguments.questions, seed=0)
    print(f"{len(answerable)} answerable and {len(unanswerable)} unanswerable questions on {len(held_out)} passages")
    figures: dict[str, Any] = {"answerable": len(answerable), "unanswerable": len(unanswerable)}
    figures["right_by_place"] = {passages: _right_by_place(arguments.model, held_out, passages) for passages in (1, 3)}
    print("right_by_place", json.dumps(figures["right_by_place"]))
    with tempfile.TemporaryDirectory() as folder:
        for name, file in _files(arguments.model, learned, Path(folder)).items():
            figures[name] = _measure(file, answerable, unanswerable)
            print(name, json.dumps(figures[name]))
    print(json.dumps(figures))


def _taught(documents: Sequence[Document], model: Path, held_out: bool) -> list[Pupil]:
    chosen = [document for document in documents if is_held_out(document) == held_out]
    return pupils(lessons(chosen, model / "tokenizer.json"))


def _files(model: Path, learned: Sequence[Pupil], folder: Path) -> dict[str, Path]:
    """The model at 16 and at 4 bits; calibrated on what it learned from, never on what it is asked here."""
    f16, q4 = folder / "f16.gguf", folder / "q4.gguf"
    write_gguf(model, f16)
    classroom = Classroom(learned, random.Random(1))
    batcher = Batcher(load_tokenizer(model), 0.0, 1.0, random.Random(1))
    rows = [
        batcher([classroom.context(course_at(1.0))]).ids[0, : SETTINGS.n_ctx].tolist()
        for _ in range(CALIBRATION_CONTEXTS)
    ]
    moments = collect(model, rows, THREADS, ConvertSettings().full_moments)
    quantize_calibrated(f16, q4, "Q4_K_M", moments, "gptq", THREADS)
    return {"f16": f16, "Q4_K_M": q4}


def _right_by_place(model: Path, held_out: Sequence[Pupil], passages: int) -> list[float]:
    """Share of the answers whose first, second ... fifth token is right, the tokens before it given.

    The first says which sentence is meant, the others whether it can be copied.
    """
    network, classroom = load_model(model, THREADS), Classroom(held_out, random.Random(2))
    network.set_attn_implementation(attention.NAME)
    batcher = Batcher(load_tokenizer(model), 0.0, 1.0, random.Random(2))
    right: list[list[bool]] = [[] for _ in range(_PLACES)]
    for _ in range(CONTEXTS_BY_PLACE):
        batch = batcher([classroom.context(Course(most_passages=passages, reach=40, absent=0.0))])
        with torch.inference_mode():
            said = network.lm_head(hidden_states(network, batch)[batch.answers]).argmax(-1)
        starts = [0, *(1 + (batch.answers.diff() != 1).nonzero()[:, 0]).tolist()]
        for place in range(_PLACES):
            right[place] += [bool(said[start + place] == batch.answers_next[start + place]) for start in starts]
    return [round(sum(row) / len(row), 3) for row in right]


def _measure(file: Path, answerable: Sequence[ExamQuestion], unanswerable: Sequence[ExamQuestion]) -> dict[str, Any]:
    engine = Engine(file, SETTINGS)
    try:
        started = time.perf_counter()
        answers, tokens = _ask(engine, answerable)
        speed = tokens / (time.perf_counter() - started)
        abstained, _ = _ask(engine, unanswerable)
        alone, _ = _ask(engine, [replace(question, passages=()) for question in answerable])
        looping, _ = _ask(engine, answerable, no_repeat_ngram_size=0)
    finally:
        engine.close()
    bootstrap = DocumentBootstrap([q.doc_id for q in answerable], samples=2000, confidence=0.95, seed=0)
    rows = {
        "f1": _f1(answerable, answers),
        "f1_standalone": _f1(answerable, alone),
        "f1_where_repeats_may_come": _f1(answerable, looping),
        "cites_gold": _cites_gold(answerable, answers),
        "cites_gold_where_repeats_may_come": _cites_gold(answerable, looping),
        "abstains_wrongly": [float(said == ABSTENTION) for said in answers],
    }
    figures: dict[str, Any] = {name: _figure(bootstrap, values) for name, values in rows.items()}
    figures["abstains_rightly"] = round(sum(said == ABSTENTION for said in abstained) / len(abstained), 4)
    return {**figures, "tokens_per_second": round(speed, 1)}


def _f1(questions: Sequence[ExamQuestion], answers: Sequence[str]) -> list[float]:
    return [token_f1(strip_citations(said), q.answer) for q, said in zip(questions, answers, strict=True)]


def _cites_gold(questions: Sequence[ExamQuestion], answers: Sequence[str]) -> list[float]:
    return [float(cited_numbers(said, 3) == [q.gold]) for q, said in zip(questions, answers, strict=True)]


def _ask(engine: Engine, questions: Sequence[ExamQuestion], **changed: int) -> tuple[list[str], int]:
    """Answers, and how many tokens they took; ``changed`` are sampling parameters."""
    prompts = [engine.chat_prompt(build_messages(question.question, question.passages)) for question in questions]
    completions = engine.generate(prompts, replace(SamplingParams.of(SETTINGS), **changed))
    return [completion.text.strip() for completion in completions], sum(c.completion_tokens for c in completions)


def _figure(bootstrap: DocumentBootstrap, values: list[float]) -> list[float | None]:
    """Mean and its interval."""
    interval = bootstrap.interval(mean_of(values))
    bounds = (interval.value, interval.low, interval.high)
    return [None if bound is None or math.isnan(bound) else round(float(bound), 4) for bound in bounds]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--papers", "--retrieval-set", "--leave-out"):
        parser.add_argument(name, action="append", default=[], metavar="FOLDER")
    parser.add_argument("--model", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--questions", type=int, default=300)
    return parser.parse_args()


if __name__ == "__main__":
    main()
