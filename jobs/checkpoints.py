"""Ray Train's list of a run's checkpoints, kept readable.

Ray writes the list over the old one. A disk that fills up, or a kill at that moment, leaves half a list, and the run
could not be resumed although its checkpoints are whole. So a copy of the last whole list is kept beside it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pyarrow.fs as pafs


@dataclass(frozen=True)
class CheckpointList:
    """The list of the run ``name`` below ``storage_path``, a folder or a URI. Pickles."""

    storage_path: str
    name: str

    def keep(self) -> None:
        """Copy the list if it is whole; the copy appears at once or not at all."""
        filesystem, path = self._file()
        text = _read(filesystem, path)
        if not _is_whole(text):
            return
        with filesystem.open_output_stream(f"{path}.new") as stream:
            stream.write(text)
        filesystem.move(f"{path}.new", f"{path}.kept")

    def mend(self) -> None:
        """Put the copy in the place of a list that is not whole; without a copy, take the list away."""
        filesystem, path = self._file()
        text = _read(filesystem, path)
        if text is None or _is_whole(text):
            return
        kept = _read(filesystem, f"{path}.kept")
        if not _is_whole(kept):
            filesystem.delete_file(path)
            return
        with filesystem.open_output_stream(path) as stream:
            stream.write(kept)

    def _file(self) -> tuple[pafs.FileSystem, str]:
        filesystem, folder = pafs.FileSystem.from_uri(self.storage_path)
        return filesystem, f"{folder}/{self.name}/checkpoint_manager_snapshot.json"


def _read(filesystem: pafs.FileSystem, path: str) -> bytes | None:
    if filesystem.get_file_info(path).type != pafs.FileType.File:
        return None
    with filesystem.open_input_stream(path) as stream:
        return stream.read()


def _is_whole(text: bytes | None) -> bool:
    try:
        return text is not None and isinstance(json.loads(text), dict)
    except ValueError:
        return False
