"""From an adapter to a GGUF file: merge it into the unquantised base weights, then write them in llama.cpp's format.

Both steps map the weights and hold one tensor at a time, so a model much larger than memory passes through.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any, Literal

import gguf
import numpy as np
import numpy.typing as npt

from qa_core.errors import UserError
from qa_core.quantization.architectures import Architecture
from qa_core.quantization.lora import merged_contents, read_updates
from qa_core.quantization.number_formats import encode
from qa_core.quantization.safetensors_files import StoredTensor, read_tensors, write_file
from qa_core.quantization.vocabulary import add_vocabulary

OutType = Literal["f32", "f16", "bf16"]

_DESCRIPTION_FILES = ("*.json", "*.jinja", "*.txt")
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")
_FILE_TYPES = {
    "f32": gguf.LlamaFileType.ALL_F32,
    "f16": gguf.LlamaFileType.MOSTLY_F16,
    "bf16": gguf.LlamaFileType.MOSTLY_BF16,
}
_BLOCK_WEIGHTS = 1 << 22
"""Weights converted at once: 16 MiB of float32."""


def merge_adapter(base: str, adapter: Path, out: Path) -> None:
    """Write the model in folder ``base`` with the LoRA ``adapter`` merged in; the types of the base weights are kept.

    Merging into 4-bit weights would round them a second time, so ``base`` must be unquantised.
    """
    updates = read_updates(adapter)
    tensors = read_tensors(Path(base))
    for name, update in updates.items():
        shape = (update.b.shape[0], update.a.shape[1])
        if name not in tensors or tensors[name].shape != shape:
            raise UserError(
                f"the adapter changes {name} {shape}, which {base} does not have", "Use the base that was fine-tuned."
            )
    out.mkdir(parents=True, exist_ok=True)
    _copy_descriptions(Path(base), adapter, out)
    for file in sorted({tensor.file for tensor in tensors.values()}):
        inside = {name: tensor for name, tensor in tensors.items() if tensor.file == file}
        write_file(out / file.name, inside, merged_contents(inside, updates))


def write_gguf(model: Path, out: Path, outtype: OutType = "f16", name: str = "Lectern") -> None:
    """Convert the Hugging Face folder ``model``; matrices as ``outtype``, vectors as float32.

    ``name`` is what the file says about itself. Raises :class:`UserError` for an architecture or a tokenizer that is
    not known to come out the same.
    """
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    architecture = Architecture.of(config)
    tensors = read_tensors(model)
    names = architecture.gguf_names(list(tensors))
    writer = gguf.GGUFWriter(out, gguf.MODEL_ARCH_NAMES[architecture.arch])
    writer.add_type("model")
    writer.add_name(name)
    writer.add_size_label(size_label(sum(tensors[source].num_weights for source in names)))
    architecture.add_hyperparameters(writer)
    writer.add_file_type(_FILE_TYPES[outtype])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    add_vocabulary(writer, model, config["vocab_size"])
    types = {source: "F32" if len(tensors[source].shape) == 1 else outtype.upper() for source in names}
    for source, target in names.items():
        kind = gguf.GGMLQuantizationType[types[source]]
        nbytes = tensors[source].num_weights * (4 if types[source] == "F32" else 2)
        writer.add_tensor_info(target, tensors[source].shape, np.dtype(np.float32), nbytes, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for source in names:
        values = _encoded(source, tensors[source], types[source])
        writer.write_tensor_data(np.ascontiguousarray(architecture.arrange(source, values)))
    writer.close()


def size_label(num_weights: int) -> str:
    """``3.1B`` for 3,085,938,688."""
    return gguf.size_label(num_weights, num_weights, 0, 0)


def gguf_name(base_model: str, run_name: str, num_weights: int, quantization: str) -> str:
    """``Qwen2.5-3.1B-Instruct-Papers-v1.0-Q4_K_M.gguf``: base, size, fine-tune, version and encoding.

    Convention: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#gguf-naming-convention
    """
    name = base_model.rstrip("/").rsplit("/", 1)[-1]
    base, _, variant = re.sub(r"-\d+(\.\d+)?[KMBT](?=-|$)", "\n", name, count=1).partition("\n")
    finetune = re.sub(r"[^A-Za-z0-9]+", "-", f"{variant}-{run_name[:1].upper()}{run_name[1:]}").strip("-")
    return gguf.naming_convention(None, base, finetune, "v1.0", size_label(num_weights), quantization) + ".gguf"


def _copy_descriptions(base: Path, adapter: Path, out: Path) -> None:
    """Configuration of the base, with the tokenizer and chat template that the adapter was trained with."""
    for pattern in _DESCRIPTION_FILES:
        for file in sorted(base.glob(pattern)):
            shutil.copyfile(file, out / file.name)
    for name in _TOKENIZER_FILES:
        if (adapter / name).is_file():
            shutil.copyfile(adapter / name, out / name)


def _encoded(name: str, tensor: StoredTensor, dtype: str) -> npt.NDArray[Any]:
    """``tensor`` as ``dtype``, in blocks, so that a large embedding needs little more than its result."""
    if tensor.dtype == dtype:
        return tensor.raw().view(np.float32 if dtype == "F32" else np.uint16).reshape(tensor.shape)
    parts = [encode(block, dtype, name) for block in tensor.float32_blocks(_BLOCK_WEIGHTS)]
    return np.concatenate(parts).reshape(tensor.shape)
