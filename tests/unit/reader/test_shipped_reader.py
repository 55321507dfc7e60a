"""The model that ships with Lectern, at 4 bits as it is served: it finds the sentence and cites it, or abstains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from qa_core.config import GenerationSettings
from qa_core.config_loader import load_config
from qa_core.generation.chat import ABSTENTION, build_messages, cited_numbers, strip_citations
from qa_core.generation.engine import Engine
from qa_core.generation.sampling import SamplingParams
from qa_core.packaged import packaged_folder
from qa_core.quantization.convert import write_gguf
from qa_core.quantization.quantize import quantize
from qa_core.schemas import Passage

TEXTS = {
    "Consensus > Leader election": "A follower that hears nothing for a while starts an election. The leader sends "
    "heartbeats to all followers because a silent leader would lose its office. If two candidates split the vote, both "
    "wait for a random time and try again.",
    "Hashing > The ring": "A consistent hash ring maps keys and servers to points of one circle. When a server joins, "
    "only its neighbour gives keys away. Virtual nodes spread the load because each server then owns many short arcs.",
    "Caches > Eviction": "A cache keeps what was used last and drops the rest. The clock algorithm approximates this "
    "order with one bit for each page. A scan over a large table can push every useful page out of the cache.",
}
QUESTIONS = {
    "Why does the leader send heartbeats to all followers?": ("a silent leader would lose its office", 0),
    "What do virtual nodes spread?": ("Virtual nodes spread the load", 1),
    "What does the clock algorithm approximate?": ("The clock algorithm approximates this order", 2),
    "What happens when a server joins?": ("only its neighbour gives keys away", 1),
    "What can push every useful page out of the cache?": ("A scan over a large table", 2),
    "What happens if two candidates split the vote?": ("both wait for a random time", 0),
}
ORDERS = [(0, 1, 2), (2, 0, 1), (1, 2, 0)]


@pytest.fixture(scope="module")
def folder() -> Path:
    settings = load_config(["tiny"]).base_model
    return packaged_folder(settings.name_or_path, "base_model.name_or_path", "")


@pytest.fixture(scope="module")
def engine(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    f16, q4 = (tmp_path_factory.mktemp("shipped") / name for name in ("f16.gguf", "q4.gguf"))
    write_gguf(folder, f16)
    quantize(f16, q4, "Q4_K_M", None, n_threads=2)
    engine = Engine(q4, GenerationSettings(n_ctx=1024, max_tokens=96, n_seq_max=4))
    yield engine
    engine.close()


def passages(order: Sequence[int]) -> list[Passage]:
    items = [list(TEXTS.items())[place] for place in order]
    return [
        Passage(str(number), "d", "s.md", prefix.split(" > ")[0], (), 0, len(text), 0, 0.0, prefix, text)
        for number, (prefix, text) in enumerate(items)
    ]


def ask(engine: Engine, question: str, order: Sequence[int]) -> str:
    prompt = engine.chat_prompt(build_messages(question, passages(order)))
    (completion,) = engine.generate([prompt], SamplingParams(max_tokens=96, temperature=0.0))
    return completion.text.strip()


def test_from_one_passage_it_repeats_the_right_sentence_and_cites_it(engine: Engine) -> None:
    said = {question: ask(engine, question, [place]) for question, (_, place) in QUESTIONS.items()}
    right = [words in strip_citations(said[question]) for question, (words, _) in QUESTIONS.items()]
    assert sum(right) >= len(right) - 1, said
    answers = [answer for answer in said.values() if answer != ABSTENTION]
    assert all(cited_numbers(answer, 1) == [1] for answer in answers), said


def test_among_three_passages_it_finds_and_cites_the_right_one_more_often_than_not(engine: Engine) -> None:
    """By chance it would be one sentence in nine; how often it really is, `benchmarks.reader` says."""
    asked = [(question, order) for question in QUESTIONS for order in ORDERS]
    said = [ask(engine, question, order) for question, order in asked]
    found = [
        QUESTIONS[question][0] in strip_citations(answer) for (question, _), answer in zip(asked, said, strict=True)
    ]
    cited = [
        cited_numbers(answer, 3) == [order.index(QUESTIONS[question][1]) + 1]
        for (question, order), answer in zip(asked, said, strict=True)
    ]
    assert sum(found) > len(asked) / 2, said
    assert sum(cited) >= len(asked) / 2, said


@pytest.mark.parametrize(
    "question", ["Which enzyme repairs the membrane of a yeast cell?", "Who wrote about the whale?"]
)
def test_it_abstains_where_no_passage_answers(engine: Engine, question: str) -> None:
    assert ask(engine, question, ORDERS[0]) == ABSTENTION


def test_it_is_small_enough_to_ship_and_its_card_says_what_it_is(folder: Path) -> None:
    assert sum(file.stat().st_size for file in folder.iterdir()) < 24e6
    card = (folder / "README.md").read_text()
    assert "license: apache-2.0" in card
    assert "tools.train_reader" in card
