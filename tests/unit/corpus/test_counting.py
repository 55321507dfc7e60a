from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from qa_core.corpus.counting import TokenCounter

PAPERS = Path(__file__).parents[3] / "examples" / "papers"


@pytest.fixture(scope="module")
def qwen_like(tiny_model: Path) -> Path:
    """A tokenizer with Qwen2's pre-tokeniser, normaliser and special tokens."""
    return tiny_model / "tokenizer.json"


def reference(tokenizer_file: Path, text: str) -> int:
    return len(Tokenizer.from_file(str(tokenizer_file)).encode(text, add_special_tokens=False))


def test_the_fast_library_is_used_where_its_ids_are_equal(qwen_like: Path):
    assert TokenCounter(qwen_like).is_fast


def test_counts_are_those_of_the_models_own_tokenizer_on_whole_papers(qwen_like: Path):
    counter, texts = TokenCounter(qwen_like), [path.read_text() for path in sorted(PAPERS.glob("*.md"))]
    assert counter.counts(texts) == [reference(qwen_like, text) for text in texts] == list(map(counter.count, texts))


def test_every_character_counts_as_in_the_models_own_tokenizer(qwen_like: Path):
    characters = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) not in ("Cs", "Cn", "Co")]
    texts = [f"a{character}b {character}1\n{character}" for character in characters]
    slow = Tokenizer.from_file(str(qwen_like))
    expected = [len(encoding) for encoding in slow.encode_batch(texts, add_special_tokens=False)]
    assert TokenCounter(qwen_like).counts(texts) == expected


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=80) | st.text(alphabet=" \n\t\r.'sSlL|#<>|im_start1é́漢", max_size=60))
def test_any_text_counts_as_in_the_models_own_tokenizer(qwen_like: Path, text: str):
    assert TokenCounter(qwen_like).count(text) == reference(qwen_like, text)


def test_a_tokenizer_that_the_fast_library_cannot_read_is_counted_by_its_own(tokenizer_file: Path, tmp_path: Path):
    from tokenizers import models, normalizers, pre_tokenizers

    words = {word: number for number, word in enumerate(["[UNK]", "a", "paper", "##s", "about"])}
    tokenizer = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    counter = TokenCounter(tmp_path / "tokenizer.json")
    assert not counter.is_fast
    assert counter.count("A papers about") == 4
    assert counter.counts(["A papers", "", "about"]) == [3, 0, 1]


def test_truncation_and_padding_in_the_file_do_not_change_a_count(qwen_like: Path, tmp_path: Path):
    tokenizer = Tokenizer.from_file(str(qwen_like))
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=64)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    text = "Consistent hashing moves few keys when a node joins."
    assert TokenCounter(tmp_path / "tokenizer.json").count(text) == reference(qwen_like, text) > 4
