"""Artifacts appear whole or not at all, and say so when they were touched."""

from __future__ import annotations

import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from qa_core.artifacts import MANIFEST, Artifact, RunStore
from qa_core.errors import UserError
from qa_core.manifest import Manifest, fingerprint, flatten


def manifest_of(artifact: Artifact) -> Manifest:
    return Manifest(
        artifact=artifact.name, stage="stage", fingerprint="f" * 64, inputs={}, config={}, seed=1, num_rows=2,
        rejected={}, metrics={}, packages={}, git_commit="", started="", finished="", seconds=0.5,
    )  # fmt: skip


def write(artifact: Artifact, content: bytes = b"data") -> Manifest:
    artifact.clear_staging()
    with artifact.staging() as folder:
        (folder / "file.bin").write_bytes(content)
        (folder / "sub").mkdir()
        (folder / "sub" / "inner.txt").write_text("inner")
    return artifact.publish(manifest_of(artifact))


def remote_store() -> RunStore:
    """The road that s3:// takes, on pyarrow's in-memory filesystem."""
    from pyarrow._fs import _MockFileSystem

    filesystem = _MockFileSystem()
    filesystem.create_dir("bucket/run", recursive=True)
    return RunStore(filesystem, "bucket/run", "mock://bucket/run")


@pytest.fixture(params=["local", "remote"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> RunStore:
    return RunStore.open(str(tmp_path), "run") if request.param == "local" else remote_store()


def test_an_artifact_has_no_manifest_before_it_is_published(store: RunStore) -> None:
    artifact = store.artifact("thing")
    artifact.clear_staging()
    with artifact.staging() as folder:
        (folder / "file.bin").write_bytes(b"half")
    assert artifact.manifest() is None


def test_a_published_artifact_records_every_file_and_verifies(store: RunStore) -> None:
    artifact = store.artifact("thing")
    written = write(artifact)
    assert set(written.files) == {"file.bin", "sub/inner.txt"}
    read = artifact.manifest()
    assert read == written
    artifact.verify(read)


def test_a_second_publication_replaces_the_first_completely(store: RunStore) -> None:
    artifact = store.artifact("thing")
    first = write(artifact)
    artifact.clear_staging()
    with artifact.staging() as folder:
        (folder / "other.bin").write_bytes(b"x")
    second = artifact.publish(manifest_of(artifact))
    assert set(second.files) == {"other.bin"}
    assert second.content_hash != first.content_hash
    selector = pafs.FileSelector(artifact.path)
    assert {info.base_name for info in artifact.filesystem.get_file_info(selector)} == {"other.bin", MANIFEST}


def test_equal_bytes_have_equal_content_hashes_whenever_they_were_written(tmp_path: Path) -> None:
    one, two = (RunStore.open(str(tmp_path), name).artifact("thing") for name in ("a", "b"))
    assert write(one).content_hash == write(two).content_hash


@pytest.mark.parametrize("sabotage", ["remove", "cut", "flip"])
def test_a_damaged_file_is_named_with_the_remedy(tmp_path: Path, sabotage: str) -> None:
    artifact = RunStore.open(str(tmp_path), "run").artifact("thing")
    manifest = write(artifact)
    file = Path(artifact.path, "file.bin")
    if sabotage == "remove":
        file.unlink()
    else:
        file.write_bytes(b"dat" if sabotage == "cut" else b"dbta")
    with pytest.raises(UserError, match=r"damaged: file\.bin .*\n.*Delete"):
        artifact.verify(manifest)


def test_a_manifest_that_is_not_json_is_a_damaged_artifact(tmp_path: Path) -> None:
    artifact = RunStore.open(str(tmp_path), "run").artifact("thing")
    write(artifact)
    Path(artifact.path, MANIFEST).write_text("{")
    with pytest.raises(UserError, match="damaged"):
        artifact.manifest()


def test_an_artifact_pickles_and_reads_its_parquet_in_file_order(tmp_path: Path) -> None:
    artifact = RunStore.open(str(tmp_path), "run").artifact("rows")
    artifact.clear_staging()
    with artifact.staging() as folder:
        for part in (1, 0):
            pq.write_table(pa.table({"n": [part]}), folder / f"part-{part}.parquet")
    artifact.publish(manifest_of(artifact))
    assert pickle.loads(pickle.dumps(artifact)).read_table().column("n").to_pylist() == [0, 1]


def test_a_remote_artifact_is_copied_to_the_cache_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    artifact = remote_store().artifact("thing")
    write(artifact)
    folder = artifact.local()
    assert (folder / "file.bin").read_bytes() == b"data"
    (folder / "mark").touch()
    assert (artifact.local() / "mark").exists()


def test_scratch_is_kept_by_fingerprint_and_dropped_by_stage(tmp_path: Path) -> None:
    store = RunStore.open(str(tmp_path), "run")
    for stage, mark in (("finetune", "a" * 64), ("finetune", "b" * 64), ("tune", "c" * 64)):
        Path(store.scratch(stage, mark)).mkdir(parents=True)
    store.drop_scratch("finetune")
    assert [path.name for path in Path(store.path, ".scratch").iterdir()] == ["tune-" + "c" * 12]


def test_a_storage_that_no_filesystem_serves_is_a_user_error() -> None:
    with pytest.raises(UserError, match="cannot be opened"):
        RunStore.open("nosuch://bucket", "run")


def test_compute_is_no_part_of_a_fingerprint() -> None:
    one = flatten({"finetune": {"max_steps": 3, "compute": {"num_workers": 1}}})
    two = flatten({"finetune": {"max_steps": 3, "compute": {"num_workers": 8}}})
    assert one == {"finetune.max_steps": 3}
    assert fingerprint("s", 1, one, {"a": "x"}) == fingerprint("s", 1, two, {"a": "x"})
    assert fingerprint("s", 1, one, {"a": "x"}) != fingerprint("s", 2, one, {"a": "x"})
    assert fingerprint("s", 1, one, {"a": "x"}) != fingerprint("s", 1, one, {"a": "y"})
