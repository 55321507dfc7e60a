"""Replies as they come: a folder of JSON lines that outlives a killed process.

Every writer has files of its own, so writers never wait for each other. A killed writer leaves at most one torn line,
the last of its file; readers skip it, and its request is asked again.
"""

from __future__ import annotations

import io
import json
import time
import uuid
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, BinaryIO, Self

import pyarrow as pa
import pyarrow.fs as pafs

from qa_core.dataset.spending import Tokens
from qa_core.errors import UserError
from qa_core.schemas import REPLIES

Reply = dict[str, Any]
"""A row of ``REPLIES``."""

TRANSIENT_ERRORS = (
    "budget_spent", "connection_lost", "endpoint_unreachable", "rate_limited", "server_error", "timeout",
)  # fmt: skip
"""Reasons that say nothing about the request: it may be asked again."""

_SEGMENT_REPLIES = 64
_SEGMENT_SECONDS = 10.0
"""An object store cannot append: a killed writer loses what it had not yet closed, at most this much."""
_ID_FIRST = b'{"request_id": "'


@dataclass(frozen=True)
class ReplyLog:
    """The replies below ``uri``, a local path or a pyarrow filesystem URI. Pickles, so that Ray workers can open it."""

    uri: str

    def writer(self, account: str = "all") -> ReplyWriter:
        """A writer for one process. ``account`` says who is paid for its replies; letters and digits."""
        filesystem, folder = self._open()
        filesystem.create_dir(folder, recursive=True)
        # Names sort by time, so that readers meet an older reply before a newer one.
        name = f"{account}-{time.time_ns():020}-{uuid.uuid4().hex[:12]}"
        if isinstance(filesystem, pafs.LocalFileSystem):
            return ReplyWriter(_AppendedFile(f"{folder}/{name}.jsonl"))
        return ReplyWriter(_Segments(filesystem, f"{folder}/{name}"))

    def read(self, request_ids: Container[str] | None = None) -> dict[str, Reply]:
        """``request_id`` -> reply, of all requests or of those in ``request_ids``.

        Of several replies to one request the oldest without an error counts; or else the latest that says something
        about the request; or else the latest.

        Raises:
            UserError: a line that is not the last of its file cannot be read.
        """
        found: dict[str, Reply] = {}
        for reply in self._replies(request_ids):
            known = found.get(reply["request_id"])
            if known is None or _worth(reply) > _worth(known) or (reply["error"] and _worth(reply) == _worth(known)):
                found[reply["request_id"]] = reply
        return found

    def replied_ids(self) -> set[str]:
        """Requests that have a reply without an error."""
        return {reply["request_id"] for reply in self._replies() if not reply["error"]}

    def answered_ids(self) -> set[str]:
        """Requests that need not be asked again: answered, or failed for a reason of their own."""
        return {reply["request_id"] for reply in self._replies() if not is_transient(reply["error"])}

    def spent(self, account: str) -> Tokens:
        """What the replies of ``account`` took, doubled ones too: each of them was paid for."""
        total = Tokens()
        for reply in self._replies(account=account):
            total += Tokens(reply["prompt_tokens"] or 0, reply["completion_tokens"] or 0)
        return total

    def torn_lines(self) -> int:
        """How many files end in a line that a killed writer did not finish."""
        return sum(_load(line) is None for path in self._files() for line in [self._last_line(path)] if line)

    def _replies(self, request_ids: Container[str] | None = None, account: str = "") -> Iterator[Reply]:
        filesystem, _ = self._open()
        for path in self._files():
            if not account or path.rpartition("/")[2].startswith(f"{account}-"):
                yield from self._replies_in(filesystem, path, request_ids)

    def _replies_in(
        self, filesystem: pafs.FileSystem, path: str, request_ids: Container[str] | None
    ) -> Iterator[Reply]:
        with filesystem.open_input_stream(path, compression=None) as stream:
            for number, line in enumerate(io.BufferedReader(stream), start=1):
                if request_ids is not None and not _may_be_in(line, request_ids):
                    continue
                reply = _load(line)
                if reply is None and line.endswith(b"\n"):
                    raise UserError(
                        f"{path} is damaged: line {number} is not a reply",
                        "Delete the file and run again; what was in it is asked once more.",
                    )
                if reply is not None and (request_ids is None or reply["request_id"] in request_ids):
                    yield reply

    def _last_line(self, path: str) -> bytes:
        """What follows the last line break."""
        with self._open()[0].open_input_file(path) as file:
            size = file.size()
            tail = b""
            while b"\n" not in tail and len(tail) < size:
                length = min(size, 2 * len(tail) + 65_536)
                file.seek(size - length)
                tail = file.read(length)
        return tail.rpartition(b"\n")[2]

    def _files(self) -> list[str]:
        """Paths in the order in which their writers began."""
        filesystem, folder = self._open()
        infos = filesystem.get_file_info(pafs.FileSelector(folder, allow_not_found=True))
        names = (info.path for info in infos if info.type == pafs.FileType.File and info.extension == "jsonl")
        return sorted(names, key=lambda path: path.rpartition("/")[2].partition("-")[2])

    def _open(self) -> tuple[pafs.FileSystem, str]:
        if "://" not in self.uri:
            return pafs.LocalFileSystem(), self.uri
        try:
            return pafs.FileSystem.from_uri(self.uri)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
            raise UserError(
                f"the replies at {self.uri} cannot be opened: {error}", "Use a folder, s3:// or gs://."
            ) from error


class ReplyWriter:
    """Appends replies. On a local disk a reply is with the operating system when :meth:`append` returns."""

    def __init__(self, target: _AppendedFile | _Segments) -> None:
        self._target = target

    def append(self, reply: Reply) -> None:
        """Raises ``UserError`` when it cannot be written, such as on a full disk."""
        line = json.dumps({name: reply[name] for name in REPLIES.names}, ensure_ascii=False)
        # Half a surrogate pair, which a reply's JSON may hold, is neither UTF-8 nor anything Arrow takes.
        encoded = line.encode("utf-8", "replace") + b"\n"
        self._carry_out(lambda: self._target.append(encoded))

    def close(self) -> None:
        self._carry_out(self._target.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _carry_out(self, action: Callable[[], None]) -> None:
        try:
            action()
        except OSError as error:
            raise UserError(
                f"replies cannot be written to {self._target.path}: {error.strerror or error}",
                "Make room there and run again: the replies that were written are kept.",
            ) from error


class _AppendedFile:
    """One growing file on a local disk, created by the first reply."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    def append(self, line: bytes) -> None:
        if self._file is None:
            self._file = open(self.path, "xb")  # noqa: SIM115  # closed by close()
        self._file.write(line)
        self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class _Segments:
    """Numbered objects, each written whole."""

    def __init__(self, filesystem: pafs.FileSystem, path: str) -> None:
        self.path = path
        self._filesystem = filesystem
        self._lines: list[bytes] = []
        self._opened = 0.0
        self._number = 0

    def append(self, line: bytes) -> None:
        if not self._lines:
            self._opened = time.monotonic()
        self._lines.append(line)
        if len(self._lines) >= _SEGMENT_REPLIES or time.monotonic() - self._opened >= _SEGMENT_SECONDS:
            self.close()

    def close(self) -> None:
        if not self._lines:
            return
        with self._filesystem.open_output_stream(f"{self.path}-{self._number:06}.jsonl") as stream:
            stream.write(b"".join(self._lines))
        self._number += 1
        self._lines = []


def is_transient(error: str) -> bool:
    """Whether a reply with this ``error`` leaves the request worth asking again."""
    return error.partition(":")[0] in TRANSIENT_ERRORS


def _worth(reply: Reply) -> int:
    """A whole reply above an error of its request above an error of the moment."""
    return 2 if not reply["error"] else 0 if is_transient(reply["error"]) else 1


def _load(line: bytes) -> Reply | None:
    try:
        reply = json.loads(line)
    except ValueError:
        return None
    return reply if isinstance(reply, dict) and reply.keys() == set(REPLIES.names) else None


def _may_be_in(line: bytes, request_ids: Container[str]) -> bool:
    """Whether ``line`` has to be parsed: reading a few of many replies looks at no more than the start of a line."""
    if not line.startswith(_ID_FIRST):
        return True
    return line[len(_ID_FIRST) :].partition(b'"')[0].decode(errors="replace") in request_ids
