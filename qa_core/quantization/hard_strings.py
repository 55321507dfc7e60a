"""Text on which two tokenizers that look alike come apart."""

from __future__ import annotations

import random
from collections.abc import Sequence

HARD_STRINGS = (
    " ",
    "   leading and trailing   ",
    "tabs\tand\r\nnewlines\n\n\n after",
    "\u00a0no-break\u2003em space\u3000wide",
    "1234567890 3.14159 1e-9 0x1F 12,345 1/2",
    "I'm you're they've we'll HE'D it's 'quoted' \u2018curly\u2019",
    "def f(x: int) -> str:\n    return f'{x!r}'  # comment\n",
    "for (int i = 0; i < n; ++i) { a[i] += b[i] << 2; }",
    "SELECT * FROM t WHERE a >= 3 AND b LIKE '%x_%';",
    "https://example.org/a_b?c=d&e=%20#frag",
    r"$\frac{\partial L}{\partial \theta} = \sum_{i=1}^{n} \nabla_\theta \log p_\theta(x_i)$",
    r"\begin{equation}\label{eq:1} E = mc^2 \end{equation}",
    "\u2207\u00b7E = \u03c1/\u03b5\u2080, \u2200x \u2208 \u211d: x\u00b2 \u2265 0",
    "| a | b |\n|---|:-:|\n| 1 | 2 |",
    "\u6771\u4eac\u5927\u5b66\u306e\u8ad6\u6587\u3092\u8aad\u3080\u3002\u4e2d\u6587\u53e5\u5b50\uff0c\u5168\u89d2\uff01",
    "\ud55c\uad6d\uc5b4 \u0440\u0443\u0441\u0441\u043a\u0438\u0439 \u0395\u03bb\u03bb\u03b7\u03bd\u03b9\u03ba\u03ac",
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u05e2\u05d1\u05e8\u05d9\u05ea \u0939\u093f\u0928\u094d\u0926\u0940",
    "na\u00efve caf\u00e9 and the same with combining marks: nai\u0308ve cafe\u0301",  # not NFC
    "\u1e69 \u0073\u0323\u0307 \u212b \ufb01",  # one character in three spellings, and compatibility forms
    "\U0001f642\U0001f468\u200d\U0001f469\u200d\U0001f467\U0001f1e9\U0001f1ea\U0001f44d\U0001f3fd",
    "zero\u200bwidth\ufeffmark \u202eright-to-left\u202c",
    "control \x00\x01\x07\x1b[31m\x7f end",
    "\U0010ffff\ue000\ufffd",
    "<|im_start|>user\nhello<|im_end|>\n<|endoftext|>",
    "<|im_start |> <|not_a_token|> </s> [INST]",
    "<sources>\n[1] Title > Section\nText [1][2]\n</sources>",
    "a" * 300,
    "!?.,;:" * 40,
    "aA1_bB2-cC3",
    "\u00bd \u2460 \u2167 \u0663\u0664 \uff11\uff12",
)
"""Spaces, numbers, contractions, code, LaTeX, tables, scripts, emoji, control characters and control tokens."""

_LONGEST = 200


def tokenizer_strings(texts: Sequence[str], special: Sequence[str], count: int, seed: int) -> list[str]:
    """``count`` strings: the hard ones, every ``special`` token, then seeded pieces of ``texts`` that start and end
    anywhere.

    A special token stands alone, between words, and twice in a row. None is left out, even if there are more than
    ``count``.
    """
    draw = random.Random(seed)
    usable = [text for text in texts if text]
    strings = [*HARD_STRINGS, *(form for token in special for form in (token, f"a {token} b", f"{token}{token}\n"))]
    while usable and len(strings) < count:
        text = draw.choice(usable)
        start = draw.randrange(len(text))
        strings.append(text[start : start + draw.randint(1, _LONGEST)])
    return strings
