"""Records what llama.cpp's own converter writes for the models of ``golden_models``.

    python -m tests.unit.quantization.record_golden LLAMA_CPP

LLAMA_CPP is a source tree, such as ``vendor/llama.cpp`` in the source distribution of llama-cpp-python. Its converter
is run, not copied: what is kept are names, types, shapes and hashes.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from tests.unit.quantization.golden_models import FAMILIES, make_model

OUTTYPES = ("f16", "bf16", "f32", "q8_0")
GOLDEN = Path(__file__).parent / "golden" / "llama_cpp_converter.json"

# The converter knows a tokenizer by the ids of one test string and refuses every vocabulary that it has not seen.
_RUN = """
import sys
sys.path[:0] = [SOURCE, SOURCE + "/gguf-py"]
from conversion.base import TextModel
TextModel.get_vocab_base_pre = lambda self, tokenizer: PRE
import convert_hf_to_gguf
sys.argv = ["convert_hf_to_gguf.py", "--outtype", OUTTYPE, "--outfile", OUT, MODEL]
convert_hf_to_gguf.main()
"""


def described(file: Path) -> dict[str, Any]:
    """Keys with their values, or a hash of a long list; tensors with type, shape and hash of the bytes."""
    reader = gguf.GGUFReader(file)
    keys = {name: _value(field.contents()) for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    tensors = {
        tensor.name: [
            tensor.tensor_type.name,
            tensor.shape.tolist(),
            hashlib.sha256(np.ascontiguousarray(tensor.data).tobytes()).hexdigest(),
        ]
        for tensor in reader.tensors
    }
    return {"keys": dict(sorted(keys.items())), "tensors": dict(sorted(tensors.items()))}


def _value(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return {"length": len(value), "sha256": hashlib.sha256(json.dumps(value).encode()).hexdigest()}


def main() -> None:
    source = Path(sys.argv[1]).resolve()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for family in FAMILIES:
            model = make_model(family, Path(folder) / f"Golden-{family}")
            for outtype in OUTTYPES:
                out = Path(folder) / "out.gguf"
                values = {
                    "SOURCE": str(source), "OUTTYPE": outtype, "OUT": str(out), "MODEL": str(model),
                    "PRE": "llama-bpe" if family == "llama" else "qwen2",
                }  # fmt: skip
                program = "".join(f"{name} = {value!r}\n" for name, value in values.items()) + _RUN
                subprocess.run([sys.executable, "-c", program], check=True)
                result[f"{family} {outtype}"] = described(out)
    GOLDEN.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
