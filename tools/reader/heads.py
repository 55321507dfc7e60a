"""What the heads of one attention layer can be made to do, by their weights and biases, before any training."""

from __future__ import annotations

import torch

_FAST = 10
"""Pairs of dimensions that the rotary embedding turns by most within a few tokens."""
_FAR, _RIDGE = 200, 0.3
"""Tokens up to which nearness is told apart, and how much large biases are avoided for it."""
_POSITION, _SLOPE, _GATE, _AWAY = 7.0, 0.1, 5.0, 1.8
"""Of biases. At 7 the right distance weighs e^3 to e^5 times its neighbours; the slope is in nats a token."""


class Heads:
    """The heads of one layer, and what they can be made to do."""

    def __init__(self, attention: torch.nn.Module, theta: float) -> None:
        self._attention, self._theta = attention, theta
        self.size = attention.head_dim
        self.pairs = self.size // 2
        self.count = attention.q_proj.out_features // self.size

    def look_back(self, head: int, distance: int) -> None:
        """Biases whose rotated product is largest ``distance`` places back, whatever the tokens are."""
        angles = distance * self._speeds().float()
        self._bias("q", head).copy_(_POSITION * torch.cat([torch.ones(self.pairs), torch.zeros(self.pairs)]))
        self._bias("k", head).copy_(_POSITION * torch.cat([angles.cos(), angles.sin()]))

    def look_away(self, head: int) -> None:
        """Biases that keep a token from finding itself: fast pairs of opposite sign."""
        self._bias("q", head)[:_FAST] = _AWAY
        self._bias("k", head)[:_FAST] = -_AWAY

    def prefer_near(self, head: int) -> None:
        """Scores that fall by ``_SLOPE`` with each token of distance, up to ``_FAR``.

        A rotated pair of constant parts contributes a cosine of the distance: a straight line is fitted with those.
        """
        distance = torch.arange(_FAR, dtype=torch.float64)
        cosines = torch.cos(torch.outer(distance, self._speeds()[:-1]))
        columns = torch.cat([cosines, torch.ones(_FAR, 1)], dim=1)
        gram = columns.T @ columns + _RIDGE * torch.eye(self.pairs)
        shares = torch.linalg.solve(gram, columns.T @ (-_SLOPE * distance))[:-1].float()
        size = (self.size**0.5 * shares.abs()).sqrt()
        self._bias("q", head)[: len(size)] = size
        self._bias("k", head)[: len(size)] = shares.sign() * size

    def gate(self, head: int, direction: torch.Tensor, pair: int = -1) -> None:
        """Look only at places whose vector has a part in ``direction``, float[hidden]; -1 is the slowest pair."""
        pair %= self.pairs
        self._bias("q", head)[pair] = _GATE
        self._rows("k", head)[pair] += _GATE * direction

    def match(self, head: int, query: torch.Tensor, key: torch.Tensor) -> None:
        """Attend to where ``key`` of the other vector equals ``query`` of the own; float[n, hidden] each.

        They go into the slow pairs, which hardly turn within a prompt: what is matched there is found anywhere.
        """
        half = len(query) // 2
        for name, rows in (("q", query), ("k", key)):
            placed = self._rows(name, head)
            placed[self.pairs - half : self.pairs] += rows[:half]
            placed[self.size - half :] += rows[half:]

    def move(self, head: int, source: torch.Tensor, target: torch.Tensor, gain: float) -> None:
        """What is read at the attended place in ``source`` is added in ``target``; float[n, hidden] each."""
        # Half of the gain on each side: steps of one size then change both alike.
        self._rows("v", head)[: len(source)] = gain**0.5 * source
        self._attention.o_proj.weight[:, self._part(head)][:, : len(target)] = gain**0.5 * target.T

    def _speeds(self) -> torch.Tensor:
        """float64[pairs]: radians by which each pair turns with a token."""
        return self._theta ** (-torch.arange(self.pairs, dtype=torch.float64) / self.pairs)

    def _rows(self, name: str, head: int) -> torch.Tensor:
        return getattr(self._attention, f"{name}_proj").weight[self._part(head)]

    def _bias(self, name: str, head: int) -> torch.Tensor:
        return getattr(self._attention, f"{name}_proj").bias[self._part(head)]

    def _part(self, head: int) -> slice:
        return slice(head * self.size, (head + 1) * self.size)
