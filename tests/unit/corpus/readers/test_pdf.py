import io
import random
import re
import subprocess
import sys
from collections import Counter

import pytest

from qa_core.corpus.documents import DocumentRejected
from qa_core.corpus.readers.pdf import read
from tests.unit.corpus.timing import assert_linear

pytest.importorskip("pypdfium2")
canvas = pytest.importorskip("reportlab.pdfgen.canvas")

LEFT, RIGHT, WIDTH, LEADING = 60, 315, 235, 12
INTRODUCTION = (
    "Readers want answers that name their source. A model that was tuned on papers knows much, but it cannot say where "
    "it read a statement, and so nobody can check it. We therefore keep for every chunk the place it was cut from, and "
    "hand the place on to the answer. This costs eight bytes a chunk and saves the reader a search of many minutes. "
)
METHOD = (
    "The retriever looks up passages by inner product, and the reader marks the span that carries the answer. Spans of "
    "one passage are merged when they overlap by more than half of the shorter one, which keeps the list of citations "
    "short. Nothing here depends on the language of the paper, only on its characters and where they are. "
)


class Paper:
    """A two-column paper drawn line by line, as a typesetter would."""

    def __init__(self, **settings):
        self.bytes = io.BytesIO()
        self.canvas = canvas.Canvas(self.bytes, pagesize=(612, 792), **settings)
        self.page = 1

    def text(self, x, y, words, size=10, font="Times-Roman"):
        self.canvas.setFont(font, size)
        self.canvas.drawString(x, y, words)

    def prose(self, x, y, words, width=WIDTH, size=10, indent=0, justify=True):
        """Lines of a paragraph from ``y`` down; gives the y below it."""
        lines, line = [], []
        for word in words.split():
            room = width - (indent if not lines else 0)
            if line and self.canvas.stringWidth(" ".join([*line, word]), "Times-Roman", size) > room:
                lines.append(line)
                line = []
            line.append(word)
        for number, line_words in enumerate([*lines, line]):
            shift = indent if number == 0 else 0
            text = self.canvas.beginText(x + shift, y)
            text.setFont("Times-Roman", size)
            if justify and number < len(lines):
                free = width - shift - self.canvas.stringWidth(" ".join(line_words), "Times-Roman", size)
                text.setWordSpace(free / max(len(line_words) - 1, 1))
            text.textOut(" ".join(line_words))
            self.canvas.drawText(text)
            y -= LEADING
        return y

    def next_page(self):
        self.text(60, 760, f"Byron and Li: Answers with Sources, page {self.page}", 8)
        self.text(300, 30, str(self.page), 9)
        self.canvas.showPage()
        self.page += 1

    def save(self):
        self.next_page()
        self.canvas.save()
        return self.bytes.getvalue()


def _two_column_paper():
    paper = Paper()
    paper.text(150, 720, "Answers that Name their Source", 20, "Times-Bold")
    paper.text(230, 695, "Ada Byron and Bo Li", 12)
    paper.text(220, 680, "University of Nowhere, 2024", 10, "Times-Italic")
    paper.text(150, 50, "Copyright 2023 by the authors.", 8)
    paper.text(LEFT, 640, "1 Introduction", 13, "Times-Bold")
    y = paper.prose(LEFT, 622, INTRODUCTION)
    y = paper.prose(LEFT, y, METHOD + INTRODUCTION, indent=12)
    paper.text(LEFT, y, "The last line of the left column goes on in the right col-")
    paper.text(RIGHT, 640, "umn, at its top.")
    paper.text(RIGHT, 610, "2 Method", 13, "Times-Bold")
    y = paper.prose(RIGHT, 592, METHOD)
    paper.text(RIGHT + 70, y - 8, "s(q, p) = q · p / |p|", 10, "Times-Italic")
    paper.text(RIGHT + 215, y - 8, "(1)")
    y = paper.prose(RIGHT, y - 28, "where both vectors come from one encoder. The details are known")
    paper.next_page()
    paper.text(LEFT, 700, "2.1 Merging of spans", 11, "Times-Bold")
    y = paper.prose(LEFT, 684, METHOD)
    paper.text(LEFT, y - 14, "Table 1: Recall of two retrievers.", 9)
    _ruled_table(paper, LEFT, y - 30)
    y = paper.prose(LEFT, y - 130, "After the table the text goes on.")
    paper.text(LEFT, y - 20, "Figure 1: Recall grows with the budget.", 9)
    paper.text(RIGHT, 700, "References", 13, "Times-Bold")
    y = paper.prose(
        RIGHT,
        684,
        "[1] C. Ite. Spans of text. Journal of Places, 12(3), pages 1-17, Nowhere Press, 2019.",
        justify=False,
    )
    paper.prose(
        RIGHT, y, "[2] D. Oe and E. Ff. Retrieval by inner products, a survey of twenty years, 2021.", justify=False
    )
    return paper.save()


def _ruled_table(paper, x, y):
    rows = [("Model", "Recall", "MRR"), ("Dense", "0.71", "0.55"), ("Sparse", "0.64", "0.49")]
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            paper.text(x + 5 + 70 * column, y - 12 - 14 * number, cell, 9)
    for rule in (y, y - 16, y - 46):
        paper.canvas.line(x, rule, x + 200, rule)


@pytest.fixture(scope="module")
def paper():
    return read(_two_column_paper())


def test_title_authors_and_year_come_from_the_first_page(paper):
    assert paper.title == "Answers that Name their Source"
    assert paper.authors == ("Ada Byron", "Bo Li")
    assert paper.year == 2023


def test_the_left_column_comes_before_the_right_one(paper):
    places = [
        paper.text.index(words) for words in ("1 Introduction", "cannot say where", "2 Method", "where both vectors")
    ]
    assert places == sorted(places)


def test_headings_get_the_level_of_their_number(paper):
    headings = [line for line in paper.text.split("\n") if line.startswith("#")]
    expected = ["# Answers that Name their Source", "## 1 Introduction", "## 2 Method", "### 2.1 Merging of spans"]
    assert headings == [*expected, "## References"]


def test_paragraphs_are_whole_and_end_where_the_next_is_indented(paper):
    assert f"\n\n{INTRODUCTION.strip()}\n\n" in paper.text


def test_a_word_cut_at_the_end_of_a_column_is_one_word_again(paper):
    assert "goes on in the right column, at its top." in paper.text


def test_running_headers_and_page_numbers_are_left_out(paper):
    assert "Answers with Sources" not in paper.text
    assert not re.search(r"^\d+$", paper.text, re.MULTILINE)


def test_a_table_between_rules_becomes_a_pipe_table(paper):
    table = "| Model | Recall | MRR |\n|---|---|---|\n| Dense | 0.71 | 0.55 |\n| Sparse | 0.64 | 0.49 |"
    assert f"Table 1: Recall of two retrievers.\n\n{table}" in paper.text


def test_a_formula_stands_alone_with_its_number(paper):
    assert "\n\ns(q, p) = q · p / |p| (1)\n\n" in paper.text


def test_a_caption_is_a_paragraph_of_its_own(paper):
    assert "After the table the text goes on.\n\nFigure 1: Recall grows with the budget.\n\n" in paper.text


def test_each_reference_is_a_paragraph(paper):
    references = paper.text.split("## References\n\n")[1].strip().split("\n\n")
    assert [reference[:3] for reference in references] == ["[1]", "[2]"]


def test_no_word_is_lost(paper):
    shown = Counter(re.findall(r"\w+", paper.text))
    wanted = Counter(re.findall(r"\w+", INTRODUCTION + INTRODUCTION + METHOD + METHOD + METHOD))
    assert not wanted - shown


def test_blocks_know_their_pages(paper):
    places = paper.source_map
    assert places.unit == "page"
    start = paper.text.index("2.1 Merging")
    assert places.locate(start, start + 5) == (2, 2)
    assert places.locate(0, 5) == (1, 1)
    assert places.locate(0, len(paper.text)) == (1, 2)


def test_a_paragraph_across_pages_is_one_and_spans_both():
    paper = Paper()
    paper.prose(LEFT, 700, INTRODUCTION + "This sentence ends", width=480)
    paper.next_page()
    paper.prose(LEFT, 700, "on the next page. " + METHOD, width=480)
    rendered = read(paper.save())
    start = rendered.text.index("This sentence ends on the next page.")
    assert rendered.source_map.locate(start, start + 10) == (1, 2)


def test_a_note_at_the_foot_becomes_a_footnote():
    paper = Paper()
    y = paper.prose(LEFT, 700, INTRODUCTION, width=480)
    paper.text(LEFT, y, "We use an encoder")
    paper.text(LEFT + paper.canvas.stringWidth("We use an encoder", "Times-Roman", 10), y + 4, "1", 6)
    paper.text(LEFT + paper.canvas.stringWidth("We use an encoder1", "Times-Roman", 10) + 3, y, "for all of it.")
    paper.text(LEFT, 100, "1", 5)
    paper.text(LEFT + 3, 97, "Trained on other papers.", 8)
    text = read(paper.save()).text
    assert "We use an encoder[^1] for all of it." in text
    assert "[^1]: Trained on other papers." in text


def test_exponents_are_marked():
    paper = Paper()
    paper.prose(LEFT, 700, INTRODUCTION, width=480)
    paper.text(LEFT, 500, "The area is n")
    paper.text(LEFT + paper.canvas.stringWidth("The area is n", "Times-Roman", 10), 504, "2", 6)
    assert "The area is n^2" in read(paper.save()).text


def test_a_grid_with_wrapped_cells_keeps_one_row_a_rule():
    paper = Paper()
    paper.prose(LEFT, 740, INTRODUCTION, width=480)
    for y in (600, 570, 540):
        paper.canvas.line(60, y, 360, y)
    for x in (60, 160, 360):
        paper.canvas.line(x, 540, x, 600)
    paper.text(65, 588, "Term")
    paper.text(165, 588, "Meaning that is so long")
    paper.text(165, 576, "that it takes two lines")
    paper.text(65, 558, "span")
    paper.text(165, 558, "start and end")
    expected = "| Term | Meaning that is so long that it takes two lines |\n|---|---|\n| span | start and end |"
    assert expected in read(paper.save()).text


def test_bullets_become_a_list():
    paper = Paper()
    y = paper.prose(LEFT, 700, INTRODUCTION, width=480)
    paper.text(LEFT + 10, y, "• first point")
    paper.text(LEFT + 10, y - 12, "• second point")
    assert "- first point\n- second point" in read(paper.save()).text


def test_the_title_in_the_metadata_wins_unless_a_program_wrote_it():
    for stated, title in (("A Stated Title", "A Stated Title"), ("paper_v3.tex", "Largest Line Here")):
        paper = Paper()
        paper.canvas.setTitle(stated)
        paper.canvas.setAuthor("Grace Hopper; Alan Turing")
        paper.text(LEFT, 740, "Largest Line Here", 20)
        paper.prose(LEFT, 700, INTRODUCTION, width=480)
        rendered = read(paper.save())
        assert (rendered.title, rendered.authors) == (title, ("Grace Hopper", "Alan Turing"))


def test_numbers_of_lines_in_the_margin_are_left_out():
    paper = Paper()
    y = paper.prose(LEFT, 740, (INTRODUCTION + METHOD) * 4, width=480)
    for number in range(1, int((740 - y) / LEADING) + 1):
        paper.text(48 - 3 * len(str(number)), 740 - LEADING * (number - 1), str(number), 6)
    assert not re.search(r"\d", read(paper.save()).text.replace("page 1", ""))


def _encrypted():
    from reportlab.lib.pdfencrypt import StandardEncryption

    paper = Paper(encrypt=StandardEncryption("secret", "owner"))
    paper.text(LEFT, 700, "Hidden words")
    return paper.save()


def _scan():
    paper = Paper()
    paper.canvas.drawInlineImage(_image(), 50, 50, 500, 700)
    paper.canvas.showPage()
    paper.canvas.save()
    return paper.bytes.getvalue()


def _image():
    from PIL import Image

    return Image.new("L", (8, 8), 128)


def _blank():
    paper = Paper()
    paper.canvas.showPage()
    paper.canvas.save()
    return paper.bytes.getvalue()


@pytest.mark.parametrize(
    ("make", "reason", "words"),
    [
        (lambda: b"", "empty", "0 bytes"),
        (lambda: b"no pdf at all", "damaged", "no PDF"),
        (lambda: b"%PDF-1.7\n" + b"\0" * 5000, "damaged", ""),
        (_encrypted, "damaged", "encrypted"),
        (_scan, "damaged", "no text layer on 1 pages: a scan; run OCR first"),
        (_blank, "damaged", "no text on 1 pages"),
    ],
)
def test_what_has_no_readable_text_is_rejected_with_the_reason(make, reason, words):
    with pytest.raises(DocumentRejected) as rejected:
        read(make())
    assert rejected.value.reason == reason
    assert words in rejected.value.detail


FUZZ = """
import random, sys
from qa_core.corpus.documents import DocumentRejected
from qa_core.corpus.readers.pdf import read
data, seed, count = open(sys.argv[1], "rb").read(), int(sys.argv[2]), int(sys.argv[3])
for number in range(count):
    chance = random.Random(seed + number)
    broken = bytearray(data)
    if number % 3 == 0:
        del broken[chance.randrange(len(broken)):]
    elif number % 3 == 1:
        for _ in range(chance.randrange(1, 60)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
    else:
        start = chance.randrange(len(broken))
        broken[start:start + chance.randrange(2000)] = chance.randbytes(chance.randrange(2000))
    try:
        read(bytes(broken))
    except DocumentRejected:
        pass
print("survived", count)
"""


def test_broken_files_never_stop_the_interpreter(tmp_path):
    paper = tmp_path / "paper.pdf"
    paper.write_bytes(_two_column_paper())
    seed = random.Random(7).randrange(10**6)
    command = [sys.executable, "-c", FUZZ, str(paper), str(seed), "60"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout == "survived 60\n", done.stderr[-2000:]


def _many_pages(count):
    paper = Paper()
    for _ in range(count):
        paper.prose(LEFT, 700, (INTRODUCTION + METHOD) * 3, width=480)
        paper.next_page()
    paper.canvas.save()
    return paper.bytes.getvalue()


def test_time_grows_with_the_number_of_pages():
    made = {count: _many_pages(count) for count in (10, 80)}
    assert_linear(lambda count: read(made[count]), 10)


def test_the_first_line_of_double_spaced_pages_is_no_running_header():
    paper = Paper()
    places = ("north", "east", "south", "west")
    for place in places:
        for number, row in enumerate(("first", "second", "third", "fourth", "fifth", "sixth", "seventh")):
            words = f"the {row} thing that was seen in the {place} of the country by those who went to the {place}"
            paper.text(LEFT, 700 - 24 * number, words)
        paper.next_page()
    text = read(paper.save()).text
    assert all(text.count(f"seen in the {place}") == 7 for place in places)


def test_a_page_on_its_side_is_read():
    paper = Paper()
    paper.canvas.rotate(90)
    paper.prose(100, -200, METHOD, width=480)
    assert METHOD.strip() in read(paper.save()).text
