"""The pyarrow schema of every table that crosses a stage border."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self, TypedDict

import pyarrow as pa

CHUNKS = pa.schema(
    [
        ("chunk_id", pa.string()),  # content hash of doc_id, offsets, prefix and text
        ("doc_id", pa.string()),  # content hash of source path and bytes
        ("source", pa.string()),  # path below the papers folder, with forward slashes
        ("title", pa.string()),
        ("section_path", pa.list_(pa.string())),  # headings above the chunk, outermost first
        ("chunk_index", pa.int32()),  # position in the document, from 0
        ("start_char", pa.int64()),  # text == document[start_char:end_char], in Unicode code points
        ("end_char", pa.int64()),
        ("span_unit", pa.string()),  # what the span counts: character | page | cell
        ("span_start", pa.int64()),  # where in the file the text stood, as in corpus.documents.SourceMap
        ("span_end", pa.int64()),
        ("num_tokens", pa.int32()),  # of prefix, line break and text, by the base model's tokenizer
        ("kind", pa.string()),  # prose | list | table | code | math | caption | footnote | references
        ("density", pa.float32()),  # information density of the text, 0 to 1
        ("prefix", pa.string()),  # place in the paper and, where a table goes on, its header; not part of text
        ("text", pa.string()),
    ]
)

# One row a file, whatever became of it; the text of a very large paper stands in rows of its own, without an outcome.
DOCUMENTS = pa.schema(
    [
        ("source", pa.string()),
        ("outcome", pa.string()),  # kept, or the reason why not
        ("detail", pa.string()),
        ("file_digest", pa.string()),  # SHA-256 of the bytes; null when they could not be read
        ("doc_id", pa.string()),
        ("format", pa.string()),  # markdown | html | latex | restructuredtext | notebook | pdf
        ("title", pa.string()),
        ("authors", pa.list_(pa.string())),
        ("year", pa.int32()),
        ("num_chunks", pa.int64()),
        ("num_tokens", pa.int64()),
        ("num_words", pa.int64()),
        ("content_hash", pa.string()),  # over the words of the blocks
        ("signature", pa.list_(pa.uint32())),  # MinHash, see corpus.dedup
        ("block_hashes", pa.list_(pa.uint64())),
        ("skipped_blocks", pa.list_(pa.uint64())),  # hashes of the blocks left out as boilerplate
        ("start_char", pa.int64()),  # where text begins in the document
        ("text", pa.string()),  # what the chunks' offsets count in
    ]
)

CHUNKS_REJECTED = pa.schema(
    [("source", pa.string()), ("stage", pa.string()), ("reason", pa.string()), ("detail", pa.string())]
)

EVIDENCE = pa.struct(
    [
        ("chunk_id", pa.string()),
        ("text", pa.string()),
        ("start_char", pa.int64()),  # in the document, like a chunk's
        ("end_char", pa.int64()),
    ]
)

MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])

QA = pa.schema(
    [
        ("qa_id", pa.string()),  # content hash of the teacher's question, answer and chunk_ids
        ("doc_id", pa.string()),  # the paper that is asked; of a comparative row, the first of the two
        ("chunk_ids", pa.list_(pa.string())),  # gold passages; of an unanswerable row, the one it was made from
        ("question_type", pa.string()),  # a name of config.dataset.QuestionType
        ("question", pa.string()),
        ("answer", pa.string()),  # without citations; of an unanswerable row, what is missing
        ("evidence", pa.list_(EVIDENCE)),
        ("answerable", pa.bool_()),
        ("context_chunk_ids", pa.list_(pa.string())),  # passages in the prompt, in order; empty: asked without
        ("messages", pa.list_(MESSAGE)),  # the conversation to learn: system, user, assistant
        ("split", pa.string()),  # train | validation | test
        ("teacher", pa.string()),  # template | vllm:MODEL | openai:MODEL
        ("prompt_version", pa.string()),
        ("request_id", pa.string()),  # the request whose reply it was in
        ("review", pa.string()),  # accepted | edited by a person; null when nobody looked
    ]
)

QA_REJECTED = pa.schema(
    [
        ("request_id", pa.string()),  # of the request's first attempt
        ("attempt", pa.int32()),  # which attempt this was: 0, or more after a replay
        ("doc_id", pa.string()),
        ("chunk_id", pa.string()),
        ("question_type", pa.string()),
        ("stage", pa.string()),  # the step of the funnel: dataset.funnel.STEPS
        ("reason", pa.string()),
        ("detail", pa.string()),  # what exactly, such as the number that is not in the evidence
        ("raw_response", pa.string()),  # the proposal as JSON, or the whole reply where it could not be parsed
        ("teacher", pa.string()),
    ]
)

SOURCE = pa.struct(
    [
        ("chunk_id", pa.string()),
        ("doc_id", pa.string()),
        ("title", pa.string()),
        ("kind", pa.string()),
        ("prefix", pa.string()),
        ("start_char", pa.int64()),  # of text, in the document
        ("text", pa.string()),  # as sent: at most the chunk's text, cut after a sentence or a row
    ]
)

# What a teacher or a judge is sent. Sorted so that requests about one source follow each other (prefix caches).
REQUESTS = pa.schema(
    [
        ("request_id", pa.string()),  # hash of the teacher, the messages and the attempt: equal means equally asked
        ("question_type", pa.string()),
        ("attempt", pa.int32()),  # 0; raised when rejected requests are replayed
        ("first_request_id", pa.string()),  # of attempt 0; empty in attempt 0 itself
        ("num_questions", pa.int32()),
        ("sources", pa.list_(SOURCE)),  # one passage, or two of different papers
        ("messages", pa.list_(MESSAGE)),
        ("response_schema", pa.string()),  # JSON schema of the reply
    ]
)

# What came back, one row a request, whatever became of it.
REPLIES = pa.schema(
    [
        ("request_id", pa.string()),
        ("text", pa.string()),  # as received; empty when nothing was
        ("error", pa.string()),  # reason, a colon and the detail; empty when text is a whole reply
        ("prompt_tokens", pa.int64()),
        ("completion_tokens", pa.int64()),
        ("seconds", pa.float64()),  # from sending to the last byte, all tries
        ("failed_tries", pa.list_(pa.string())),  # why earlier tries of this request failed
    ]
)

PASSAGES = pa.schema(
    [
        ("chunk_id", pa.string()),
        ("doc_id", pa.string()),
        ("source", pa.string()),
        ("title", pa.string()),
        ("section_path", pa.list_(pa.string())),
        ("start_char", pa.int64()),
        ("end_char", pa.int64()),
        ("num_tokens", pa.int32()),
        ("density", pa.float32()),
        ("prefix", pa.string()),
        ("text", pa.string()),
    ]
)

PREDICTIONS = pa.schema(
    [
        ("qa_id", pa.string()),
        ("doc_id", pa.string()),
        ("model", pa.string()),  # tuned-4bit, which is served | base-16bit | base-4bit | tuned-16bit
        ("mode", pa.string()),  # standalone | rag
        ("question_type", pa.string()),
        ("question", pa.string()),
        ("answerable", pa.bool_()),
        ("reference", pa.string()),
        ("prediction", pa.string()),
        ("retrieved_chunk_ids", pa.list_(pa.string())),
        ("gold_chunk_ids", pa.list_(pa.string())),
        ("cited", pa.list_(pa.int32())),  # passage numbers the answer marks, from 1
        ("gold_numbers", pa.list_(pa.int32())),  # passage numbers that hold some of the reference's evidence
        ("prompt_tokens", pa.int32()),
        ("completion_tokens", pa.int32()),
        ("finish_reason", pa.string()),
    ]
)

TRIALS = pa.schema(
    [
        ("trial_id", pa.string()),
        ("status", pa.string()),
        ("steps", pa.int32()),
        ("eval_loss", pa.float64()),
        ("train_rows", pa.int64()),  # null where no evaluation was reached
        ("answer_f1", pa.float64()),  # null for a trial that was stopped
        ("evidence_recall", pa.float64()),  # share of the evidence in the prompts; null unless it was a joint sweep
        ("parameters", pa.string()),  # JSON object of dotted keys
        ("error", pa.string()),
    ]
)


class Message(TypedDict):
    """One turn of a chat, in the format of chat templates and of the OpenAI API."""

    role: str
    content: str


@dataclass(frozen=True)
class Passage:
    """One row of ``PASSAGES`` on its way to a prompt."""

    chunk_id: str
    doc_id: str
    source: str
    title: str
    section_path: tuple[str, ...]
    start_char: int
    end_char: int
    num_tokens: int
    density: float
    prefix: str
    text: str
    similarity: float = 0.0
    """Cosine similarity with the question, -1 to 1."""
    score: float = 0.0
    """Ranking score: similarity and information density."""

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Self:
        """A passage from a row of ``PASSAGES`` or of ``CHUNKS``."""
        names = cls.__dataclass_fields__.keys() & row.keys()
        return cls(**{**{name: row[name] for name in names}, "section_path": tuple(row["section_path"])})
