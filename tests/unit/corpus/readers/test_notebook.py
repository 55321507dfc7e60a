import json

import pytest

from qa_core.corpus.documents import DocumentRejected
from qa_core.corpus.markdown import parse_blocks
from qa_core.corpus.readers.notebook import MAX_OUTPUT_CHARS, read
from tests.unit.corpus.timing import assert_linear


def _notebook(*cells, **metadata):
    return json.dumps({"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}).encode()


def _markdown(source):
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def _code(source, *outputs):
    return {"cell_type": "code", "metadata": {}, "source": source, "outputs": list(outputs), "execution_count": 1}


def _result(**data):
    return {"output_type": "execute_result", "data": {key.replace("_", "/"): value for key, value in data.items()}}


def test_cells_keep_their_order_and_code_gets_the_kernels_language():
    rendered = read(
        _notebook(
            _markdown(["# Retrieval\n", "\n", "Recall is $r = t/n$."]),
            _code("print(1)", {"output_type": "stream", "name": "stdout", "text": ["1\n"]}),
            _markdown("Done."),
            language_info={"name": "python"},
        )
    )
    expected = "# Retrieval\n\nRecall is $r = t/n$.\n\n```python\nprint(1)\n```\n\n```\n1\n```\n\nDone.\n"
    assert rendered.text == expected


def test_every_block_is_mapped_to_its_cell_counted_from_1():
    rendered = read(_notebook(_markdown("First."), _markdown("  "), _code("x", _result(text_plain="42"))))
    places = [
        (rendered.text[a:b], rendered.source_map.locate(a, b))
        for a, b in zip(rendered.source_map.text_starts, rendered.source_map.text_ends, strict=True)
    ]
    assert rendered.source_map.unit == "cell"
    assert places == [("First.", (1, 1)), ("```\nx\n```", (3, 3)), ("```\n42\n```", (3, 3))]


def test_title_authors_and_date_come_from_the_metadata():
    rendered = read(
        _notebook(_markdown("x"), title="On  Cells", authors=[{"name": "Ada Byron"}, "Bo Li"], date="2021-05-01")
    )
    assert (rendered.title, rendered.authors, rendered.year) == ("On Cells", ("Ada Byron", "Bo Li"), 2021)


def test_title_and_author_come_from_a_first_raw_cell_with_front_matter():
    front = {
        "cell_type": "raw",
        "metadata": {},
        "source": "---\ntitle: On Cells\nauthor: Ada Byron\ndate: 2020-02-01\n---",
    }
    rendered = read(_notebook(front, _markdown("Text.")))
    assert (rendered.title, rendered.authors, rendered.year) == ("On Cells", ("Ada Byron",), 2020)
    assert rendered.source_map.source_starts == (1, 2)


def test_front_matter_stays_the_block_that_opens_the_text():
    source = "---\ntitle: On Cells\nabstract: Cells are counted.\n---"
    rendered = read(_notebook({"cell_type": "raw", "source": f"{source}\n\n"}, _markdown("Text.")))
    assert rendered.text == f"{source}\n\nText.\n"
    assert [block.kind for block in parse_blocks(rendered.text)] == ["front_matter", "paragraph"]
    assert rendered.source_map.locate(0, len(source)) == (1, 1)


def test_front_matter_in_a_markdown_cell_counts_and_the_metadata_goes_first():
    front = _markdown("---\ntitle: On Cells\nauthor: Ada Byron\nyear: 2020\n---\n\nText.")
    rendered = read(_notebook(front, title="In the metadata"))
    assert (rendered.title, rendered.authors, rendered.year) == ("In the metadata", ("Ada Byron",), 2020)


def test_a_raw_cell_that_is_more_than_front_matter_stays_whole():
    source = "---\ntitle: T\n---\n\n\\section{One}"
    assert read(_notebook({"cell_type": "raw", "source": source})).text == f"```\n{source}\n```\n"


@pytest.mark.parametrize("yaml", ["a: [", "date: 2020-99-99", "- only\n- a list"])
def test_front_matter_that_states_nothing_stays_text(yaml):
    rendered = read(_notebook({"cell_type": "raw", "source": f"---\n{yaml}\n---"}))
    assert yaml.split("\n")[0] in rendered.text


def test_an_old_notebook_with_worksheets_is_read_as_well():
    old = {
        "nbformat": 3,
        "metadata": {"name": ""},
        "worksheets": [
            {
                "cells": [
                    {"cell_type": "heading", "level": 2, "source": ["Results"]},
                    {
                        "cell_type": "code",
                        "language": "python",
                        "input": ["1 + 1"],
                        "outputs": [{"output_type": "pyout", "text": ["2"], "prompt_number": 1}],
                    },
                ]
            }
        ],
    }
    assert read(json.dumps(old).encode()).text == "## Results\n\n```python\n1 + 1\n```\n\n```\n2\n```\n"


def test_images_and_base64_are_left_out():
    image = {
        "output_type": "display_data",
        "data": {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure size 640x480>"},
    }
    text = read(_notebook(_markdown("See ![plot](data:image/png;base64,iVBORw0KGgo=) here."), _code("f()", image))).text
    assert text == "See ![plot]() here.\n\n```\nf()\n```\n"


def test_a_formula_as_output_stays_a_formula():
    text = read(_notebook(_code("expr", _result(text_latex="$\\displaystyle x^{2}$", text_plain="x**2")))).text
    assert text == "```\nexpr\n```\n\n$\\displaystyle x^{2}$\n"


def test_a_long_output_is_cut_and_says_so():
    log = {"output_type": "stream", "text": "y" * (MAX_OUTPUT_CHARS + 17)}
    text = read(_notebook(_code("run()", log))).text
    assert text.count("y") == MAX_OUTPUT_CHARS
    assert "[17 more characters of output]" in text


def test_an_output_is_what_a_terminal_shows():
    log = {"output_type": "stream", "text": "\x1b[31mred\x1b[0m\n 10%\r 50%\r100%\r\n"}
    error = {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": ["\x1b[0;31m..."]}
    text = read(_notebook(_code("run()", log, error))).text
    assert "```\nred\n100%\n```" in text
    assert text.endswith("```\nValueError: no\n```\n")


def test_a_fence_left_open_ends_with_its_cell():
    text = read(_notebook(_markdown("```python\nx = 1"), _markdown("# Next"))).text
    assert text == "```python\nx = 1\n```\n\n# Next\n"


@pytest.mark.parametrize(
    "closed",
    ["```x = 1``` is inline code.", "<!--\n```\n-->", "$$\n```\n$$", "[^1]: A note.\n\n    ```\n    x\n    ```",
     "```\nx\n```", "~~~\n```\n~~~", "- one\n\n  ```\n  x\n  ```", "<pre>\n```\n</pre>",
     "- A list ends its fence.\n\n  ```\n  x"],
)  # fmt: skip
def test_a_cell_without_an_open_fence_is_left_as_it_is(closed):
    assert read(_notebook(_markdown(closed), _markdown("Prose."))).text == f"{closed}\n\nProse.\n"


@pytest.mark.parametrize(
    ("source", "mark"),
    [
        ("```\nx", "```"), ("    ````\nx", "````"), ("~~~ a`b\n```", "~~~"),
        ("```x``` and\n\n~~~~\nx", "~~~~"), ("# References\n\n```\nx", "```"), ("```\ry", "```"),
        (f"```\nx;base64,{'A' * 300}\ny", "```"),
    ],
)  # fmt: skip
def test_an_open_fence_is_closed_by_its_own_mark(source, mark):
    text = read(_notebook(_markdown(source), _markdown("Prose."))).text
    assert text.endswith(f"\n{mark}\n\nProse.\n")
    *_, last = parse_blocks(text)
    assert text[last.start : last.end] == "Prose."


def test_half_a_surrogate_pair_becomes_a_replacement_character():
    data = b'{"cells": [{"cell_type": "markdown", "source": "a\\ud83d b\\u0000 \\ud83d\\ude00"}], "metadata": {}}'
    text = read(data).text
    title = read(b'{"cells": [{"cell_type": "raw", "source": "x"}], "metadata": {"title": "T\\ud83d"}}').title
    assert title == "T\ufffd"
    assert text == "a\ufffd b\ufffd \U0001f600\n"
    text.encode("utf-8")


@pytest.mark.parametrize(
    ("data", "reason", "words"),
    [
        (b"", "empty", "0 bytes"),
        (b"{", "damaged", "no JSON"),
        (b"[" * 100_000, "damaged", "nested too deeply"),
        (b'{"a":' * 100_000, "damaged", "nested too deeply"),
        (b'{"cells": ' + b"9" * 5000 + b"}", "damaged", "no JSON"),
        (b"[1]", "damaged", "not an object"),
        (b'{"nbformat": 4}', "damaged", "neither"),
        (b'{"cells": {"a": 1}}', "damaged", "neither"),
        (b'{"cells": [1, null, {"cell_type": 5, "source": {}}]}', "whitespace_only", "3 cells"),
    ],
)  # fmt: skip
def test_what_is_no_notebook_is_rejected_with_the_reason(data, reason, words):
    with pytest.raises(DocumentRejected) as rejected:
        read(data)
    assert rejected.value.reason == reason
    assert words in rejected.value.detail


@pytest.mark.parametrize(
    "cells",
    [
        [{"cell_type": "code", "source": None, "outputs": 7}, {"cell_type": "markdown", "source": "ok"}],
        [{"cell_type": "code", "source": ["ok", 3], "outputs": [None, {"output_type": "execute_result", "data": 1}]}],
        [{"cell_type": "heading", "source": "ok", "level": "x"}, {"cell_type": ["markdown"], "source": "ok"}],
        [
            {"cell_type": "code", "source": "ok", "language": "py\n```"},
            {"cell_type": "raw", "metadata": [], "source": 1},
        ],
    ],
)
def test_fields_of_the_wrong_type_do_not_cost_the_text(cells):
    assert "ok" in read(_notebook(*cells, kernelspec=3, authors={"a": 1}, title=[None])).text


@pytest.mark.parametrize(
    "piece", ["```\n", "![a](", "![", "data:image/png;base64,", "\\u001b[", "\\r", "~~~a\\n", "\\ud800"]
)
def test_time_grows_with_the_size(piece):
    def work(count):
        body = piece.replace("\n", "\\n") * count + "end"
        data = f'{{"cells": [{{"cell_type": "markdown", "source": "{body}"}}, '
        data += f'{{"cell_type": "code", "source": "", "outputs": [{{"output_type": "stream", "text": "{body}"}}]}}]}}'
        read(data.encode())

    assert_linear(work, 20_000)
