from __future__ import annotations

import pytest

from qa_core.dataset.checks.evidence import Evidence
from qa_core.dataset.checks.grounding import check
from tests.unit.dataset.checks.making import source


def problem(answer: str, evidence: str, question: str = "How is it done?", **changes: object) -> tuple[str, str] | None:
    """Reason and detail, where the passage is the evidence alone unless ``text`` says otherwise."""
    answerable = bool(changes.pop("answerable", True))
    passage = source(str(changes.pop("text", evidence)), **changes)
    span = Evidence("c1", evidence, 100, 100 + len(evidence))
    found = check(question, answer, [span], [passage], answerable=answerable)
    assert found is None or found.stage == "grounding"
    return (found.reason, found.detail) if found else None


@pytest.mark.parametrize(
    ("answer", "evidence"),
    [
        ("It has 65537 entries.", "The table has 65,537 entries."),
        ("The factor is 2.5.", "The factor is 2.50 here."),
        ("It takes 250 milliseconds.", "A latency of 250 ms"),
        ("It is 50% of them, or 50 percent.", "50 % of the requests"),
        ("It needs 3 nodes and two replicas.", "three nodes"),
        ("It needs three nodes.", "3 nodes"),
        ("It has 7 billion parameters.", "A 7B model"),
        ("It holds 1.5 million rows.", "1,500,000 rows in all"),
        ("It is 2 times, or 2x, as fast.", "It is twice as fast."),
        ("A 4-bit block holds 32 weights.", "Each block of 32 weights has 4 bits each."),
        ("It takes 16 s.", "16 seconds pass"),
        ("It moves 50 GB/s.", "50 GB per second"),
        (r"The rate $\alpha$ is $10^{-4}$.", "α = 1e-4"),
        ("(1) It stores them, (2) it loads them.", "It stores and loads them."),
    ],
)
def test_one_quantity_may_be_written_in_two_ways(answer: str, evidence: str) -> None:
    assert problem(answer, evidence) is None


@pytest.mark.parametrize(
    ("answer", "evidence", "reason", "detail"),
    [
        ("It holds 32 tokens.", "It holds 16 tokens.", "number_not_in_evidence", "32"),
        ("It holds 16,000 tokens.", "It holds 16 tokens.", "number_not_in_evidence", "16,000"),
        ("It is .05 of it.", "It is 0.5 of it.", "number_not_in_evidence", ".05"),
        ("It has five stages.", "It has four stages.", "number_not_in_evidence", "five"),
        ("It needs 100 nodes.", "It ran on H100 nodes.", "number_not_in_evidence", "100"),
        ("There are $10^5$ keys.", "There are $10^4$ keys.", "number_not_in_evidence", "1e5"),
        ("It takes 250 s.", "It takes 250 ms, not 3 seconds.", "unit_not_in_evidence", "250 s"),
        ("It is 40% faster.", "It is 40 times faster.", "unit_not_in_evidence", "40%"),
        ("It costs 3 MB.", "It costs 3 messages.", "unit_not_in_evidence", "3 MB"),
        (r"It is $\beta$.", r"It is $\alpha$.", "symbol_not_in_evidence", "β"),
        ("It grows with M.", "It grows with the value of N.", "symbol_not_in_evidence", "M"),
        ("It depends on k_2.", "It depends on $k_1$.", "symbol_not_in_evidence", "k_2"),
        ("It uses BERT.", "It uses a model.", "name_not_in_evidence", "BERT"),
        ("Consensus is like Paxos.", "Consensus is hard.", "name_not_in_evidence", "Paxos"),
        ("An H100 is faster.", "An A100 is faster.", "name_not_in_evidence", "H100"),
        ("It calls `get_keys`.", "It calls get_values.", "name_not_in_evidence", "get_keys"),
    ],
)
def test_what_the_evidence_does_not_have_is_told_by_name(answer: str, evidence: str, reason: str, detail: str) -> None:
    assert problem(answer, evidence) == (reason, detail)


@pytest.mark.parametrize(
    ("answer", "evidence"),
    [
        ("The GPUs run FlashAttention.", "A GPU runs Flash Attention."),
        ("In all-reduce, k-quants help.", "AllReduce works, and K quants help."),
        ("It is GPU-based, and so is Raft's log.", "The GPU is used, in Raft the log too."),
        ("It sets max-tokens.", "It sets `max_tokens`."),
        ("The scores Q and K are multiplied.", "The softmax of $QK^T$"),
        ("The parameters are k1 and b.", r"$k_1 = 1.2$ and $b = 0.75$"),
        ("The vector x is read.", "It reads $x_{i}$."),
        ("A tree, e.g. a heap, is I/O bound.", "A tree like a heap waits for I/O."),
    ],
)
def test_one_name_may_be_spelt_in_two_ways(answer: str, evidence: str) -> None:
    assert problem(answer, evidence) is None


def test_a_name_may_come_from_the_question_and_from_titles_but_a_number_may_not() -> None:
    assert problem("According to Paged Caches: vLLM pages.", "It pages.", question="Does vLLM page?") is None
    assert problem("It is 16.", "It pages.", question="Is it 16?") == ("number_not_in_evidence", "16")
    assert problem("It is 16.", "It pages.", title="All 16 of them") == ("number_not_in_evidence", "16")


def test_an_answer_that_tells_what_is_missing_may_repeat_what_was_asked() -> None:
    question, answer = "What is the recall at 100 ms?", "The recall at 100 ms is not stated."
    assert problem(answer, "Recall was measured.", question, answerable=False) is None
    assert problem("The recall at 200 ms is not stated.", "Recall was measured.", question, answerable=False)


def test_a_row_of_a_table_takes_its_units_from_the_header() -> None:
    row = "| 64 | 100 kB | 0.634 |"
    answer = "Over 64 ranks, 100 kB take 0.634 ms."
    assert problem(answer, row, text=f"| Ranks | Size | Ring, ms |\n|---|---|---|\n{row}", kind="table") is None
    assert problem(answer, row, text=row, kind="table", prefix="Rings\n| Ranks | Size | Ring (ms) |") is None
    assert problem(answer, row, text=row, kind="table") == ("unit_not_in_evidence", "0.634 ms")


def test_a_language_in_which_every_noun_has_a_capital_names_nothing_by_it() -> None:
    text = (
        "Jeder Block im Speicher des Geräts hält viele Zeichen der Folge, und die Tabelle nennt die Nummer des Blocks."
    )
    assert problem("Ein Block hält Zeichen einer Sequenz.", text) is None
    assert problem("Das macht vLLM.", text) == ("name_not_in_evidence", "vLLM")
