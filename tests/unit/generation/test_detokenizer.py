from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qa_core.generation.detokenizer import Detokenizer


def test_a_character_over_several_tokens_appears_when_it_is_whole() -> None:
    text = Detokenizer()
    assert [text.push(bytes([byte])) for byte in "é🙂".encode()] == ["", "é", "", "", "", "🙂"]
    assert text.finish() == ""


def test_half_a_character_at_the_end_becomes_a_replacement_character() -> None:
    text = Detokenizer()
    assert text.push("🙂".encode()[:2]) == ""
    assert text.finish() == "\ufffd"


def test_the_start_of_a_stop_string_is_held_until_it_is_certain() -> None:
    text = Detokenizer(stop=("\n\nQ:",))
    assert text.push(b"end.\n") == "end."
    assert text.push(b"\n") == ""
    assert text.push(b"more") == "\n\nmore"
    assert text.push(b"\n\nQ: next") == ""
    assert text.stopped
    assert text.push(b"ignored") == text.finish() == ""


def test_held_text_is_released_at_the_end() -> None:
    text = Detokenizer(stop=("###",))
    assert text.push(b"a##") == "a"
    assert text.finish() == "##"
    assert not text.stopped


def test_the_earliest_of_several_stop_strings_wins() -> None:
    text = Detokenizer(stop=("cd", "b"))
    assert text.push(b"abcd") == "a"


@given(st.text(), st.lists(st.text(min_size=1, max_size=3), max_size=3), st.integers(1, 5))
def test_pieces_never_change_the_text(whole: str, stop: list[str], step: int) -> None:
    whole = whole.encode("utf-8", "replace").decode()
    stop = [item.encode("utf-8", "replace").decode() for item in stop]
    text, data = Detokenizer(tuple(stop)), whole.encode()
    shown = "".join(text.push(data[at : at + step]) for at in range(0, len(data), step)) + text.finish()
    assert whole.startswith(shown)
    assert not any(item in shown for item in stop)
    assert shown == whole or text.stopped
