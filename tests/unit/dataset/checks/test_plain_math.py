from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_core.dataset.checks.plain_math import flatten


@pytest.mark.parametrize(
    ("text", "flat"),
    [
        (r"$\alpha = 10^{-4}$", "α = 1e-4"),
        ("α = 10⁻⁴", "α = 1e-4"),
        (r"$3 \times 10^{5}$ keys", "3e5 keys"),
        (r"$65{,}537$ or 65\,537", "65,537 or 65,537"),
        (r"$k_1$, $k_{1}$ and k₁", "k_1 , k_1 and k_1"),
        (r"50\% in $40\,\mu s$", "50% in 40 μs"),
        (r"$\mathrm{RRF}(d)$ by \varepsilon or \Delta", "RRF (d) by ε or Δ"),
        ("**Raft** with `max_tokens` and Q4_K_M", "Raft with max_tokens and Q4_K_M"),
        ("2*3 tokens", "2 3 tokens"),
        ("a  b\n c", "a b c"),
    ],
)
def test_a_formula_reads_like_the_same_thing_in_plain_characters(text: str, flat: str) -> None:
    assert flatten(text) == flat


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.text(max_size=40) | st.text(alphabet="\\{}$_^10aα, ", max_size=40))
def test_any_text_can_be_made_flat(text: str) -> None:
    assert flatten(text) == " ".join(flatten(text).split())
