"""Artifacts of a run: directories that appear whole or not at all, on a local disk or behind a pyarrow filesystem.

A stage writes into the artifact's staging folder. Publishing hashes every file, writes ``manifest.json`` last and, on a
local disk, swaps the folder in by rename; so a killed run leaves either the old artifact or the new one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from pydantic import ValidationError

from qa_core.errors import UserError
from qa_core.manifest import FileRecord, Manifest

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class RunStore:
    """The folder of one run, ``{storage}/{run.name}``."""

    filesystem: pafs.FileSystem
    path: str
    """Inside ``filesystem``."""
    uri: str
    """What a person or another machine opens: an absolute local path or a URI."""

    @classmethod
    def open(cls, storage: str, run_name: str) -> RunStore:
        """The run's folder below ``storage``, a local path or a URI such as ``s3://bucket/prefix``."""
        if "://" not in storage:
            root = str(Path(storage).expanduser().absolute() / run_name)
            return cls(pafs.LocalFileSystem(), root, root)
        try:
            filesystem, path = pafs.FileSystem.from_uri(storage)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
            raise UserError(
                f"run.storage={storage!r} cannot be opened: {error}", "Use a folder, s3:// or gs://."
            ) from error
        return cls(filesystem, f"{path.rstrip('/')}/{run_name}", f"{storage.rstrip('/')}/{run_name}")

    def artifact(self, name: str) -> Artifact:
        return Artifact(name, self)

    def scratch(self, stage: str, fingerprint: str) -> str:
        """Address of a folder for checkpoints of one stage with one fingerprint."""
        return f"{self.uri}/.scratch/{stage}-{fingerprint[:12]}"

    def drop_scratch(self, stage: str) -> None:
        """Forget every checkpoint of ``stage``."""
        selector = pafs.FileSelector(f"{self.path}/.scratch", allow_not_found=True)
        for info in self.filesystem.get_file_info(selector):
            if info.base_name.startswith(f"{stage}-"):
                self.filesystem.delete_dir(info.path)

    @property
    def is_local(self) -> bool:
        return isinstance(self.filesystem, pafs.LocalFileSystem)


@dataclass(frozen=True)
class Artifact:
    """One directory of a run. Pickles, so that Ray workers can open it."""

    name: str
    store: RunStore

    @property
    def filesystem(self) -> pafs.FileSystem:
        return self.store.filesystem

    @property
    def path(self) -> str:
        """Of the finished artifact, inside :attr:`filesystem`."""
        return f"{self.store.path}/{self.name}"

    @property
    def uri(self) -> str:
        return f"{self.store.uri}/{self.name}"

    @property
    def staging_path(self) -> str:
        """Of the artifact in the making, inside :attr:`filesystem`."""
        return f"{self.store.path}/.staging/{self.name}"

    def manifest(self) -> Manifest | None:
        """The manifest, or None when the artifact is not there; a manifest that cannot be read is a user error."""
        target = f"{self.path}/{MANIFEST}"
        if self.filesystem.get_file_info(target).type != pafs.FileType.File:
            return None
        with self.filesystem.open_input_stream(target) as stream:
            text = stream.read()
        try:
            return Manifest.model_validate_json(text)
        except ValidationError as error:
            raise damaged(self, f"{MANIFEST} cannot be read") from error

    def verify(self, manifest: Manifest) -> None:
        """Raise :class:`UserError` unless every file is there with the size and content that were written."""
        for name, record in manifest.files.items():
            info = self.filesystem.get_file_info(f"{self.path}/{name}")
            if info.type != pafs.FileType.File:
                raise damaged(self, f"{name} is missing")
            if info.size != record.bytes:
                raise damaged(self, f"{name} has {info.size} bytes instead of {record.bytes}")
            if self.store.is_local and _record(self.filesystem, info).sha256 != record.sha256:
                raise damaged(self, f"{name} has changed since it was written")

    def local(self) -> Path:
        """A local folder with the finished files: the artifact itself, or a copy kept in the user's cache."""
        if self.store.is_local:
            return Path(self.path)
        manifest = self.manifest()
        if manifest is None:
            raise UserError(f"{self.uri} is not there", "Run the stage that makes it first.")
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "lectern" / manifest.content_hash[:24]
        if not (cache / MANIFEST).exists():
            partial = Path(tempfile.mkdtemp(dir=_made(cache.parent)))
            pafs.copy_files(self.path, str(partial), source_filesystem=self.filesystem)
            try:
                partial.rename(cache)
            except OSError:  # another process of this machine was quicker, with the same bytes
                shutil.rmtree(partial)
        return cache

    def read_table(self, columns: list[str] | None = None) -> pa.Table:
        """All rows of the artifact's parquet files, in the order of the file names."""
        selector = pafs.FileSelector(self.path)
        files = sorted(info.path for info in self.filesystem.get_file_info(selector) if info.extension == "parquet")
        return pa.concat_tables([pq.read_table(file, columns=columns, filesystem=self.filesystem) for file in files])

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A local folder whose files become the artifact's staging folder when the block ends without an error."""
        if self.store.is_local:
            yield _made(Path(self.staging_path))
            return
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
            self.filesystem.create_dir(self.staging_path, recursive=True)
            pafs.copy_files(folder, self.staging_path, destination_filesystem=self.filesystem)

    def clear_staging(self) -> None:
        """An empty staging folder."""
        if self.filesystem.get_file_info(self.staging_path).type != pafs.FileType.NotFound:
            self.filesystem.delete_dir(self.staging_path)
        self.filesystem.create_dir(self.staging_path, recursive=True)

    def publish(self, manifest: Manifest) -> Manifest:
        """Make the staged files the artifact; returns the manifest with every file recorded."""
        selector = pafs.FileSelector(self.staging_path, recursive=True)
        infos = [info for info in self.filesystem.get_file_info(selector) if info.type == pafs.FileType.File]
        files = {info.path.removeprefix(f"{self.staging_path}/"): _record(self.filesystem, info) for info in infos}
        manifest = manifest.model_copy(update={"files": dict(sorted(files.items()))})
        if self.store.is_local:
            self._write_manifest(self.staging_path, manifest)
            self._swap_in()
        else:
            self.remove()
            self.filesystem.create_dir(self.path, recursive=True)
            pafs.copy_files(
                self.staging_path, self.path, source_filesystem=self.filesystem, destination_filesystem=self.filesystem
            )
            self._write_manifest(self.path, manifest)
            self.filesystem.delete_dir(self.staging_path)
        return manifest

    def remove(self) -> None:
        """Take the artifact away, manifest first."""
        manifest = f"{self.path}/{MANIFEST}"
        if self.filesystem.get_file_info(manifest).type == pafs.FileType.File:
            self.filesystem.delete_file(manifest)
        if self.filesystem.get_file_info(self.path).type != pafs.FileType.NotFound:
            self.filesystem.delete_dir(self.path)

    def _write_manifest(self, folder: str, manifest: Manifest) -> None:
        with self.filesystem.open_output_stream(f"{folder}/{MANIFEST}") as stream:
            stream.write(manifest.model_dump_json(indent=2).encode() + b"\n")

    def _swap_in(self) -> None:
        old = Path(f"{self.staging_path}.replaced")
        shutil.rmtree(old, ignore_errors=True)
        if os.path.lexists(self.path):
            os.rename(self.path, old)
        os.rename(self.staging_path, self.path)
        shutil.rmtree(old, ignore_errors=True)


def damaged(artifact: Artifact, what: str) -> UserError:
    """The error for an artifact that is not what its manifest says."""
    return UserError(f"{artifact.uri} is damaged: {what}", f"Delete {artifact.uri} and run again to make it anew.")


def _record(filesystem: pafs.FileSystem, info: pafs.FileInfo) -> FileRecord:
    checksum = hashlib.sha256()
    with filesystem.open_input_stream(info.path, compression=None) as stream:
        while block := stream.read(1 << 20):
            checksum.update(block)
    return FileRecord(bytes=info.size, sha256=checksum.hexdigest())


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
