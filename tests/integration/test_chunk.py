"""The chunk job on a real Ray: every file accounted for, the same bytes for any number of workers, and no more work
than what changed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from jobs import chunk
from jobs.chunk_files import num_buckets
from jobs.plan import papers_fingerprint
from jobs.progress import Progress
from jobs.ray_session import ray_session
from jobs.stages import StageContext, StageOutcome
from qa_core.artifacts import RunStore
from qa_core.config import LecternConfig
from qa_core.errors import UserError
from qa_core.manifest import Manifest

pytestmark = pytest.mark.ray

TABLES = ("chunks", "chunks_rejected", "documents")


@pytest.fixture(scope="module", autouse=True)
def ray() -> Iterator[None]:
    with ray_session():
        yield


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As much of a base model as the chunk stage looks at."""
    from qa_core.training.tokenizer import train_tokenizer

    folder = tmp_path_factory.mktemp("base")
    train_tokenizer([paper(i) for i in range(9)], 512).save(str(folder / "tokenizer.json"))
    (folder / "base.json").write_text('{"source": "scratch"}')
    return folder


def paper(number: int) -> str:
    facts = (
        f"Server {number * 100 + i} of cluster {number} holds {i * number + 3} keys and answers in {i} ms."
        for i in range(30)
    )
    reference = "[1] A. Author and B. Other. On the keys of clusters with many servers. Proceedings of 2020."
    return f"# Cluster {number}\n\n## Measurements\n\n{' '.join(facts)}\n\n## References\n\n{reference}\n"


def write_papers(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number}.md").write_text(paper(number))
    return folder


@dataclass
class Run:
    """A run's folder, in which the stage can be run again and again."""

    folder: Path
    base: Path
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = RunStore.open(str(self.folder), "run")
        shutil.copytree(self.base, self.store.artifact("base").path)

    def chunk(self, papers: Path, **compute: float) -> StageOutcome:
        settings = {"papers": str(papers), "max_tokens": 96, "overlap_tokens": 0, **self.settings, "compute": compute}
        outputs = {name: self.store.artifact(name) for name in TABLES}
        for output in outputs.values():
            output.clear_staging()
        outcome = chunk.run(
            StageContext(
                config=LecternConfig.model_validate({"chunk": settings}),
                inputs={"base": self.store.artifact("base")},
                outputs=outputs,
                scratch=self.store.scratch("chunk", "f" * 12),
                progress=Progress(Console(quiet=True), "chunk"),
            )
        )
        for name, output in outputs.items():
            output.publish(manifest(name, outcome, papers_fingerprint(str(papers))))
        return outcome

    def rows(self, table: str) -> list[dict[str, Any]]:
        return self.store.artifact(table).read_table().to_pylist()

    def bytes(self) -> dict[str, bytes]:
        files = (path for name in TABLES for path in Path(self.store.artifact(name).path).glob("*.parquet"))
        return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in sorted(files)}


def manifest(name: str, outcome: StageOutcome, fingerprint: str) -> Manifest:
    return Manifest(
        artifact=name, stage="chunk", fingerprint=fingerprint, inputs={}, config={}, seed=0,
        num_rows=outcome.num_rows[name], rejected=dict(outcome.rejected), metrics=dict(outcome.metrics),
        packages={}, git_commit="", started="", finished="", seconds=0.0,
    )  # fmt: skip


def test_any_number_of_workers_writes_the_same_bytes(tmp_path: Path, base: Path) -> None:
    papers = write_papers(tmp_path / "papers", 40)
    written = []
    for workers in (1, 2, 8):
        run = Run(tmp_path / str(workers), base)
        run.chunk(papers, num_workers=workers, cpus_per_worker=0.2)
        written.append(run.bytes())
    assert len(written[0]) == len(TABLES) * num_buckets(40) > len(TABLES)
    assert written[0] == written[1] == written[2]


def test_every_file_is_accounted_for_and_one_bad_file_stops_nothing(tmp_path: Path, base: Path) -> None:
    papers = write_papers(tmp_path / "papers", 3)
    (papers / "sub").mkdir()
    shutil.copy(papers / "1.md", papers / "sub" / "1.md")
    bad = {
        "binary.md": b"\x89PNG\0", "empty.md": b"", "latin.md": b"caf\xe9", "space.md": b" \n",
        "utf16.md": b"\xff\xfea\0", "surrogate.md": b"a \xed\xa0\x80 b", "headings.md": b"# A\n\n## B\n",
        "broken.pdf": b"%PDF-1.7 nothing",
        "broken.ipynb": b"{not json", "two\nlines 🧪.md": paper(7).encode(),
    }  # fmt: skip
    for name, data in bad.items():
        (papers / name).write_bytes(data)
    os.mkfifo(papers / "fifo.md")
    (papers / "loop.md").symlink_to("loop.md")
    (papers / "away.md").symlink_to("/etc/hostname")
    run = Run(tmp_path, base)
    outcome = run.chunk(papers)
    outcomes = {row["source"]: row["outcome"] for row in run.rows("documents")}
    assert outcomes == {
        "0.md": "kept", "1.md": "kept", "2.md": "kept", "sub/1.md": "duplicate_document", "binary.md": "binary",
        "empty.md": "empty", "latin.md": "not_utf8", "space.md": "whitespace_only", "utf16.md": "not_utf8",
        "surrogate.md": "not_utf8", "headings.md": "kept", "broken.pdf": "damaged", "broken.ipynb": "damaged",
        "two\nlines 🧪.md": "kept", "fifo.md": "unreadable", "loop.md": "unreadable", "away.md": "unreadable",
    }  # fmt: skip
    rejected = {row["source"]: row["reason"] for row in run.rows("chunks_rejected")}
    assert rejected == {s: o for s, o in outcomes.items() if o != "kept"} | {"headings.md": "bare_heading"}
    assert all(row["detail"] and row["stage"] == "chunk" for row in run.rows("chunks_rejected"))
    assert {row["source"] for row in run.rows("chunks")} == {"0.md", "1.md", "2.md", "two\nlines 🧪.md"}
    lost = [sum(step.lost.values()) for step in outcome.funnel[:4]]
    assert [step.left for step in outcome.funnel[:4]] == [17, 6, 5, 4]
    assert lost == [0, 11, 1, 1]


def write_every_format(papers: Path) -> None:
    from reportlab.pdfgen.canvas import Canvas

    words = "A quorum is a majority of the servers, so any two quorums share at least one server."
    papers.mkdir()
    (papers / "a.html").write_text(f"<html><body><h1>Quorums</h1><h2>Votes</h2><p>{words}</p></body></html>")
    (papers / "page.md").write_text(f"<!doctype html><html><body><h1>Pages</h1><p>{words} Here.</p></body></html>")
    (papers / "a.tex").write_text(
        "\\documentclass{article}\\title{Rings}\\begin{document}\\maketitle\\section{Keys}"
        f"{words} It is so.\\end{{document}}"
    )
    (papers / "a.rst").write_text(f"Caches\n======\n\nBlocks\n------\n\n{words} It was so.\n")
    cells = [{"cell_type": "markdown", "metadata": {}, "source": f"# Books\n\n{words} So it is."}]
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    (papers / "a.ipynb").write_text(json.dumps(notebook))
    canvas = Canvas(str(papers / "a.pdf"))
    canvas.setFont("Helvetica", 10)
    for line in range(6):
        canvas.drawString(72, 700 - 12 * line, f"Line {line} of this page says that server {line} votes for itself.")
    canvas.save()


def test_a_paper_of_every_format_gives_chunks_that_know_their_place(tmp_path: Path, base: Path) -> None:
    write_every_format(tmp_path / "papers")
    run = Run(tmp_path, base, {"max_tokens": 256})
    run.chunk(tmp_path / "papers")
    assert {row["source"]: (row["format"], row["outcome"]) for row in run.rows("documents")} == {
        "a.html": ("html", "kept"), "page.md": ("html", "kept"), "a.tex": ("latex", "kept"), "a.pdf": ("pdf", "kept"),
        "a.rst": ("restructuredtext", "kept"), "a.ipynb": ("notebook", "kept"),
    }  # fmt: skip
    chunks = {row["source"]: row for row in run.rows("chunks")}
    assert {source: row["span_unit"] for source, row in chunks.items()} == {
        "a.html": "character", "page.md": "character", "a.tex": "character", "a.rst": "character", "a.pdf": "page",
        "a.ipynb": "cell",
    }  # fmt: skip
    assert (chunks["a.pdf"]["span_start"], chunks["a.ipynb"]["span_end"]) == (1, 1)
    for source in ("a.html", "a.tex", "a.rst"):
        file = (tmp_path / "papers" / source).read_text()
        assert "A quorum is a majority" in file[chunks[source]["span_start"] : chunks[source]["span_end"]]


def test_names_that_are_not_utf8_stay_apart(tmp_path: Path, base: Path) -> None:
    papers = write_papers(tmp_path / "papers", 1)
    for number, name in enumerate((b"caf\xe8.md", b"caf\xe9.md"), start=7):
        with open(os.fsencode(papers) + b"/" + name, "w") as stream:
            stream.write(paper(number))
    run = Run(tmp_path, base)
    run.chunk(papers)
    assert [row["source"] for row in run.rows("documents")] == ["0.md", "caf\\xe8.md", "caf\\xe9.md"]


def test_a_chunk_is_a_slice_of_the_stored_document_and_knows_its_density(tmp_path: Path, base: Path) -> None:
    run = Run(tmp_path, base)
    run.chunk(write_papers(tmp_path / "papers", 3))
    texts = {row["doc_id"]: row["text"] for row in run.rows("documents")}
    for row in run.rows("chunks"):
        assert row["text"] == texts[row["doc_id"]][row["start_char"] : row["end_char"]]
        assert 0 < row["density"] <= 1


def change_one(papers: Path) -> None:
    (papers / "5.md").write_text(paper(5).replace("Measurements", "Results"))


def add_one(papers: Path) -> None:
    (papers / "new.md").write_text(paper(77))


def remove_one(papers: Path) -> None:
    (papers / "5.md").unlink()


def remove_an_original(papers: Path) -> None:
    (papers / "7.md").unlink()  # copy.md has the same text


def change_a_copy(papers: Path) -> None:
    (papers / "copy.md").write_text(paper(78))


def make_boilerplate(papers: Path) -> None:
    for number in (1, 2):
        note = "This note stands in three papers, which makes it a note that says nothing of any of them."
        (papers / f"{number}.md").write_text(f"{paper(number)}\n# Note\n\n{note}\n")


@pytest.mark.parametrize(
    "change", [change_one, add_one, remove_one, remove_an_original, change_a_copy, make_boilerplate]
)
def test_a_changed_folder_gives_what_a_new_run_gives_and_cuts_only_what_changed(
    tmp_path: Path, base: Path, change: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    papers = write_papers(tmp_path / "papers", 40)
    shutil.copy(papers / "7.md", papers / "copy.md")
    note = "This note stands in three papers, which makes it a note that says nothing of any of them."
    (papers / "0.md").write_text(f"{paper(0)}\n# Note\n\n{note}\n")
    run = Run(tmp_path / "one", base)
    run.chunk(papers)
    before = {row["source"]: row["doc_id"] for row in run.rows("documents")}
    kept_chunks = {row["chunk_id"] for row in run.rows("chunks")}
    change(papers)
    # Whatever is read a second time says so here.
    log = tmp_path / "read.log"
    monkeypatch.setattr(chunk, "CutTask", _logging_task(log))
    run.chunk(papers)
    fresh = Run(tmp_path / "two", base)
    monkeypatch.undo()
    fresh.chunk(papers)
    assert run.bytes() == fresh.bytes()
    read = set(log.read_text().split("\n")) - {""} if log.exists() else set()
    expected = {
        "change_one": {"5.md"}, "add_one": {"new.md"}, "remove_one": set(), "remove_an_original": {"copy.md"},
        "change_a_copy": {"copy.md"}, "make_boilerplate": {"0.md", "1.md", "2.md"},
    }  # fmt: skip
    assert read == expected[change.__name__]
    if change is remove_one:
        assert "5.md" in before
        assert kept_chunks > {row["chunk_id"] for row in run.rows("chunks")}


def _logging_task(log: Path) -> Any:
    """A real task that also writes down which papers it cuts."""
    from jobs.chunk_bucket import CutTask

    class LoggingTask(CutTask):
        def __call__(self, numbers: Any) -> Any:
            from jobs import chunk_bucket

            cut = chunk_bucket._PaperCutter._cut

            def logged(cutter: Any, digest: str) -> Any:
                with open(log, "a") as stream:
                    stream.write(f"{cutter.paper.source}\n")
                return cut(cutter, digest)

            chunk_bucket._PaperCutter._cut = logged  # type: ignore[method-assign]
            try:
                return super().__call__(numbers)
            finally:
                chunk_bucket._PaperCutter._cut = cut  # type: ignore[method-assign]

    return LoggingTask


def publish(run: Run, papers: Path, names: tuple[str, ...]) -> None:
    """A run that is killed after it has published only some of its artifacts."""
    before = {name: run.store.artifact(name).manifest() for name in TABLES}
    kept = {name: Path(run.store.artifact(name).path) for name in TABLES if name not in names}
    for name, path in kept.items():
        shutil.copytree(path, path.with_name(f"{name}.old"))
    run.chunk(papers)
    for name, path in kept.items():
        shutil.rmtree(path)
        path.with_name(f"{name}.old").rename(path)
        assert run.store.artifact(name).manifest() == before[name]


def test_files_of_two_runs_are_not_mixed_after_a_kill_between_two_publishes(tmp_path: Path, base: Path) -> None:
    papers = write_papers(tmp_path / "papers", 40)
    run = Run(tmp_path / "one", base)
    run.chunk(papers)
    for number in range(6, 40):
        (papers / f"{number}.md").unlink()
    change_one(papers)
    publish(run, papers, ("documents", "chunks_rejected"))
    run.chunk(papers)
    fresh = Run(tmp_path / "two", base)
    fresh.chunk(papers)
    assert run.bytes() == fresh.bytes()


@pytest.mark.parametrize("damage", ["cut", "exchanged"])
def test_nothing_is_copied_from_a_damaged_artifact(tmp_path: Path, base: Path, damage: str) -> None:
    papers = write_papers(tmp_path / "papers", 3)
    run = Run(tmp_path / "one", base)
    run.chunk(papers)
    part = Path(run.store.artifact("chunks").path) / "part-00000.parquet"
    if damage == "cut":
        part.write_bytes(part.read_bytes()[:-50])
    else:
        table = pq.read_table(part)
        pq.write_table(table.set_column(table.schema.get_field_index("text"), "text", [["x"] * table.num_rows]), part)
    add_one(papers)
    run.chunk(papers)
    fresh = Run(tmp_path / "two", base)
    fresh.chunk(papers)
    assert run.bytes() == fresh.bytes()


def test_other_settings_copy_nothing(tmp_path: Path, base: Path) -> None:
    papers = write_papers(tmp_path / "papers", 3)
    run = Run(tmp_path / "one", base)
    run.chunk(papers)
    run.settings = {"max_tokens": 64}
    run.chunk(papers)
    fresh = Run(tmp_path / "two", base, {"max_tokens": 64})
    fresh.chunk(papers)
    assert run.bytes() == fresh.bytes()


def test_a_paper_of_several_windows_that_turns_out_bad_leaves_nothing_behind(tmp_path: Path, base: Path) -> None:
    from qa_core.corpus.loading import WINDOW_BYTES

    papers = write_papers(tmp_path / "papers", 2)
    (papers / "long.md").write_bytes(b"# Long\n\n" + b"The end of it is bad. " * (WINDOW_BYTES // 8) + b"\0")
    run = Run(tmp_path, base)
    run.chunk(papers)
    assert {row["source"] for row in run.rows("chunks")} == {"0.md", "1.md"}
    assert [(row["source"], row["reason"]) for row in run.rows("chunks_rejected")] == [("long.md", "binary")]
    folder = Path(run.store.artifact("chunks").path)
    assert [path.name for path in folder.glob("part*")] == ["part-00000.parquet"]
    assert pq.ParquetFile(folder / "part-00000.parquet").num_row_groups == 2


def test_a_folder_in_which_nothing_can_be_read_fails_with_the_reasons(tmp_path: Path, base: Path) -> None:
    papers = tmp_path / "papers"
    papers.mkdir()
    (papers / "a.md").write_bytes(b"\0")
    (papers / "b.md").write_bytes(b"")
    with pytest.raises(UserError, match="binary 1, empty 1"):
        Run(tmp_path, base).chunk(papers)
