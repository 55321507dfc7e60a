from __future__ import annotations

import os
from pathlib import Path

import pytest

from qa_core.corpus.documents import DocumentRejected
from qa_core.corpus.loading import load_document
from qa_core.corpus.papers import find_papers
from qa_core.errors import UserError


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_md", ".md")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def test_papers_are_found_in_subfolders_and_sorted_by_their_path(tmp_path: Path):
    write(tmp_path, b_md="b", a__z_md="z", a__b_md="ab", notes="no paper")
    (tmp_path / "C.MARKDOWN").write_text("c")
    assert [paper.source for paper in find_papers(str(tmp_path))] == ["C.MARKDOWN", "a/b.md", "a/z.md", "b.md"]


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path):
    write(tmp_path, a_md="a", **{"._a_md": "resource fork", ".git__b_md": "b"})
    assert [paper.source for paper in find_papers(str(tmp_path))] == ["a.md"]


def test_a_filesystem_uri_gives_the_same_papers_as_the_folder(tmp_path: Path):
    write(tmp_path, a_md="# A\n\ntext", sub__b_md="# B\n\ntext")
    by_uri = [load_document(paper) for paper in find_papers(tmp_path.as_uri())]
    assert by_uri == [load_document(paper) for paper in find_papers(str(tmp_path))]


def test_a_remote_folder_is_listed_and_read_through_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import pyarrow.fs as pafs

    class Bucket:
        """pyarrow offers no remote filesystem without a server, so a bucket URI is answered by a local subtree."""

        @staticmethod
        def from_uri(uri: str) -> tuple[pafs.FileSystem, str]:
            return pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem()), uri.removeprefix("bucket://")

    write(
        tmp_path, store__a_md="# A\n\ntext", store__sub__b_md="# B\n\ntext", store__c="no paper", **{"store__.h_md": ""}
    )
    monkeypatch.setattr(pafs, "FileSystem", Bucket)
    papers = find_papers("bucket://store")
    assert [paper.source for paper in papers] == ["a.md", "sub/b.md"]
    assert [load_document(paper).title for paper in papers] == ["A", "B"]


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda folder: None, "does not exist"),
        (lambda folder: folder.mkdir(), "is empty"),
        (lambda folder: folder.write_text("x"), "is a file"),
        (
            lambda folder: (folder.mkdir(), (folder / "a.docx").write_bytes(b"x")),
            "holds 1 files, but none ends in .md, ",
        ),
    ],
)
def test_a_folder_without_papers_is_the_users_mistake_and_has_a_remedy(tmp_path: Path, make, problem: str):
    folder = tmp_path / "papers"
    make(folder)
    with pytest.raises(UserError, match=problem) as caught:
        find_papers(str(folder))
    assert "chunk.papers" in str(caught.value) or "papers" in caught.value.remedy


def test_an_unknown_address_is_the_users_mistake():
    with pytest.raises(UserError, match="cannot be opened"):
        find_papers("nowhere://bucket/papers")


def test_a_fifo_and_a_device_are_never_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo.md")  # opening it would wait for a writer
    os.symlink("/dev/zero", tmp_path / "zero.md")
    for paper in find_papers(str(tmp_path)):
        with pytest.raises(DocumentRejected) as caught:
            load_document(paper)
        assert caught.value.reason == "unreadable"


def test_links_stay_inside_the_folder(tmp_path: Path):
    papers, secret = tmp_path / "papers", tmp_path / "secret"
    write(papers, a_md="# A\n\ninside")
    write(secret, s_md="# S\n\noutside")
    os.symlink(papers / "a.md", papers / "alias.md")
    os.symlink(secret / "s.md", papers / "stolen.md")
    os.symlink(secret, papers / "folder")
    os.symlink("loop.md", papers / "loop.md")
    read, refused = {}, {}
    for paper in find_papers(str(papers)):
        try:
            read[paper.source] = load_document(paper).text
        except DocumentRejected as error:
            refused[paper.source] = error.detail
    assert read == {"a.md": "# A\n\ninside", "alias.md": "# A\n\ninside"}
    assert refused.keys() == {"stolen.md", "folder", "loop.md"}
    assert "leads out" in refused["stolen.md"]


def test_a_file_name_that_is_not_utf8_can_be_written_to_a_table(tmp_path: Path):
    with open(os.fsencode(tmp_path) + b"/caf\xe9.md", "w") as stream:
        stream.write("# A\n\ntext")
    (paper,) = find_papers(str(tmp_path))
    assert paper.source.encode("utf-8")
    assert load_document(paper).title == "A"
