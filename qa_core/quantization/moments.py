"""What the inputs of each linear layer look like on text like the one to be served: sums of x x^T over all tokens.

The diagonal is llama.cpp's importance matrix. The whole of it tells which rounding errors cancel each other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

from qa_core.quantization.architectures import Architecture
from qa_core.quantization.imatrix import ImportanceMatrix
from qa_core.quantization.reference import load_model

_OUTPUT = "output.weight"
_COUNTS = ("num_tokens", "num_rows", "length")


@dataclass(frozen=True)
class InputMoments:
    """Sums by GGUF tensor name. Float64 holds the sum of many float32 numbers exactly, so merging has no order; what is
    read back from a file is float32."""

    sums: dict[str, npt.NDArray[np.floating]]
    """Sum of x x^T [inputs, inputs], or of x^2 [inputs] where there are too many. Layers with the same input, such as
    those of query, key and value, share one."""
    num_tokens: int
    """Tokens summed over."""
    num_rows: int
    """Calibration sequences."""
    length: int
    """Tokens of the longest sequence."""

    @property
    def importance(self) -> ImportanceMatrix:
        squares = {
            name: (np.diagonal(total) if total.ndim == 2 else total).astype(np.float64)
            for name, total in self.sums.items()
        }
        counts = dict.fromkeys(squares, self.num_tokens)
        return ImportanceMatrix(squares, counts, self.num_rows, self.length)

    def merge(self, other: Self) -> Self:
        """The moments over the rows of both."""
        added: dict[int, npt.NDArray[np.floating]] = {}  # shared sums stay shared
        for name, total in self.sums.items():
            if id(total) not in added:
                added[id(total)] = total + other.sums[name]
        return type(self)(
            {name: added[id(total)] for name, total in self.sums.items()},
            self.num_tokens + other.num_tokens,
            self.num_rows + other.num_rows,
            max(self.length, other.length),
        )

    def save(self, path: Path) -> None:
        """As safetensors in float32, each shared sum once."""
        owners: dict[int, str] = {}
        for name, total in self.sums.items():
            owners.setdefault(id(total), name)
        shared = {name: owners[id(total)] for name, total in self.sums.items()}
        facts = {"shared": json.dumps(shared), **{name: str(getattr(self, name)) for name in _COUNTS}}
        save_file({name: self.sums[name].astype(np.float32) for name in owners.values()}, path, facts)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote."""
        with safe_open(path, "numpy") as file:
            facts = file.metadata()
            owned = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        sums = {name: owned[owner] for name, owner in json.loads(facts["shared"]).items()}
        return cls(sums, *(int(facts[name]) for name in _COUNTS))


def collect(
    model: Path,
    token_rows: Sequence[Sequence[int]],
    n_threads: int = 1,
    full_up_to: int = 0,
) -> InputMoments:
    """Run the Hugging Face folder ``model`` over ``token_rows`` and sum the products of its linear layers' inputs.

    A row is one forward pass, so no padding is ever counted. An output matrix tied to the embedding is left out: it
    gained nothing from the importance matrix.

    Args:
        full_up_to: layers with more input channels than this get the diagonal alone, and so does an output matrix,
            which always has six bits or more.
    """
    network = load_model(model, n_threads)
    adder = _Adder(full_up_to)
    handles = [module.register_forward_pre_hook(adder.hook(name)) for name, module in _linears(model, network)]
    with torch.inference_mode():
        for row in token_rows:
            network(torch.tensor([list(row)], device=network.device), use_cache=False)
            adder.forget()
    for handle in handles:
        handle.remove()
    return InputMoments(adder.sums, sum(map(len, token_rows)), len(token_rows), max(map(len, token_rows)))


def _linears(model: Path, network: Any) -> list[tuple[str, torch.nn.Linear]]:
    """The linear layers that have a matrix of their own in the GGUF file, with its name."""
    architecture = Architecture.of(json.loads((model / "config.json").read_text(encoding="utf-8")))
    modules = {f"{name}.weight": part for name, part in network.named_modules() if isinstance(part, torch.nn.Linear)}
    names = architecture.gguf_names(list(modules))
    return [(target, modules[source]) for source, target in names.items()]


class _Adder:
    """Sums what passes through the layers; an input that the next layer gets as well is added once."""

    def __init__(self, full_up_to: int) -> None:
        self.sums: dict[str, npt.NDArray[np.floating]] = {}
        self._full_up_to = full_up_to
        self._input: torch.Tensor | None = None
        self._owner = ""
        """Of ``_input``: the first layer that got it."""

    def hook(self, name: str) -> Callable[[torch.nn.Module, tuple[Any, ...]], None]:
        def add(_: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
            if inputs[0] is not self._input:
                self._input, self._owner = inputs[0], name
                self._add(name, inputs[0].detach().float().flatten(0, -2))
            self.sums[name] = self.sums[self._owner]

        return add

    def forget(self) -> None:
        """The last input, which would otherwise be held until the next row."""
        self._input = None

    def _add(self, name: str, x: torch.Tensor) -> None:
        is_full = x.shape[1] <= self._full_up_to and name != _OUTPUT
        products = x.T @ x if is_full else x.square().sum(0)
        total = products.double().cpu().numpy()
        if name in self.sums:
            self.sums[name] += total
        else:
            self.sums[name] = total
