"""From an adapter to a GGUF file: merge it into the unquantised base weights, then write them in llama.cpp's format.

Both steps map the weights and hold one tensor at a time, so a model much larger than memory passes through.
"""

from __future__ import annotations

import json
import shutil
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import gguf
import numpy as np
import numpy.typing as npt

from qa_core.errors import UserError
from qa_core.quantization.architectures import Architecture
from qa_core.quantization.description import Description
from qa_core.quantization.lora import merged_contents, read_updates
from qa_core.quantization.number_formats import Q8_0_BLOCK, decode, encode, one_thread, require_finite
from qa_core.quantization.safetensors_files import StoredTensor, read_tensors, write_file
from qa_core.quantization.vocabulary import add_vocabulary

OutType = Literal["f32", "f16", "bf16", "q8_0"]

_DESCRIPTION_FILES = ("*.json", "*.jinja", "*.txt")
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")
_FILE_TYPES = {
    "f32": gguf.LlamaFileType.ALL_F32,
    "f16": gguf.LlamaFileType.MOSTLY_F16,
    "bf16": gguf.LlamaFileType.MOSTLY_BF16,
    "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
}
_BLOCK_WEIGHTS = 1 << 18
"""Weights converted at once: 1 MiB of float32, which stays in the processor's cache."""


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
        with one_thread():
            write_file(out / file.name, inside, merged_contents(inside, updates))


def write_gguf(
    model: Path, out: Path, outtype: OutType = "f16", description: Description | None = None, n_threads: int = 2
) -> None:
    """Convert the Hugging Face folder ``model``; matrices as ``outtype``, vectors as float32.

    Raises :class:`UserError` for an architecture or a tokenizer that is not known to come out the same, for weights
    that are no finite numbers, and for shapes that config.json does not ask for.
    """
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    architecture = Architecture.of(config)
    tensors = read_tensors(model)
    names = architecture.gguf_names(list(tensors))
    _check_shapes(names, tensors, architecture)
    writer = gguf.GGUFWriter(out, gguf.MODEL_ARCH_NAMES[architecture.arch])
    (description or Description()).add_to(writer, sum(tensors[source].num_weights for source in names))
    architecture.add_hyperparameters(writer)
    writer.add_file_type(_FILE_TYPES[outtype])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    add_vocabulary(writer, model, config["vocab_size"])
    types = {source: _target_type(tensors[source], outtype) for source in names}
    for source, target in names.items():
        tensor, kind = tensors[source], gguf.GGMLQuantizationType[types[source]]
        block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
        nbytes = tensor.num_weights // block * block_bytes
        writer.add_tensor_info(target, tensor.shape, np.dtype(np.float32), nbytes, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    with one_thread(), ThreadPoolExecutor(n_threads) as pool:
        for source in names:
            writer.write_tensor_data(_encoded(source, tensors[source], types[source], architecture, pool))
    writer.close()


def _copy_descriptions(base: Path, adapter: Path, out: Path) -> None:
    """Configuration of the base, with the tokenizer and chat template that the adapter was trained with."""
    for pattern in _DESCRIPTION_FILES:
        for file in sorted(base.glob(pattern)):
            shutil.copyfile(file, out / file.name)
    for name in _TOKENIZER_FILES:
        if (adapter / name).is_file():
            shutil.copyfile(adapter / name, out / name)


def _check_shapes(names: Mapping[str, str], tensors: Mapping[str, StoredTensor], architecture: Architecture) -> None:
    """Every tensor that config.json asks for is there in its shape, the embedding in the size of the vocabulary."""
    wanted = {name: shape[::-1] for name, shape in architecture.dimensions.shapes()}
    if missing := sorted(wanted.keys() - names.values()):
        raise UserError(f"the model has no tensor {missing[0]}", "Fetch or make the model again.")
    for source, target in names.items():
        if tensors[source].shape != wanted.get(target):
            raise UserError(
                f"{source} has the shape {tensors[source].shape}, config.json asks for {wanted.get(target)}",
                "Use the config.json that was saved with these weights.",
            )


def _target_type(tensor: StoredTensor, outtype: OutType) -> str:
    """Vectors stay float32; a matrix whose rows are no whole blocks of Q8_0 becomes float16."""
    if len(tensor.shape) == 1:
        return "F32"
    return "F16" if outtype == "q8_0" and tensor.shape[-1] % Q8_0_BLOCK else outtype.upper()


def _encoded(
    name: str, tensor: StoredTensor, dtype: str, architecture: Architecture, pool: Executor
) -> npt.NDArray[Any]:
    """``tensor`` as ``dtype`` with its rows in llama.cpp's order, in blocks of rows: a large one needs its result."""
    raw, rows = tensor.raw(), tensor.shape[0]
    if tensor.dtype == dtype:
        require_finite(raw, dtype, name)
        values = raw.view(np.float32 if dtype == "F32" else np.uint16).reshape(tensor.shape)
        return np.ascontiguousarray(architecture.arrange(name, values))
    row_bytes, step = len(raw) // rows, max(1, _BLOCK_WEIGHTS * rows // tensor.num_weights)

    def block(start: int) -> npt.NDArray[Any]:
        values = decode(raw[start * row_bytes : (start + step) * row_bytes], tensor.dtype)
        return encode(values.reshape(-1, *tensor.shape[1:]), dtype, name)

    first = block(0)
    result = np.empty((rows, *first.shape[1:]), first.dtype)
    result[: len(first)] = first

    def put(start: int) -> None:
        result[start : start + step] = block(start)

    deque(pool.map(put, range(step, rows, step)), maxlen=0)  # what failed in a thread is raised here
    return np.ascontiguousarray(architecture.arrange(name, result))
