"""The importance matrix: how strongly each input channel of each matrix is used on text like the one to be served.

For every linear layer, the sum of x^2 of each input channel over all tokens. The quantiser weighs rounding errors with
the mean, because the error of a product grows with the square of its input (llama.cpp, tools/imatrix).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import gguf
import numpy as np
import numpy.typing as npt

from qa_core.errors import UserError
from qa_core.generation.gguf_header import read_header

_SUMS, _COUNTS = ".in_sum2", ".counts"
_DATASET = "imatrix.datasets"
_NUM_ROWS = "imatrix.chunk_count"
_LENGTH = "imatrix.chunk_size"


@dataclass(frozen=True)
class ImportanceMatrix:
    """Sums and counts by GGUF tensor name."""

    sums: dict[str, npt.NDArray[np.float64]]
    """Sum of x^2 [input channels]."""
    counts: dict[str, int]
    """Tokens summed over."""
    num_rows: int
    """Calibration sequences."""
    length: int
    """Tokens of the longest sequence."""

    @property
    def means(self) -> dict[str, npt.NDArray[np.float32]]:
        return {name: (total / self.counts[name]).astype(np.float32) for name, total in self.sums.items()}

    def save(self, path: Path, dataset: str = "train") -> None:
        """Write llama.cpp's GGUF format, which its own llama-quantize and llama-imatrix read."""
        writer = gguf.GGUFWriter(path, arch="")  # a matrix has no architecture, and an empty text is left out
        writer.add_type("imatrix")
        writer.add_array(_DATASET, [dataset])
        writer.add_uint32(_NUM_ROWS, self.num_rows)
        writer.add_uint32(_LENGTH, self.length)
        for name in sorted(self.sums):
            writer.add_tensor(name + _SUMS, self.sums[name].astype(np.float32).reshape(1, -1))
            writer.add_tensor(name + _COUNTS, np.array([[self.counts[name]]], np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote; the sums come back rounded to float32.

        Raises :class:`UserError` for a file that is damaged or no importance matrix.
        """
        header = read_header(path)
        names = [name.removesuffix(_SUMS) for name in header.tensors if name.endswith(_SUMS)]
        missing = [key for key in (_NUM_ROWS, _LENGTH) if not isinstance(header.metadata.get(key), int)]
        missing += [name for name in names if f"{name}{_COUNTS}" not in header.tensors]
        if missing or not names or any(tensor.type.name != "F32" for tensor in header.tensors.values()):
            raise UserError(
                f"{path} is no importance matrix: {missing[0] if missing else 'its sums'} cannot be found",
                "Delete it and run the convert stage again.",
            )
        tensors = {
            tensor.name: np.array(tensor.data, np.float64).reshape(-1) for tensor in gguf.GGUFReader(path).tensors
        }
        return cls(
            {name: tensors[name + _SUMS] for name in names},
            {name: int(tensors[name + _COUNTS][0]) for name in names},
            header.metadata[_NUM_ROWS],
            header.metadata[_LENGTH],
        )
