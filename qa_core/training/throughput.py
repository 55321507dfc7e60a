"""How fast and how large training is: what trackers show beside the losses."""

from __future__ import annotations

import resource
from dataclasses import dataclass

import torch

_PEAK_FLOPS = {"A100": 312e12, "H100": 989e12, "H200": 989e12, "L40S": 362e12, "L4": 121e12}
"""Dense 16-bit matrix products a second, from the vendor's data sheets, by a part of the device's name."""

FLOPS_PER_WEIGHT = 6.0
"""For each token: two forward, four backward, as MFU is usually counted, though frozen weights need fewer."""


@dataclass
class Throughput:
    """Tokens and seconds since the figures were last asked for."""

    num_weights: int
    num_workers: int
    device: torch.device
    _tokens: int = 0
    _seconds: float = 0.0

    def add(self, tokens: int, seconds: float) -> None:
        """Count a micro-batch of this worker."""
        self._tokens += tokens
        self._seconds += seconds

    def figures(self) -> dict[str, float]:
        """``tokens_per_second`` over all workers, ``peak_memory_gib`` of this one, and ``mfu`` where the peak is known.

        MFU is the share of the device's peak that six operations for each weight and token come to.
        """
        speed = self._tokens / self._seconds * self.num_workers if self._seconds else 0.0
        self._tokens, self._seconds = 0, 0.0
        figures = {"tokens_per_second": speed, "peak_memory_gib": peak_memory(self.device) / 2**30}
        peak = peak_flops(torch.cuda.get_device_name(self.device)) if self.device.type == "cuda" else None
        if peak is not None:
            figures["mfu"] = FLOPS_PER_WEIGHT * self.num_weights * speed / (peak * self.num_workers)
        return figures


def peak_flops(device_name: str) -> float | None:
    """Matrix products a second of a GPU that is known by name."""
    words = device_name.replace("-", " ").split()
    return next((peak for name, peak in _PEAK_FLOPS.items() if name in words), None)


def peak_memory(device: torch.device) -> int:
    """Bytes: the most that tensors took on a GPU, or that this process took on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
