"""The data set's card: what is in it and how it was made. No times, so equal data sets have equal cards.

The front matter also tells ``datasets.load_dataset`` which file is which split, so that other files beside them, such
as the artifact's manifest, are never taken for rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import yaml

from qa_core.config import ContextSettings
from qa_core.dataset.layout import SPLITS, split_file, splits_of
from qa_core.generation.chat import ABSTENTION

Row = Mapping[str, Any]

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LARGER = "n>1M"
_MOST_PAPERS = 500
"""Named one by one; a card is read by people."""

_COLUMNS = (
    ("qa_id", "content hash of the teacher's question, answer and passages; stays when a person edits the row"),
    ("doc_id", "the paper that is asked; of a comparative row, the first of the two"),
    ("chunk_ids", "the passages that hold the answer; of an unanswerable row, the one it was made from"),
    ("question_type", "factual, analytical, comparative, hypothetical, definition, procedure, numeric, unanswerable"),
    ("question", "understood without the passage"),
    ("answer", "without citations; of an unanswerable row, what is missing"),
    ("evidence", "the passages' own words that show the answer, with their place in the paper in characters"),
    ("answerable", "false where the passage does not answer the question"),
    ("context_chunk_ids", "the passages in the conversation, in order; empty where it has none"),
    ("messages", "the conversation to learn: system, user and assistant turn"),
    ("split", "train, validation or test; no paper is in two of them"),
    ("teacher", "who wrote question and answer"),
    ("prompt_version", "hash of the wording in which the teacher was asked"),
    ("request_id", "the request whose reply the row was in"),
    ("review", "accepted or edited by a person; empty where nobody looked"),
)


@dataclass(frozen=True)
class DatasetSummary:
    """All that a card tells."""

    name: str
    """Of the run."""
    rows: pa.Table
    """Of ``schemas.QA``, as they are written."""
    titles: Mapping[str, str]
    """Title of each paper by ``doc_id``."""
    judge: str | None
    """Which model judged the rows; None when none did."""
    funnel: Sequence[Mapping[str, Any]]
    """Steps in order: ``name``, rows ``left`` after it and why the others were ``lost``, reason -> how many."""
    context: ContextSettings
    seed: int


def dataset_card(summary: DatasetSummary) -> str:
    """README.md of the data set: YAML front matter and Markdown."""
    columns = ["doc_id", "question_type", "split", "teacher", "prompt_version", "review", "context_chunk_ids"]
    rows = summary.rows.select([*columns, "messages"]).to_pylist()
    sections = [
        _front_matter(summary.name, len(rows), splits_of(summary.rows)),
        _introduction(summary.name, rows),
        _how_to_load(),
        _counts(rows),
        _how_it_was_made(summary, rows),
        _funnel(summary.funnel),
        _conversations(summary.context, rows),
        _columns(),
        _papers(summary.titles, rows),
        _limits(),
    ]
    return "\n\n".join(sections) + "\n"


def _front_matter(name: str, num_rows: int, splits: Sequence[str]) -> str:
    tree = {
        "pretty_name": f"Questions and answers over technical papers ({name})",
        "license": "other",
        "license_name": "licences-of-the-papers",
        "task_categories": ["question-answering", "text-generation"],
        "tags": ["rag", "raft", "scientific-papers", "synthetic"],
        "annotations_creators": ["machine-generated"],
        "source_datasets": ["original"],
        "size_categories": [next((label for limit, label in _SIZES if num_rows < limit), _LARGER)],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": split_file(split)} for split in splits],
            }
        ],
    }
    return f"---\n{yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)}---"


def _introduction(name: str, rows: Sequence[Row]) -> str:
    papers = len({row["doc_id"] for row in rows})
    return (
        f"# Questions and answers over technical papers: {_cell(name)}\n\n"
        f"{len(rows):,} question/answer rows about {papers:,} papers, made by Lectern to tune a model that answers "
        "from retrieved passages and cites them. Every answer points at the words of the paper that show it."
    )


def _how_to_load() -> str:
    return (
        "## How to load it\n\n"
        "```python\n"
        "from datasets import load_dataset\n\n"
        'rows = load_dataset("THIS_FOLDER")  # train, validation, test\n'
        'rows["train"][0]["messages"]\n'
        "```\n\n"
        "The column `messages` is in the form that chat templates and TRL's `SFTTrainer` read. For LLaMA-Factory and "
        "Axolotl: `lectern export-qa --format sharegpt` (or `alpaca`)."
    )


def _counts(rows: Sequence[Row]) -> str:
    tally = Counter((row["question_type"], row["split"]) for row in rows)
    by_type = Counter(row["question_type"] for row in rows)
    types = sorted(by_type, key=lambda kind: (-by_type[kind], kind))
    lines = [[kind, *(tally[kind, split] for split in SPLITS)] for kind in types]
    total = ["**all**", *(sum(tally[kind, split] for kind in types) for split in SPLITS)]
    body = [[*line, sum(line[1:])] for line in [*lines, total]]
    return "## Rows\n\n" + _table(["question type", *SPLITS, "all"], body)


def _how_it_was_made(summary: DatasetSummary, rows: Sequence[Row]) -> str:
    teachers = Counter(row["teacher"] for row in rows)
    wordings = sorted({(row["question_type"], row["prompt_version"]) for row in rows})
    reviews = Counter(row["review"] for row in rows if row["review"])
    person = ", ".join(f"{count:,} {decision}" for decision, count in sorted(reviews.items())) or "no row was looked at"
    made_by = ", ".join(f"{_code(teacher)} ({count:,} rows)" for teacher, count in sorted(teachers.items()))
    return (
        "## How it was made\n\n"
        "Papers are cut into passages. A teacher reads a passage, or two of different papers, and proposes questions "
        "with answers and the words that show them. What it proposes goes through the funnel below. The papers are "
        "split into train, validation and test, near-duplicates together, so that the test measures unseen papers.\n\n"
        f"- Teacher: {made_by or 'none'}\n"
        f"- Judge: {_code(summary.judge) if summary.judge else 'none'}\n"
        f"- Review by a person: {person}\n"
        f"- Seed: {summary.seed}\n\n"
        + _table(["question type", "prompt version"], [[kind, _code(version)] for kind, version in wordings])
    )


def _funnel(funnel: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        [step["name"], step["left"], ", ".join(f"{count:,} {reason}" for reason, count in step["lost"].items())]
        for step in funnel
    ]
    return "## The funnel\n\nRows left after each step, and why the others were dropped.\n\n" + _table(
        ["step", "left", "lost"], lines
    )


def _conversations(context: ContextSettings, rows: Sequence[Row]) -> str:
    shown = [row for row in rows if row["context_chunk_ids"]]
    abstaining = sum(row["messages"][-1]["content"] == ABSTENTION for row in shown)
    return (
        "## Conversations\n\n"
        f"As in RAFT (Zhang et al. 2024, arXiv 2403.10131), {len(shown):,} conversations show numbered passages "
        f"(a share of {context.shown:g} of the answerable rows, and all unanswerable ones): the right ones among "
        "others that retrieval takes for close, shuffled. The answer cites them as `[n]` and quotes them where it uses "
        f"other words. {abstaining:,} of them (a share of {context.without_gold:g}) lack the right passage, and the "
        f"answer is `{ABSTENTION}` The other {len(rows) - len(shown):,} show none and are answered without citations."
    )


def _columns() -> str:
    return "## Columns\n\n" + _table(["column", "what it holds"], [[_code(name), text] for name, text in _COLUMNS])


def _papers(titles: Mapping[str, str], rows: Sequence[Row]) -> str:
    counts = Counter((row["doc_id"], row["split"]) for row in rows)
    lines = sorted([titles.get(doc_id) or doc_id, split, count] for (doc_id, split), count in counts.items())
    more = len(lines) - _MOST_PAPERS
    rest = f"\n\nAnd {more:,} more papers." if more > 0 else ""
    return "## Papers\n\n" + _table(["paper", "split", "rows"], lines[:_MOST_PAPERS]) + rest


def _limits() -> str:
    return (
        "## Licence and limits\n\n"
        "The rows quote the papers, and the conversations hold whole passages of them: the set as a whole may be "
        "passed on only where the licence of each paper allows it. Check them before publishing; none is recorded "
        "here. Where the teacher is a language model, the terms of its licence may apply to what it wrote as well.\n\n"
        "Questions and answers are made by a program and checked by programs; unless the column `review` says so, no "
        "person has read a row. A distractor is a passage that does not repeat the row's evidence; that it does not "
        "answer the question in other words was not checked."
    )


def _table(header: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    numeric = [bool(lines) and all(isinstance(line[column], int) for line in lines) for column in range(len(header))]
    rule = ["---:" if is_number else "---" for is_number in numeric]
    cells = [[f"{cell:,}" if isinstance(cell, int) else _cell(cell) for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in [list(header), rule, *cells])


def _cell(text: str) -> str:
    """``text`` on one line of a table, with what Markdown and HTML would read as markup shown as it is."""
    return " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{text}`"
