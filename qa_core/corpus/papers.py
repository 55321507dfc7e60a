"""Papers in a folder to documents: what is found, what is opened, and why a file is refused.

A file is read only when it is a regular file inside the folder: a FIFO would block for ever, and a link could carry
any file of the machine into a data set that is then published.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pyarrow as pa
import pyarrow.fs as pafs

from qa_core.corpus.readers import FORMATS, format_of
from qa_core.errors import UserError

_BLOCK_BYTES = 1 << 20


class FileChanged(OSError):
    """The file was written to while it was being read."""


@dataclass(frozen=True)
class PaperFile:
    """A file that is named like a paper."""

    source: str
    """Path below the papers folder, with forward slashes."""
    root: str
    """The papers folder: an absolute local path or a URI."""
    path: str
    """Of the file, in the folder's filesystem."""

    @property
    def format(self) -> str:
        """By the file's name; empty for a linked folder."""
        return format_of(self.source)

    @contextmanager
    def open(self) -> Iterator[Any]:
        """A binary stream; :class:`OSError` when this is not a readable regular file inside the folder."""
        if "://" in self.root:
            filesystem, _ = pafs.FileSystem.from_uri(self.root)
            with filesystem.open_input_stream(self.path, compression=None) as stream:
                yield stream
        else:
            with os.fdopen(_open_regular(self.path, self.root), "rb") as stream:
                before = _state(stream)
                yield stream
                if _state(stream) != before:
                    raise FileChanged(errno.EBUSY, "the file was written to while it was being read")

    def digest(self) -> str:
        """SHA-256 of the bytes, read a block at a time."""
        checksum = hashlib.sha256()
        with self.open() as stream:
            while block := stream.read(_BLOCK_BYTES):
                checksum.update(block)
        return checksum.hexdigest()


def find_papers(folder: str) -> list[PaperFile]:
    """Files in ``folder`` (a path or pyarrow URI) and below that are named like papers, sorted by ``source``.

    Hidden files and folders are passed over. A linked folder is not entered: it is listed, and reading it fails.
    Raises :class:`UserError` when there is nothing to read.
    """
    url = urlparse(folder)
    if "://" in folder and url.scheme != "file":
        files, seen = _find_remote(folder)
    else:
        files, seen = _find_local(Path(unquote(url.path) if url.scheme == "file" else folder).expanduser().absolute())
    if not files:
        what = f"holds {seen} files, but none ends in {', '.join(FORMATS)}" if seen else "is empty"
        raise UserError(f"the papers folder {folder} {what}", "Put papers there, or set chunk.papers=FOLDER.")
    return sorted(files, key=lambda file: file.source)


def _find_local(root: Path) -> tuple[list[PaperFile], int]:
    if not root.exists():
        raise UserError(f"the papers folder {root} does not exist", "Create it, or set chunk.papers=FOLDER.")
    if not root.is_dir():
        raise UserError(f"chunk.papers={root} is a file", "Give the folder that holds the papers.")
    if not os.access(root, os.R_OK | os.X_OK):
        raise UserError(f"the papers folder {root} may not be read", f"Grant access: chmod u+rx {root}")
    files: list[PaperFile] = []
    seen = 0

    def add(path: str) -> None:
        # Names that are not UTF-8 must still fit into a table.
        source = os.fsencode(os.path.relpath(path, root)).decode("utf-8", "backslashreplace")
        files.append(PaperFile(source, str(root), path))

    # A folder that cannot be entered is listed like a file, so that it is refused by name and not left out in silence.
    for folder, subfolders, names in os.walk(root, onerror=lambda error: add(error.filename)):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        visible = [name for name in names if not name.startswith(".")]
        seen += len(visible)
        linked = [name for name in subfolders if os.path.islink(os.path.join(folder, name))]
        for name in linked + [name for name in visible if format_of(name)]:
            add(os.path.join(folder, name))
    return files, seen


def _find_remote(uri: str) -> tuple[list[PaperFile], int]:
    try:
        filesystem, base = pafs.FileSystem.from_uri(uri)
        infos = filesystem.get_file_info(pafs.FileSelector(base, recursive=True))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise UserError(
            f"chunk.papers={uri} cannot be opened: {error}", "Check the address and your access."
        ) from error
    prefix = f"{base.rstrip('/')}/"
    files = [info for info in infos if info.type == pafs.FileType.File]
    visible = [info.path for info in files if "/." not in f"/{info.path.removeprefix(prefix)}"]
    papers = [path for path in visible if format_of(path)]
    return [PaperFile(path.removeprefix(prefix), uri, path) for path in papers], len(visible)


def _open_regular(path: str, root: str) -> int:
    resolved = os.path.realpath(path)
    if not Path(resolved).is_relative_to(os.path.realpath(root)):
        raise OSError(errno.EXDEV, "the link leads out of the papers folder")
    _require_regular(os.lstat(resolved).st_mode)
    # The file may have been replaced since: a link is refused, a FIFO does not block, and the type is asked again.
    descriptor = os.open(resolved, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _require_regular(os.fstat(descriptor).st_mode)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _require_regular(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, "a folder that is a link or cannot be listed")
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file")


def _state(stream: Any) -> tuple[int, int]:
    status = os.fstat(stream.fileno())
    return status.st_size, status.st_mtime_ns
