"""What a person decided outlives kills, second pages and later runs."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from qa_core.artifacts import RunStore
from qa_core.dataset.reviews import Decision, append_decision, apply_reviews, read_reviews, reviews_digest
from qa_core.errors import UserError
from qa_core.schemas import QA, QA_REJECTED
from tests.unit.dataset.sample_rows import sample_rows

ACCEPT = Decision(qa_id="q00", decision="accept", time="2026-01-01T00:00:00Z")
EDIT = Decision(qa_id="q01", decision="edit", question="What is\nit?", answer="東京.", time="2026-01-01T00:00:01Z")
REJECT = Decision(qa_id="q02", decision="reject", note="trivial", time="2026-01-01T00:00:02Z")
ALL = (ACCEPT, EDIT, REJECT)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    (tmp_path / "run").mkdir()
    return RunStore.open(str(tmp_path), "run")


def file_of(store: RunStore) -> Path:
    return Path(store.path) / "reviews.jsonl"


def remote_store(content: bytes | None = None) -> RunStore:
    from pyarrow._fs import _MockFileSystem

    filesystem = _MockFileSystem()
    filesystem.create_dir("bucket/run", recursive=True)
    if content is not None:
        with filesystem.open_output_stream("bucket/run/reviews.jsonl") as stream:
            stream.write(content)
    return RunStore(filesystem, "bucket/run", "mock://bucket/run")


def test_decisions_are_read_back_as_they_were_made(store: RunStore) -> None:
    assert read_reviews(store) == {}
    for decision in ALL:
        append_decision(store, decision)
    assert read_reviews(store) == {decision.qa_id: decision for decision in ALL}
    assert len(file_of(store).read_bytes().splitlines()) == 3


def test_the_last_decision_about_a_row_wins_and_can_be_withdrawn(store: RunStore) -> None:
    append_decision(store, ACCEPT)
    append_decision(store, Decision(qa_id="q00", decision="reject"))
    assert read_reviews(store)["q00"].decision == "reject"
    append_decision(store, Decision(qa_id="q00", decision="withdraw"))
    assert read_reviews(store) == {}
    assert len(file_of(store).read_bytes().splitlines()) == 3


def test_a_line_torn_at_any_byte_is_left_out_and_mended_by_the_next(store: RunStore) -> None:
    append_decision(store, ACCEPT)
    whole = file_of(store).read_bytes()
    append_decision(store, EDIT)
    torn = file_of(store).read_bytes()
    for length in range(len(whole), len(torn) - 1):
        file_of(store).write_bytes(torn[:length])
        assert read_reviews(store) == {"q00": ACCEPT}
        append_decision(store, REJECT)
        assert read_reviews(store) == {"q00": ACCEPT, "q02": REJECT}


def test_a_line_that_only_lacks_its_line_break_counts(store: RunStore) -> None:
    append_decision(store, ACCEPT)
    file_of(store).write_bytes(file_of(store).read_bytes().rstrip(b"\n"))
    assert read_reviews(store) == {"q00": ACCEPT}
    append_decision(store, REJECT)
    assert read_reviews(store) == {"q00": ACCEPT, "q02": REJECT}


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "null",
        '{"qa_id": "q9"}',
        '{"qa_id": "q9", "decision": "maybe"}',
        '{"qa_id": "q9", "decision": "edit"}',
    ],
)
def test_a_damaged_line_is_named_by_its_number(store: RunStore, line: str) -> None:
    append_decision(store, ACCEPT)
    with file_of(store).open("a") as file:
        file.write(f"\n{line}\n")
    append_decision(store, REJECT)
    with pytest.raises(UserError, match=r"reviews\.jsonl, line 3: not a decision"):
        read_reviews(store)


def test_bytes_that_are_no_text_are_a_damaged_line(store: RunStore) -> None:
    file_of(store).write_bytes(b'\xff\xfe{"qa_id": 1}\n')
    with pytest.raises(UserError, match="line 1"):
        read_reviews(store)


def _decide_many(path: str, name: str, both_are_there: Any) -> None:
    store = RunStore.open(path, "run")
    both_are_there.wait()
    for number in range(100):
        append_decision(store, Decision(qa_id=f"{name}{number}", decision="reject", note="x" * 3000))


def test_two_pages_that_write_at_once_do_not_mix_their_lines(store: RunStore) -> None:
    context = multiprocessing.get_context("spawn")
    folder = str(Path(store.path).parent)
    barrier = context.Barrier(2)
    writers = [context.Process(target=_decide_many, args=(folder, name, barrier)) for name in ("a", "b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(read_reviews(store)) == 200


def test_the_digest_is_that_of_the_decisions_and_not_of_their_order_or_time(store: RunStore) -> None:
    without_file = reviews_digest(store)
    file_of(store).write_bytes(b"")
    assert reviews_digest(store) == without_file
    digests = set()
    for seed in range(5):
        file_of(store).unlink()
        decisions = list(ALL)
        random.Random(seed).shuffle(decisions)
        append_decision(store, Decision(qa_id="q00", decision="reject"))
        for number, decision in enumerate(decisions):
            append_decision(store, decision.model_copy(update={"time": f"t{number}"}))
        digests.add(reviews_digest(store))
    assert len(digests) == 1
    assert without_file not in digests
    append_decision(store, EDIT.model_copy(update={"answer": "Kyoto."}))
    assert reviews_digest(store) not in digests


def test_a_withdrawn_decision_leaves_the_digest_as_it_was(store: RunStore) -> None:
    before = reviews_digest(store)
    append_decision(store, ACCEPT)
    assert reviews_digest(store) != before
    append_decision(store, Decision(qa_id="q00", decision="withdraw"))
    assert reviews_digest(store) == before


def test_decisions_are_applied_to_rows(store: RunStore) -> None:
    rows: list[dict[str, Any]] = sample_rows(4)
    kept, rejected = apply_reviews(rows, {decision.qa_id: decision for decision in ALL})
    assert kept[0] == {**rows[0], "review": "accepted"}
    assert kept[1] == {**rows[1], "question": "What is\nit?", "answer": "東京.", "review": "edited"}
    assert kept[2] == rows[3]
    assert [row["qa_id"] for row in kept] == ["q00", "q01", "q03"]
    (away,) = rejected
    told = {name: away[name] for name in ("stage", "reason", "detail", "doc_id", "chunk_id", "request_id", "teacher")}
    assert told == {
        "stage": "review", "reason": "rejected_by_reviewer", "detail": "trivial", "doc_id": "d2", "chunk_id": "c2",
        "request_id": "r2", "teacher": "template",
    }  # fmt: skip
    assert json.loads(away["raw_response"])["question"] == rows[2]["question"]
    assert pa.Table.from_pylist(rejected, schema=QA_REJECTED).to_pylist() == rejected
    assert pa.Table.from_pylist(kept, schema=QA).num_rows == 3


def test_an_edited_row_is_found_again_in_a_later_run() -> None:
    again, _ = apply_reviews(sample_rows(2), {"q01": EDIT})
    assert again[1]["qa_id"] == "q01"
    assert apply_reviews(again, {"q01": EDIT})[0] == again


def test_a_decision_about_a_row_that_is_not_there_changes_nothing() -> None:
    rows = sample_rows(2)
    assert apply_reviews(rows, {"gone": Decision(qa_id="gone", decision="reject")}) == (rows, [])


def test_a_remote_run_is_read_but_reviewed_elsewhere(store: RunStore) -> None:
    append_decision(store, ACCEPT)
    remote = remote_store(file_of(store).read_bytes())
    assert read_reviews(remote) == {"q00": ACCEPT}
    assert reviews_digest(remote) == reviews_digest(store)
    assert reviews_digest(remote_store()) == reviews_digest(remote_store(b""))
    with pytest.raises(UserError, match="local run folder"):
        append_decision(remote, ACCEPT)


def test_a_file_that_cannot_be_written_is_the_users_to_mend(store: RunStore) -> None:
    file_of(store).mkdir()
    with pytest.raises(UserError, match=r"reviews\.jsonl cannot be written"):
        append_decision(store, ACCEPT)


def test_a_full_disk_leaves_no_half_line(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    append_decision(store, ACCEPT)
    before = file_of(store).read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="No space left"):
            append_decision(store, REJECT)
    assert file_of(store).read_bytes() == before
