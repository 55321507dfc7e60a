"""Where the topic changes inside a section, told from sentence embeddings.

The similarity of the text before and after each border is compared with the hills around it (M. Hearst, "TextTiling",
1997, section 4): a border far below both neighbouring hills is a change of topic. Embeddings take the place of word
counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from qa_core.config import SemanticSegmentation
from qa_core.corpus.cutting import Unit


@dataclass(frozen=True)
class TopicSegmenter:
    """Finds the units that begin another topic."""

    embed: Callable[[Sequence[str]], np.ndarray]
    """Texts to unit rows, float32 ``[len(texts), dimension]``."""
    settings: SemanticSegmentation

    def __call__(self, text: str, units: Sequence[Unit]) -> frozenset[int]:
        """Numbers of the units before which a chunk had better end."""
        if len(units) <= 2 * self.settings.window:
            return frozenset()
        vectors = self.embed([text[unit.start : unit.end] for unit in units])
        depths = _depths(border_similarities(vectors, self.settings.window))
        threshold = float(depths.mean() + self.settings.depth * depths.std())
        return frozenset(int(border) + 1 for border in np.flatnonzero((depths > threshold) & _peaks(depths)))


def border_similarities(vectors: np.ndarray, window: int) -> np.ndarray:
    """Cosine similarity of the ``window`` units before and after each of the ``len(vectors) - 1`` borders."""
    similarities = np.empty(len(vectors) - 1, dtype=np.float64)
    for border in range(1, len(vectors)):
        before = vectors[max(0, border - window) : border].sum(axis=0)
        after = vectors[border : border + window].sum(axis=0)
        similarities[border - 1] = before @ after / max(np.linalg.norm(before) * np.linalg.norm(after), 1e-12)
    return similarities


def _depths(similarities: np.ndarray) -> np.ndarray:
    """How far each border lies below the hills on its two sides, summed."""
    return _climb(similarities) + _climb(similarities[::-1])[::-1] - 2 * similarities


def _climb(values: np.ndarray) -> np.ndarray:
    """The height that is reached to the left of each value, going up as long as it rises."""
    heights = values.copy()
    for i in range(1, len(values)):
        if values[i - 1] >= values[i]:
            heights[i] = heights[i - 1]
    return heights


def _peaks(depths: np.ndarray) -> np.ndarray:
    """Borders that are deeper than their neighbours, so that one valley is cut once."""
    padded = np.concatenate([[-np.inf], depths, [-np.inf]])
    return (depths >= padded[:-2]) & (depths > padded[2:])
