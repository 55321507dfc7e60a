from __future__ import annotations

from qa_core.terms import NUMBER_WORDS, content_stems, is_technical, normalise, technical_terms, token_matches, tokenize


def test_numbers_words_and_latex_commands_are_tokens() -> None:
    text = r"It moved 1,024 keys (0.95 of them) at $\alpha=1e-4$ with Q4_K_M and read-only k-quants."
    assert tokenize(text) == [
        "It", "moved", "1,024", "keys", "0.95", "of", "them", "at", r"\alpha", "1e-4", "with", "Q4_K_M", "and",
        "read-only", "k-quants",
    ]  # fmt: skip


def test_technical_is_what_ordinary_prose_does_not_have() -> None:
    assert all(map(is_technical, ["GPU", "AllReduce", "H100", "1,000", "p99", r"\log", "max_tokens", "7"]))
    assert not any(map(is_technical, ["The", "leader", "read-only", "a", "I"]))


def test_one_number_has_one_spelling() -> None:
    assert normalise("1,000") == normalise("1000") == normalise("1000.0")
    assert normalise("2.50") == "2.5"
    assert normalise("GPU") == "gpu"


def test_technical_terms_are_distinct_and_normalised() -> None:
    assert technical_terms("The GPU, the gpu and GPU 2.0 of 2") == {"gpu", "2"}


def test_a_token_has_a_place() -> None:
    text = "The H100, 1,024 of them"
    assert [(match[0], match.start()) for match in token_matches(text)] == [
        ("The", 0), ("H100", 4), ("1,024", 10), ("of", 16), ("them", 19),
    ]  # fmt: skip


def test_prose_counts_to_twelve_in_words() -> None:
    assert [NUMBER_WORDS[word] for word in ("zero", "two", "twice", "twelve")] == [0, 2, 2, 12]
    assert "thirteen" not in NUMBER_WORDS


def test_content_words_meet_whatever_their_endings() -> None:
    assert content_stems("How are the policies of hashing named?") == content_stems("A policy that hashes")
    assert content_stems("What is it and how many of them are there?") == frozenset()
