from __future__ import annotations

from qa_core.corpus.dedup import content_hash, find_duplicates


def test_spacing_line_breaks_and_composed_letters_do_not_make_a_text_another():
    assert content_hash("Ein  Café\n\nda ") == content_hash("Ein Cafe\u0301 da")


def test_any_other_letter_makes_a_text_another():
    assert content_hash("a b") != content_hash("A b")
    assert content_hash("a b") != content_hash("ab")


def test_the_later_path_is_the_duplicate_whatever_the_order_of_arrival():
    hashes = [("c.md", "x"), ("b.md", "y"), ("a.md", "x"), ("d.md", "x")]
    assert find_duplicates(hashes) == {"c.md": "a.md", "d.md": "a.md"}
    assert find_duplicates(reversed(hashes)) == find_duplicates(hashes)


def test_texts_that_differ_have_no_duplicates():
    assert find_duplicates([("a.md", "x"), ("b.md", "y")]) == {}
