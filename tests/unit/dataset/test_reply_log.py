"""The log of replies: what a kill, a full disk and a damaged file do to it."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pytest
from pyarrow._fs import _MockFileSystem

from qa_core.dataset.reply_log import Reply, ReplyLog, ReplyWriter, _Segments, is_transient
from qa_core.dataset.spending import Tokens
from qa_core.errors import UserError
from qa_core.schemas import REPLIES

WRITER = """
import signal, sys
from qa_core.dataset.reply_log import ReplyLog
writer = ReplyLog(sys.argv[1]).writer()
for number in range(int(sys.argv[2])):
    writer.append({
        "request_id": f"r{number}", "text": "x" * 500, "error": "", "prompt_tokens": 1, "completion_tokens": 1,
        "seconds": 0.1, "failed_tries": [],
    })
    if number == 4:
        print("five", flush=True)
signal.pause()
"""


def reply(request_id: str, text: str = "{}", error: str = "", **more: Any) -> Reply:
    return {
        "request_id": request_id, "text": text, "error": error, "prompt_tokens": 10, "completion_tokens": 5,
        "seconds": 0.5, "failed_tries": [], **more,
    }  # fmt: skip


def only_file(folder: Path) -> Path:
    (path,) = folder.glob("*.jsonl")
    return path


@dataclass(frozen=True)
class InMemoryLog(ReplyLog):
    """A log on the road that s3:// takes, on pyarrow's in-memory filesystem."""

    filesystem: Any = field(default_factory=_MockFileSystem)

    def _open(self) -> tuple[pafs.FileSystem, str]:
        return self.filesystem, self.uri


@pytest.fixture(params=["local", "object_store"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> ReplyLog:
    return ReplyLog(str(tmp_path / "replies")) if request.param == "local" else InMemoryLog("bucket/replies")


def test_what_was_appended_is_read_and_is_a_row_of_the_table(log: ReplyLog) -> None:
    sent = [
        reply("a", "ü ∑ \u2028 \n {", failed_tries=["timeout: no reply within 1 s"]),
        reply("b", error="refused: no"),
    ]
    with log.writer() as writer:
        for one in sent:
            writer.append(one)
    assert log.read() == {"a": sent[0], "b": sent[1]}
    assert pa.Table.from_pylist(list(log.read().values()), schema=REPLIES).num_rows == 2


def test_a_log_that_nobody_wrote_to_is_empty(log: ReplyLog) -> None:
    assert log.read() == {}
    assert log.answered_ids() == set()
    assert log.torn_lines() == 0


def test_half_a_surrogate_pair_becomes_text_that_a_table_takes(log: ReplyLog) -> None:
    with log.writer() as writer:
        writer.append(reply("a", "broken \ud83d smile"))
    assert log.read()["a"]["text"] == "broken ? smile"


def test_only_the_requests_that_are_asked_for_are_read(log: ReplyLog) -> None:
    with log.writer() as writer:
        for number in range(200):
            writer.append(reply(f"r{number}"))
    assert set(log.read({"r7", "r199", "r1000"})) == {"r7", "r199"}


def test_a_reply_wins_over_an_error_whichever_came_first_and_doubles_collapse(log: ReplyLog) -> None:
    with log.writer() as writer, log.writer() as other:
        writer.append(reply("late", error="timeout: 1 s"))
        other.append(reply("late", "good"))
        writer.append(reply("early", "good"))
        other.append(reply("early", error="server_error: 500"))
        writer.append(reply("twice", "first"))
        other.append(reply("twice", "second"))
    found = log.read()
    assert {name: (one["text"], one["error"]) for name, one in found.items()} == {
        "late": ("good", ""), "early": ("good", ""), "twice": ("first", ""),
    }  # fmt: skip


def test_a_request_that_failed_for_the_endpoints_sake_may_be_asked_again(log: ReplyLog) -> None:
    with log.writer() as writer:
        for name, error in (("a", ""), ("b", "refused: no"), ("c", "timeout: 1 s"), ("d", "budget_spent: 5 of 5")):
            writer.append(reply(name, error=error))
    assert log.answered_ids() == {"a", "b"}
    assert log.replied_ids() == {"a"}
    assert is_transient("server_error: 500")
    assert not is_transient("context_overflow: 400")


def test_every_reply_of_an_account_was_paid_for_doubled_ones_too(log: ReplyLog) -> None:
    with log.writer("ours") as ours, log.writer("oursister") as other:
        ours.append(reply("a"))
        ours.append(reply("a"))
        other.append(reply("b"))
    assert log.spent("ours") == Tokens(20, 10)
    assert log.spent("nobody") == Tokens(0, 0)


@pytest.mark.parametrize("count", [5, 10**9])
def test_a_writer_that_is_killed_loses_no_reply_that_it_had_appended(tmp_path: Path, count: int) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path), str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "five\n"
        writer.send_signal(signal.SIGKILL)
    found = ReplyLog(str(tmp_path)).read()
    assert len(found) == 5 if count == 5 else len(found) >= 5
    assert set(found) == {f"r{number}" for number in range(len(found))}


def test_a_torn_last_line_is_skipped_and_counted(tmp_path: Path) -> None:
    log = ReplyLog(str(tmp_path))
    with log.writer() as writer:
        writer.append(reply("a"))
        writer.append(reply("b"))
    path = only_file(tmp_path)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for end in range(first + 1, len(whole) - 1):
        path.write_bytes(whole[:end])
        assert set(log.read()) == {"a"}, whole[:end]
        assert log.torn_lines() == 1
    path.write_bytes(whole[:-1])
    assert set(log.read()) == {"a", "b"}
    assert log.torn_lines() == 0


@pytest.mark.parametrize("garbage", [b"\x00\xff\x00", b"[]", b'{"request_id": "b"}', b""])
def test_a_damaged_line_is_told_with_the_file_the_line_and_the_remedy(tmp_path: Path, garbage: bytes) -> None:
    log = ReplyLog(str(tmp_path))
    with log.writer() as writer:
        writer.append(reply("a"))
        writer.append(reply("b"))
    path = only_file(tmp_path)
    first, second = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([first, garbage, second, b""]))
    with pytest.raises(UserError, match=f"{path} is damaged: line 2") as raised:
        log.read()
    assert "Delete the file" in raised.value.remedy


def test_files_that_are_no_replies_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "replays.json").write_text("{}")
    with ReplyLog(str(tmp_path)).writer() as writer:
        writer.append(reply("a"))
    assert set(ReplyLog(str(tmp_path)).read()) == {"a"}


def test_a_disk_that_takes_no_more_is_an_error_and_keeps_what_it_has(tmp_path: Path) -> None:
    program = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n{WRITER}"
    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), "1000"], capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 1
    assert f"UserError: replies cannot be written to {only_file(tmp_path)}: File too large" in result.stderr
    assert "the replies that were written are kept" in result.stderr
    found = ReplyLog(str(tmp_path)).read()
    assert 5 < len(found) < 20
    assert ReplyLog(str(tmp_path)).torn_lines() == 1


def test_a_folder_that_is_taken_away_is_an_error(tmp_path: Path) -> None:
    writer = ReplyLog(str(tmp_path / "replies")).writer()
    (tmp_path / "replies").rmdir()
    with pytest.raises(UserError, match="No such file"):
        writer.append(reply("a"))


def test_an_address_that_nobody_serves_is_a_users_mistake() -> None:
    with pytest.raises(UserError, match="nosuch://bucket"):
        ReplyLog("nosuch://bucket/replies").read()


def test_an_object_store_gets_a_segment_for_every_sixty_four_replies(tmp_path: Path) -> None:
    writer = ReplyWriter(_Segments(pafs.LocalFileSystem(), str(tmp_path / "all-1-a")))
    for number in range(128):
        writer.append(reply(f"r{number}"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all-1-a-000000.jsonl", "all-1-a-000001.jsonl"]
    writer.append(reply("last"))
    writer.close()
    assert len(ReplyLog(str(tmp_path)).read()) == 129


def test_a_log_travels_to_another_process_and_a_reply_needs_every_column(tmp_path: Path) -> None:
    log = pickle.loads(pickle.dumps(ReplyLog(str(tmp_path))))
    with log.writer() as writer, pytest.raises(KeyError):
        writer.append({"request_id": "a"})
    assert os.listdir(tmp_path) == []
    assert json.loads(json.dumps(log.read())) == {}
