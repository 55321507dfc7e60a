"""The vocabulary of Qwen2.5 as a ``tokenizer.json``, without a model hub.

The package ``dashscope`` (Apache-2.0) carries Qwen's byte sequences and their ranks. A rank is also the order in which
the merges were learned, so the merges follow from the ranks: the last two parts that a token is joined from.
"""

from __future__ import annotations

import base64
import importlib.util
from itertools import pairwise
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from qa_core.errors import UserError
from qa_core.training.tokenizer import QWEN2_PATTERN, SPECIAL_TOKENS

_MISSING = "Run: pip install --no-deps dashscope (only its file of tokens is read), or give --tokenizer FILE."


def save_qwen_tokenizer(folder: Path) -> Path:
    """Write ``tokenizer.json`` into ``folder``; takes a few seconds."""
    ranks = _read_ranks(_ranks_file())
    tokenizer = Tokenizer(models.BPE(vocab=_vocabulary(ranks), merges=_merges(ranks)))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    path = folder / "tokenizer.json"
    tokenizer.save(str(path))
    return path


def _ranks_file() -> Path:
    """Found without importing the package, whose dependencies need not be installed."""
    spec = importlib.util.find_spec("dashscope")
    for folder in (spec and spec.submodule_search_locations) or []:
        path = Path(folder) / "resources" / "qwen.tiktoken"
        if path.is_file():
            return path
    raise UserError("dashscope, which carries the vocabulary of Qwen2.5, is not installed", _MISSING)


def _read_ranks(path: Path) -> dict[bytes, int]:
    pairs = (line.split() for line in path.read_bytes().splitlines() if line)
    return {base64.b64decode(token): int(rank) for token, rank in pairs}


def _vocabulary(ranks: dict[bytes, int]) -> dict[str, int]:
    return {_as_text(token): rank for token, rank in ranks.items()}


def _merges(ranks: dict[bytes, int]) -> list[tuple[str, str]]:
    merges = []
    for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
        if len(token) > 1:
            left, right = _last_two_parts(token, rank, ranks)
            merges.append((_as_text(left), _as_text(right)))
    return merges


def _last_two_parts(token: bytes, rank: int, ranks: dict[bytes, int]) -> list[bytes]:
    """What is left of ``token`` after all merges that were learned before it."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        joined = [ranks.get(left + right, rank) for left, right in pairwise(parts)]
        at = joined.index(min(joined))
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


def _byte_signs() -> dict[int, str]:
    """GPT-2's printable stand-in for each byte: itself where it is printable, else a sign from 256 on."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}


_SIGNS = _byte_signs()


def _as_text(token: bytes) -> str:
    return "".join(_SIGNS[byte] for byte in token)
