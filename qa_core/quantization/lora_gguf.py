"""A LoRA adapter alone as a GGUF file, which llama.cpp adds to a base GGUF when it runs.

One base file then serves several adapters; what is served by default is the merged model.
"""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np

from qa_core.quantization.architectures import Architecture
from qa_core.quantization.description import Description
from qa_core.quantization.lora import read_updates
from qa_core.quantization.number_formats import require_finite


def write_lora_gguf(base: Path, adapter: Path, out: Path, description: Description) -> None:
    """Write the PEFT folder ``adapter`` for a GGUF of the Hugging Face folder ``base``; matrices stay float32.

    llama.cpp scales each product by ``adapter.lora.alpha`` over its rank. Where one alpha does not fit all of them
    (ranks of different size, scaled by their roots), B carries the rest.
    """
    architecture = Architecture.of(json.loads((base / "config.json").read_text(encoding="utf-8")))
    updates = read_updates(adapter)
    alphas = {source: update.scale * update.a.shape[0] for source, update in updates.items()}
    alpha = max(alphas.values())
    writer = gguf.GGUFWriter(out, gguf.MODEL_ARCH_NAMES[architecture.arch])
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
    writer.add_name(description.name)
    for source, target in architecture.gguf_names(list(updates)).items():
        a, b = updates[source].a, updates[source].b
        for part in (a, b):
            require_finite(part.raw(), part.dtype, f"{source} of the adapter")
        writer.add_tensor(f"{target}.lora_a", a.float32())
        rest = b.float32() * np.float32(alphas[source] / alpha)
        writer.add_tensor(f"{target}.lora_b", np.ascontiguousarray(architecture.arrange(source, rest)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
