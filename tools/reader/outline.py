"""Weights that already outline how a passage is read, laid into the first five layers of a model before training.

Copying out of a prompt takes two layers (a head that brings each token the one before it, and a head that looks for the
token just said and takes what followed; Olsson et al., "In-context Learning and Induction Heads", 2022, arXiv
2209.11895); finding the sentence that a question is about takes four. Training has to come upon all of them. Weights
that begin near such a solution save that time (mimetic initialisation: Trockman and Kolter, 2023, arXiv 2305.09828).
Training is free to change every one of them, and does.

The hidden vector of 256 begins divided: 125 dimensions name the token and three mark what kind it is, 44 each name the
token before and the one before that, one says whether a sentence began near (seven beside it stay free), and 32 which
sentence it stands in or has found. Tokens of one word, ``The``, `` The`` and ``the``, begin alike but for the marks of
the space and of the capital: an answer begins with ``The`` where the passage has `` The``, and that can be learned for
all words at once.

======  ==================================================================================
layer   what its heads begin with
======  ==================================================================================
0       the token before, the token before that, and whether a sentence ended three back
1       the beginning of the own sentence; the same word
2       the same word, and which sentence it stands in; what followed the token just said
3       what the words of the question have found
4       the first and the second token of the sentence that was found
======  ==================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import Qwen2ForCausalLM

from tools.reader.heads import Heads

_TOKEN, _CODE, _EDGE = 128, 44, 8
"""Dimensions of the hidden vector for the token, for each token before it, and for the edge of a sentence."""
_NAME_STD, _OWN_SHARE, _NOISE_STD = 0.08, 0.25, 0.02
"""Of the embeddings: the part that names a token, what of its variance is not the word's, and all of the rest."""
_END_MARK, _SPACE_MARK, _CAPITAL_MARK = 1.0, 0.4, 0.4
"""What the ends of sentences, tokens after a space and capitalised tokens share."""
_SENTENCE_ENDS = (".", "!", "?", ".)", ").")
_QUIET = 0.1
"""Of everything else that adds to the hidden vector, so that it does not drown what is laid in."""
_BEFORE, _SENTENCE, _SAY = 0.06, 0.1, 0.5
"""What is added to the hidden vector: a token before, the own sentence, a token to say."""
_FOLLOWED, _SAME_WORD, _OWN_WORD, _SAME_SENTENCE = 4.0, 1.0, 2.0, 3.0
"""How sharply a head tells what it looks for from everything else."""


def lay_in(model: Qwen2ForCausalLM, texts: Sequence[str]) -> None:
    """Lay the outline into a model of hidden size 256 with heads of 64 and at least five layers.

    Args:
        texts: of every token.
    """
    with torch.no_grad():
        _Outline(model).lay_in(texts)


class _Outline:
    def __init__(self, model: Qwen2ForCausalLM) -> None:
        self._embedding = model.model.embed_tokens.weight
        self._layers = [
            Heads(layer.self_attn, model.config.rope_parameters["rope_theta"]) for layer in model.model.layers
        ]
        for layer in model.model.layers:
            layer.mlp.down_proj.weight.mul_(_QUIET)
            layer.self_attn.o_proj.weight.mul_(_QUIET)
        hidden = model.config.hidden_size
        basis = torch.linalg.qr(torch.randn(hidden, hidden))[0].T
        self._known = basis[: _TOKEN + 2 * _CODE]
        token, *self._before, edge, self._sentence = basis.split(
            [_TOKEN, _CODE, _CODE, _EDGE, hidden - _TOKEN - 2 * _CODE - _EDGE]
        )
        self._edge = edge[0]
        self._marks, self._names = token[:3], token[3:]
        self._code = _project(self._names, _CODE)

    def lay_in(self, texts: Sequence[str]) -> None:
        self._name_tokens(texts)
        self._look_at_tokens_before()
        self._find_own_sentence()
        self._find_words()
        self._gather()
        self._say_beginning()

    def _name_tokens(self, texts: Sequence[str]) -> None:
        words = _words(texts)
        shared, own = (torch.randn(len(texts), len(self._names)) for _ in range(2))
        names = (1 - _OWN_SHARE) ** 0.5 * shared[words] + _OWN_SHARE**0.5 * own
        embedding = self._embedding.normal_(0.0, _NOISE_STD)
        embedding.sub_(embedding @ self._marks.T @ self._marks)
        embedding.add_(_NAME_STD * names @ self._names)
        embedding.add_(_marks(texts) @ self._marks)

    def _look_at_tokens_before(self) -> None:
        first = self._layers[0]
        for head, place in enumerate(self._before):
            first.look_back(head, head + 1)
            first.move(head, self._code, place, _BEFORE)
        first.look_back(2, 3)
        first.move(2, self._marks[:1], self._edge[None], 3 * _BEFORE)

    def _find_own_sentence(self) -> None:
        second = self._layers[1]
        second.prefer_near(0)
        second.gate(0, self._edge)
        # A fingerprint of the third token of the sentence and of the two before it.
        second.move(0, _project(self._known, len(self._sentence)), self._sentence, _SENTENCE)
        for head in range(2, second.count):
            second.match(head, *[_SAME_WORD * _project(self._names, second.pairs)] * 2)

    def _find_words(self) -> None:
        third = self._layers[2]
        third.match(0, *[_OWN_WORD * _project(self._names, third.pairs)] * 2)
        third.look_away(0)
        third.move(0, self._sentence, self._sentence, 3 * _SENTENCE)
        for head in range(1, third.count):
            third.match(head, *self._what_followed(head, third.pairs))
            identity = _project(self._names, third.size)
            third.move(head, identity, identity, _SAY)

    def _what_followed(self, head: int, pairs: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Queries and keys, float[pairs, hidden]: the token just said and the one before a place; for all heads but
        the first also those before them."""
        last, last_but_one = self._before
        if head == 1:
            return _FOLLOWED * self._code[:pairs], _FOLLOWED * last[:pairs]
        half = slice(0, pairs // 2) if head == 2 else slice(pairs // 2, pairs)
        query, key = (self._code[half], last[half]), (last[half], last_but_one[half])
        return _FOLLOWED * torch.cat(query), _FOLLOWED * torch.cat(key)

    def _gather(self) -> None:
        self._layers[3].move(0, self._sentence, self._sentence, 6 * _SENTENCE)

    def _say_beginning(self) -> None:
        fifth = self._layers[4]
        for head, place in enumerate(reversed(self._before)):
            fifth.match(head, *[_SAME_SENTENCE * self._sentence] * 2)
            fifth.gate(head, self._edge, fifth.pairs // 2 - 1)
            fifth.move(head, place, self._code, _SAY)


def _project(part: torch.Tensor, rows: int) -> torch.Tensor:
    """float[rows, hidden]: orthonormal, out of the space of ``part``, at random."""
    return torch.linalg.qr(torch.randn(len(part), rows))[0].T @ part


def _words(texts: Sequence[str]) -> torch.Tensor:
    """int64[tokens]: the first token of the same word, whatever its case and the space before it."""
    first: dict[str, int] = {}
    return torch.tensor([first.setdefault(_word(text) or f"token {token}", token) for token, text in enumerate(texts)])


def _word(text: str) -> str:
    """Empty for white space and for a piece of a character."""
    return "" if "\ufffd" in text else text.strip().lower()


def _marks(texts: Sequence[str]) -> torch.Tensor:
    """float[tokens, 3]"""
    rows = [
        (
            _END_MARK * ("\n" in text or text.strip() in _SENTENCE_ENDS),
            _SPACE_MARK * text.startswith(" "),
            _CAPITAL_MARK * text.strip()[:1].isupper(),
        )
        for text in texts
    ]
    return torch.tensor(rows, dtype=torch.float32)
