from __future__ import annotations

import pytest

from qa_core.dataset.checks.language import check

ENGLISH = (
    "The KV cache of a model with LoRA adapters of rank 8 is divided into blocks. A block holds 16 tokens by default, "
    "and the block table maps the logical blocks of a sequence to physical ones."
)
GERMAN = (
    "Der KV-Cache wird in Blöcke fester Größe aufgeteilt. Ein Block enthält standardmäßig 16 Token, und die Tabelle "
    "ordnet den logischen Blöcken einer Sequenz die physischen zu."
)
TABLE = "| 64 | 100 kB | 0.634 |\n| 64 | 1 GB | 40.00 |"

FOREIGN = [
    ("Was passiert, wenn der Leader ausfällt?", "Die Follower wählen einen neuen Leader."),
    ("Quelle est la latence du modèle ?", "La latence passe à 250 ms."),
    ("¿Qué rango usa el modelo?", "El modelo usa LoRA con rank 8."),
    ("Что такое BM25?", "BM25 — это функция ранжирования."),
    ("什么是 BM25？", "BM25 是一种排序函数。"),
    ("BM25 とは何ですか？", "1つのブロックに16トークンです。"),
    ("What is the KV cache divided into?", "Der KV-Cache wird in Blöcke fester Größe aufgeteilt."),
    ("Which adapter does the model use?", "Das Modell verwendet LoRA mit rank 8."),
    ("How large is a block?", "默认为十六个 token。"),
]


@pytest.mark.parametrize(("question", "answer"), FOREIGN)
def test_a_pair_or_an_answer_in_another_language_is_refused(question: str, answer: str) -> None:
    found = check(question, answer, [ENGLISH])
    assert found is not None
    assert (found.stage, found.reason) == ("schema", "other_language")
    assert found.detail.endswith("instead of en")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is Multi-Paxos?", "Multi-Paxos elects a leader once."),
        ("Which optimizers are compared?", "Adam, AdamW, Muon, SGD and Lion."),
        ("Who wrote it?", "Dettmers, Aghajanyan, Westergaard, Minarro-Giménez."),
        ("What is called on a timeout?", "`RAY_LOG(FATAL)` terminates the leader."),
        ("How is the score computed?", r"$\mathrm{RRF}(d) = \sum_i 1/(k + r_i(d))$"),
        ("How many tokens does a block hold?", "16 tokens"),
    ],
)
def test_names_code_formulas_and_numbers_in_english_are_english(question: str, answer: str) -> None:
    assert (
        check(question, answer, [f"{ENGLISH} It goes back to Dettmers, Aghajanyan, Westergaard, Minarro-Giménez."])
        is None
    )


def test_a_reply_follows_the_language_of_its_source() -> None:
    question, answer = "Wie viele Token enthält ein Block?", "Ein Block enthält standardmäßig 16 Token."
    assert check(question, answer, [GERMAN]) is None
    assert check("How many tokens does a block hold by default?", "A block holds 16 tokens.", [GERMAN]) is not None
    assert check(question, answer, [ENGLISH, GERMAN]) is None


def test_a_table_of_numbers_has_no_language_to_follow() -> None:
    assert check("Wie lange dauert es?", "Es dauert bei dieser Größe am längsten.", [TABLE]) is None
