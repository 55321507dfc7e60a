"""What every step of the rows' making is given, and the tables that pass between the steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from qa_core.artifacts import Artifact
from qa_core.config import LecternConfig, QuestionType, TeacherSettings
from qa_core.dataset.reply_log import Reply, ReplyLog, is_transient
from qa_core.dataset.splits import split_documents
from qa_core.dataset.wording import prompt_version
from qa_core.manifest import flatten

Row = dict[str, Any]


@dataclass(frozen=True)
class RowsWork:
    """Handed to the tasks of one run of ``generate-qa``."""

    config: LecternConfig
    inputs: Mapping[str, Artifact]
    scratch: str
    """Address of a folder for the rounds' tables; it survives a kill."""
    replies: ReplyLog
    """Replies of the teacher and of the judge, those of earlier runs too."""

    @property
    def identity(self) -> Row:
        """What of the teacher decides its replies."""
        return identity(self.config.generate_qa.teacher, self.config.run.seed)

    def chunks(self) -> dict[str, Row]:
        """Rows of ``CHUNKS`` by id, in the papers' order."""
        return {row["chunk_id"]: row for row in self.inputs["chunks"].read_table().to_pylist()}

    def splits(self, chunks: Mapping[str, Row]) -> dict[str, str]:
        """The split of every paper that has chunks. Known before anything is asked, as pairs are made within one."""
        return paper_splits(self.config, self.inputs["documents"], (chunk["doc_id"] for chunk in chunks.values()))

    def write(self, name: str, table: pa.Table) -> None:
        filesystem, path = self._place(name)
        filesystem.create_dir(path.rpartition("/")[0], recursive=True)
        pq.write_table(table, path, filesystem=filesystem)

    def read(self, name: str, columns: list[str] | None = None) -> pa.Table:
        filesystem, path = self._place(name)
        return pq.read_table(path, filesystem=filesystem, columns=columns)

    def exists(self, name: str) -> bool:
        filesystem, path = self._place(name)
        return filesystem.get_file_info(path).type == pafs.FileType.File

    def dataset(self, name: str, blocks: int) -> Any:
        """A Ray dataset of the table, its rows in order."""
        import ray

        filesystem, path = self._place(name)
        return ray.data.read_parquet(
            path, filesystem=filesystem, override_num_blocks=blocks, ray_remote_args={"num_cpus": SIDE_CPUS}
        )

    def _place(self, name: str) -> tuple[pafs.FileSystem, str]:
        filesystem, path = (
            pafs.FileSystem.from_uri(self.scratch) if "://" in self.scratch else (pafs.LocalFileSystem(), self.scratch)
        )
        return filesystem, f"{path}/{name}.parquet"


def paper_splits(config: LecternConfig, documents: Artifact, asked: Iterable[str]) -> dict[str, str]:
    """The split of each of the papers ``asked``, by ``doc_id``."""
    papers = set(asked)
    rows = documents.read_table(columns=["doc_id", "outcome", "signature"]).to_pylist()
    signatures = {row["doc_id"]: row["signature"] for row in rows if row["doc_id"] in papers and row["outcome"]}
    return split_documents(signatures, config.generate_qa.splits, config.run.seed)


SIDE_CPUS = 0.1
"""Reading and writing wait for disks; a whole CPU for them would starve the workers of a small machine."""


_DECIDES_NO_REPLY = {"context_tokens", "max_model_len", "tensor_parallel_size", "pipeline_parallel_size"} | {
    f"engine_kwargs.{name}"
    for name in (
        "gpu_memory_utilization",
        "enforce_eager",
        "max_num_seqs",
        "max_num_batched_tokens",
        "enable_prefix_caching",
    )
}
"""How a model is fitted into its machine; the prompt, which the context may shorten, is hashed with every request."""


def identity(teacher: TeacherSettings, seed: int) -> Row:
    """What decides a reply beside the prompt: the model and its sampling."""
    settings = flatten(teacher.model_dump(mode="json"))
    kept = {key: value for key, value in settings.items() if key not in _DECIDES_NO_REPLY}
    frames = {"frames": [prompt_version("template", kind) for kind in get_args(QuestionType)]}
    return {**kept, "seed": seed, **(frames if teacher.engine == "template" else {})}


def is_open(reply: Reply | None) -> bool:
    """Whether a request has to be sent: it has no reply, or failed for a reason of the moment."""
    return reply is None or is_transient(reply["error"])


def table_of(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    """``rows`` as a table; an empty one keeps its columns."""
    return pa.Table.from_pylist(list(rows), schema=schema)
