"""LaTeX sources become markdown that keeps their words, formulas, tables and places."""

import re
import time

import pytest

from qa_core.corpus.documents import DocumentRejected, Rendered
from qa_core.corpus.readers.latex import read
from tests.unit.corpus.timing import assert_linear

PAPER = r"""% !TEX program = pdflatex
\documentclass[10pt,twocolumn]{article}
\usepackage{amsmath,booktabs,multirow,listings}
\newcommand{\method}{\textsc{FlashTree}\xspace}
\newcommand{\R}{\mathbb{R}}
\newcommand*{\eg}{e.g.,\ }
\newcommand{\be}{\begin{equation}}
\newcommand{\ee}{\end{equation}}
\DeclareMathOperator{\softmax}{softmax}
\newtheorem{thm}{Theorem}
\title{\method: Exact Tree Attention\\ with Tiling\thanks{Code at \url{https://example.org/ft}.}}
\author{
  Ada M. Lovelace\thanks{Equal contribution.} \\ University of London \\ \texttt{ada@example.org}
  \And Jos\'e Garc\'{\i}a-M\"uller \\ ETH Z\"urich
  \and Erd\H{o}s P\'al$^{2}$
}
\date{March 14, 2023}
\begin{document}
\maketitle
\begin{abstract}
\method{} needs $O(n \log n)$ memory % not n^2
and is $3.2\times$ faster at 95\% occupancy.
\end{abstract}
\section{Introduction}\label{sec:intro}
Transformers~\cite{vaswani2017,dao2022} are limited.  Prior work
\citep[see][Sec.~2]{kitaev2020} trades exactness---\eg by hashing.
In \S\ref{sec:method} ``exact'' is \emph{linear}.\footnote{In words of \textbf{fast} memory.}
% \section{Fake}

\noindent\textbf{Contributions.} We
\begin{itemize}[leftmargin=*]
  \item prove a bound of $\Omega(n^2)$;
  \item give a kernel that
    \begin{enumerate}
      \item tiles queries, and
      \item recomputes;
    \end{enumerate}
\end{itemize}
\section{Method}
\label{sec:method}
Let $Q \in \R^{n \times d}$. The output is
\be\label{eq:attn}
  O = \softmax\left(QK^\top\right) V, % stable
\ee
where, on $[0,1)$,
\begin{align*}
  m_i &= \max(S_i), \\
  \ell_i &= 1.
\end{align*}
\begin{thm}[Memory]
\method uses \[ a^2 \] memory.
\end{thm}
\begin{figure*}[t]
  \includegraphics[width=\linewidth]{figs/overview.pdf}
  \caption[Short]{Overview of \method in $O(B^2)$.}\label{fig:overview}
\end{figure*}
\begin{table}[t]
\caption{Throughput.}
\begin{tabular}{l@{\hskip 4pt}cc|r}
\toprule
\multirow{2}{*}{Model} & \multicolumn{2}{c}{GPU} & Params \\
\cmidrule(lr){2-3}
 & A100 & H100 & (M) \\ \midrule
Baseline \cite{vaswani2017} & 1{,}024 & 2{,}048 & 125 \\
% hidden & row \\
A \& B & $x^{|y|}$ & -- & 7\% \\[2pt]
\bottomrule
\end{tabular}
\end{table}
\begin{lstlisting}[language=Python,caption={The kernel.}]
def f(q):  # 100% exact
    return q  \section{not a section}
\end{lstlisting}
\paragraph{Setup.} All runs use \verb|torch==2.1|; cost was \$12. See \href{https://example.org}{our page}.
\begin{quote}
Premature optimisation.
\end{quote}
\section*{Thanks}
We thank \AA ngstr\"om and Stra\ss e.
\begin{thebibliography}{99}
\bibitem{vaswani2017} A. Vaswani. \newblock Attention. \newblock In \emph{NeurIPS}, 2017.
\bibitem[Dao et~al.(2022)]{dao2022}
T.~Dao and C.~R\'e.
\end{thebibliography}
\end{document}
This is never shown.
"""


def render(source: str) -> Rendered:
    return read(source.encode())


def blocks(rendered: Rendered) -> list[str]:
    starts, ends = rendered.source_map.text_starts, rendered.source_map.text_ends
    return [rendered.text[start:end] for start, end in zip(starts, ends, strict=True)]


def sources(rendered: Rendered, source: str) -> list[str]:
    starts, ends = rendered.source_map.source_starts, rendered.source_map.source_ends
    return [source[start:end] for start, end in zip(starts, ends, strict=True)]


def test_a_paper_keeps_its_structure_in_reading_order() -> None:
    assert blocks(render(PAPER)) == [
        "# FlashTree: Exact Tree Attention with Tiling",
        "Ada M. Lovelace[^2] University of London ada@example.org ; José García-Müller ETH Zürich ; Erdős Pál$^{2}$",
        "[^1]: Code at https://example.org/ft.",
        "[^2]: Equal contribution.",
        "March 14, 2023",
        "## Abstract",
        r"FlashTree needs $O(n \log n)$ memory and is $3.2\times$ faster at 95% occupancy.",
        "## Introduction",
        "Transformers [vaswani2017, dao2022] are limited. Prior work [see kitaev2020, Sec. 2] trades exactness—e.g., "
        r"by hashing. In §\ref{sec:method} “exact” is linear.[^3]",
        "[^3]: In words of fast memory.",
        "Contributions. We",
        "- prove a bound of $\\Omega(n^2)$;\n- give a kernel that\n   1. tiles queries, and\n   2. recomputes;",
        "## Method",
        r"Let $Q \in \mathbb{R}^{n \times d}$. The output is",
        "$$\n\\label{eq:attn}\n  O = \\operatorname{softmax}\\left(QK^\\top\\right) V,\n$$",
        "where, on $[0,1)$,",
        "$$\n\\begin{align*}\n  m_i &= \\max(S_i), \\\\\n  \\ell_i &= 1.\n\\end{align*}\n$$",
        "Theorem (Memory). FlashTree uses",
        "$$\n a^2\n$$",
        "memory.",
        "Figure: Overview of FlashTree in $O(B^2)$.",
        "Table: Throughput.",
        "| Model | GPU | GPU | Params |\n|---|---|---|---|\n| Model | A100 | H100 | (M) |\n"
        "| Baseline [vaswani2017] | 1,024 | 2,048 | 125 |\n| A & B | $x^{\\|y\\|}$ | – | 7% |",
        "Listing: The kernel.",
        "```python\ndef f(q):  # 100% exact\n    return q  \\section{not a section}\n```",
        "##### Setup.",
        "All runs use `torch==2.1`; cost was $12. See our page.",
        "> Premature optimisation.",
        "## Thanks",
        "We thank Ångström and Straße.",
        "## References",
        "[vaswani2017] A. Vaswani. Attention. In NeurIPS, 2017.",
        "[dao2022] T. Dao and C. Ré.",
    ]


def test_title_authors_and_year_come_from_the_preamble() -> None:
    rendered = render(PAPER)
    assert rendered.title == "FlashTree: Exact Tree Attention with Tiling"
    assert rendered.authors == ("Ada M. Lovelace", "José García-Müller", "Erdős Pál")
    assert rendered.year == 2023


def test_the_source_of_every_block_holds_its_words() -> None:
    rendered = render(PAPER)
    stated = {"Abstract", "References", "Figure", "Table", "Theorem", "Listing", "FlashTree", "mathbb", "operatorname"}
    for block, source in zip(blocks(rendered), sources(rendered, PAPER), strict=True):
        words = set(re.findall(r"[A-Za-z]{3,}", block)) - stated
        assert {word for word in words if word not in source and word != "python"} == set(), block


def test_no_word_of_the_body_is_lost() -> None:
    body = PAPER[PAPER.index(r"\begin{abstract}") : PAPER.index(r"\end{document}")]
    for dropped in (r"(?<!\\)%.*", r"\\(?:label|begin|end|href)\{[^}]*\}", r"\\includegraphics.*", r"\\[A-Za-z]+"):
        body = re.sub(dropped, " ", body)
    lost = set(re.findall(r"[^\W\d_]\w{3,}", body)) - set(re.findall(r"\w{4,}", render(PAPER).text))
    options = {"leftmargin", "Short", "language", "Python", "caption"}
    halves_of_accented_words = {"Stra", "ngstr"}
    assert lost <= options | halves_of_accented_words


def test_spans_begin_and_end_with_the_words() -> None:
    source = "\\section{One}\nFirst 𝑥 words.\n\nSecond \\emph{words} % gone\n$$\n x\n$$\n"
    assert sources(render(source), source) == ["\\section{One}", "First 𝑥 words.", "Second \\emph{words", "$$\n x\n$$"]


def test_a_part_of_a_paper_needs_no_document_environment() -> None:
    assert render("\\chapter{Gates}\nText.\n").text == "# Gates\n\nText.\n"


def test_only_the_document_environment_is_read() -> None:
    assert render("preamble\n\\begin{document}body\\end{document}tail").text == "body\n"


def test_an_abstract_before_the_body_is_kept() -> None:
    assert (
        render("\\abstract{Short.}\n\\begin{document}Body.\\end{document}").text == "## Abstract\n\nShort.\n\nBody.\n"
    )


def test_authors_of_a_line_are_told_from_their_addresses() -> None:
    source = "\\author{Ann Lee$^1$, Bo Xu\\textsuperscript{2} and Cy Oz \\\\ $^1$MIT}\\begin{document}x\\end{document}"
    assert render(source).authors == ("Ann Lee", "Bo Xu", "Cy Oz")


def test_conference_styles_state_authors_one_by_one() -> None:
    source = "\\twocolumn[\\icmltitle{Deep}\\icmlauthor{Ann Lee}{mit}\\icmlauthor{Wei Xu}{mit}]\\section{A} b"
    rendered = render(source)
    assert (rendered.title, rendered.authors) == ("Deep", ("Ann Lee", "Wei Xu"))


def test_code_and_formulas_within_a_list_interrupt_it() -> None:
    source = "\\begin{enumerate}\\item One\n\\begin{verbatim}\na  %\n\\end{verbatim}\n\\item Two\\[x\\]\\end{enumerate}"
    assert blocks(render(source)) == ["1. One", "```\na  %\n```", "2. Two", "$$\nx\n$$"]


def test_described_items_keep_their_terms() -> None:
    assert render("\\begin{description}\\item[Fast] It is.\\end{description}").text == "- Fast: It is.\n"


def test_nested_tables_and_captions_of_long_tables() -> None:
    source = (
        "\\begin{longtable}{ll}\\caption{Long.}\\\\\\hline a & b\\\\\\endhead "
        "1 & \\begin{tabular}{c}two\\\\lines\\end{tabular}\\\\\\end{longtable}"
    )
    assert blocks(render(source)) == ["Table: Long.", "| a | b |\n|---|---|\n| 1 | two lines |"]


def test_captions_with_their_own_number_stay_as_they_are() -> None:
    assert render("\\begin{figure}\\caption{Figure 3: Loss.}\\end{figure}").text == "Figure 3: Loss.\n"


def test_options_that_are_printed_are_kept() -> None:
    assert render("\\subfloat[Left half.]{\\includegraphics{a}} \\includegraphics[width=3cm]{b}").text == "Left half.\n"


def test_algorithms_become_lists_of_their_lines() -> None:
    source = "\\begin{algorithmic}\\Require $n$\\State $x$\\For{$i$}\\State $y$\\EndFor\\end{algorithmic}"
    assert render(source).text == "- Require $n$\n- $x$\n- For $i$\n- $y$\n"


def test_drawings_and_spacing_are_left_out() -> None:
    assert render("a\\vskip 0.3in plus 1pt b\\hspace{2em}\\begin{tikzpicture}\\draw;\\end{tikzpicture}").text == "a b\n"


def test_arguments_of_unknown_commands_stay_apart() -> None:
    assert render("\\person[x]{Ann Lee}{MIT} and \\mbox{one}word").text == "Ann Lee MIT and oneword\n"


def test_unclosed_marks_are_text() -> None:
    assert render("costs $5 {and\n\nmore \\emph{here").text == "costs $5 and\n\nmore here\n"


def test_definitions_within_the_body_print_nothing() -> None:
    assert render("\\def\\x#1{y}\\newcommand\\z[2][d]{w}\\let\\a=\\b\nshown").text == "shown\n"


def test_a_source_that_prints_nothing_is_damaged() -> None:
    with pytest.raises(DocumentRejected, match="no text") as rejected:
        render("\\usepackage{x}\\newcommand{\\a}{b}")
    assert rejected.value.reason == "damaged"


def test_captions_nested_without_end_are_damaged() -> None:
    with pytest.raises(DocumentRejected, match="nested") as rejected:
        render("\\caption{x" * 5_000 + "}" * 5_000)
    assert rejected.value.reason == "damaged"


def test_shorthands_cannot_multiply_the_text_without_bound() -> None:
    source = "\\newcommand{\\a}{" + "y" * 190 + "}$" + "\\a " * 50_000 + "$"
    assert len(render(source).text) < 6 * len(source)


HOSTILE = {
    "open braces": "{",
    "open brackets": "[x",
    "nested groups": "\\textbf{x",
    "environments": "\\begin{a}x\\end{b}",
    "closers": "[}\\end{a}",
    "dollars": "$x[ ",
    "math openers": "\\(\\[",
    "optional arguments": "\\cite[",
    "items": "\\item[",
    "lists": "\\begin{itemize}\\item x",
    "notes": "\\footnote{x",
    "tables": "\\begin{tabular}{c}x&",
    "spans": "\\multirow{999}{*}{x}&\\multicolumn{999}{c}{y}\\\\",
    "verbatim": "\\verb|\\begin{verbatim}",
    "listings": "\\begin{lstlisting}[[",
    "comments": "\\foo%\n",
    "accents": "\\'",
    "definitions": "\\newcommand{\\a}{\\a\\a}",
    "backslashes": "\\",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE.keys())
def test_time_is_linear_in_hostile_sources(piece: str) -> None:
    assert_linear(lambda count: render("start\n\\begin{tabular}{c}" + piece * count), 500)


def test_deep_but_closed_nesting_takes_linear_time() -> None:
    start = time.process_time()
    render("\\footnote{x" * 50_000 + "}" * 50_000)
    render("{" * 100_000 + "x" + "}" * 100_000)
    assert time.process_time() - start < 10
