"""How many tokens a model's own tokenizer makes of a text.

fastokens gives the ids of Hugging Face's tokenizers some twenty times faster, but reads byte-level BPE only and is
young. So its ids are compared on hard strings whenever a tokenizer is loaded, and one that differs or cannot be read is
left to the slower library. `tests/unit/corpus/test_counting.py` compares them on whole papers and on every character.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import fastokens
import numpy as np
from tokenizers import Tokenizer

_PROBES = (
    "Retrieval-augmented generation (RAG) isn't new; it's 1,024x cheaper: O(n log n).",
    "\n \n  x\n\n\t\ty \r\n  \r\nend  ", ".\n\n).\n\n  - **a**\n", "    return self._x[i+1] != 0x1F  # ok\n",
    "$$\\frac{\\partial L}{\\partial \\theta} \\leq 10^{-3}$$", "| a | b |\n|---|---|\n", "don'T WE'LL you'Re 'S",
    "naïve Müller e\u0301 ﬁ İ ſ ß ²Ⅷ٣", "東京大学で、量子化。🙂👩\u200d🔬", "\u00a0\u3000\u2028\x85\x1c\x00\x7f\ufeff",
    "가각ᄀ\u1161 हिन्दी עברית العربية", "<|endoftext|><|im_start|>user\n<|im_end|>", "https://arxiv.org/abs/2305.14314v1",
)  # fmt: skip


class TokenCounter:
    """Counts without the special tokens that a model may put around a text."""

    def __init__(self, tokenizer_file: Path) -> None:
        tokenizer = Tokenizer.from_file(str(tokenizer_file))
        # A pretrained tokenizer.json may carry these; a count must see every token and nothing else.
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer: Tokenizer | fastokens.Tokenizer = _equal_but_faster(tokenizer) or tokenizer

    @property
    def is_fast(self) -> bool:
        return isinstance(self._tokenizer, fastokens.Tokenizer)

    def count(self, text: str) -> int:
        """Tokens of ``text`` by itself."""
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text by itself."""
        if isinstance(self._tokenizer, fastokens.Tokenizer):
            _, borders = self._tokenizer.encode_batch_flat(list(texts), add_special_tokens=False)
            counts: list[int] = np.diff(np.frombuffer(borders, np.uint64).astype(np.int64)).tolist()
            return counts
        return [len(encoding) for encoding in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def _equal_but_faster(tokenizer: Tokenizer) -> fastokens.Tokenizer | None:
    """The same tokenizer by fastokens, or None when it cannot be read or its ids differ on the probes."""
    try:
        fast = fastokens.Tokenizer.from_json_str(tokenizer.to_str())
    except ValueError:  # a kind of model, normaliser or pre-tokeniser that it does not know
        return None
    equal = all(
        fast.encode(probe, add_special_tokens=False).ids == tokenizer.encode(probe, add_special_tokens=False).ids
        for probe in _PROBES
    )
    return fast if equal else None
