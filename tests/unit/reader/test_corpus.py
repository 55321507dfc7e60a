"""What a reader learns from: English text, whole documents kept out, and no trace of a data set's placeholders."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from qa_core.corpus.documents import Document
from qa_core.errors import UserError
from tools.reader.corpus import is_held_out, lessons, read_documents


def write_set(folder: Path, *rows: tuple[str, str]) -> str:
    folder.mkdir()
    lines = [json.dumps({"_id": str(n), "title": title, "text": text}) for n, (title, text) in enumerate(rows)]
    (folder / "corpus.jsonl").write_text("\n".join(lines))
    return str(folder)


def test_texts_of_one_title_are_one_document_without_placeholders(tmp_path: Path) -> None:
    folder = write_set(
        tmp_path / "set",
        ("Citations", "We follow the earlier work BIBREF13, BIBREF34 on references."),
        ("Citations", "The pipeline is shown in Figure FIGREF10."),
    )
    (document,) = read_documents([], [folder], [])
    assert document.title == "Citations"
    assert "REF" not in document.text
    assert "We follow the earlier work on references." in document.text


def test_papers_that_match_a_pattern_and_papers_in_other_languages_are_left_out(tmp_path: Path) -> None:
    for name, text in (
        ("a/one.md", "# One\n\nIt works."),
        ("b/two.md", "# Two\n\nToo."),
        ("c.md", "# 三\n\n漢字漢字漢字"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert [document.title for document in read_documents([str(tmp_path)], [], ["b/*"])] == ["One"]


def test_a_paper_that_cannot_be_read_is_named_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good.md").write_text("# Good\n\nIt works.")
    (tmp_path / "bad.md").write_bytes(b"\xff\xfe\x00")
    assert [document.title for document in read_documents([str(tmp_path)], [], [])] == ["Good"]
    assert "left out: bad.md: " in capsys.readouterr().err


def test_a_folder_that_is_no_retrieval_set_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"corpus\.jsonl does not exist"):
        read_documents([], [str(tmp_path)], [])


def test_one_document_in_five_is_kept_out_and_a_copy_goes_where_the_original_goes(documents: list[Document]) -> None:
    titled = [replace(documents[0], title=f"Paper {n}") for n in range(1000)]
    assert 150 < sum(map(is_held_out, titled)) < 250
    assert all(is_held_out(paper) == is_held_out(replace(paper, doc_id="copy", text="other")) for paper in titled)


def test_sentences_are_whole_and_stand_in_their_passage(documents: list[Document], tokenizer: object) -> None:
    found = lessons(documents, Path(tokenizer.folder) / "tokenizer.json")  # type: ignore[attr-defined]
    assert sum(len(lesson.sentences) for lesson in found) >= 8
    for lesson in found:
        for sentence in lesson.sentences:
            assert sentence in " ".join(lesson.passage.text.split())
            assert sentence.endswith(".")
