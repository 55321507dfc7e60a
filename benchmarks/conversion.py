"""Seconds and memory of converting and quantising, beside the disk's own speed and llama.cpp's own programs."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.qwen_shape import QWEN_3B, make_adapter, make_qwen
from qa_core.config import ConvertSettings
from qa_core.generation.gguf_header import read_header
from qa_core.quantization.gptq import round_again
from qa_core.quantization.imatrix import ImportanceMatrix
from qa_core.quantization.moments import InputMoments, collect
from qa_core.quantization.quantize import quantize
from qa_core.quantization.reference import load_tokenizer

_COPIES = 3
"""Times that a large file is copied and converted, by turns; the disk's speed changes from one minute to the next."""
_CHUNK = 512
"""Tokens that llama-imatrix sees at once unless told otherwise."""


def speed(f16: Path, folder: Path, size: str, threads: int) -> dict[str, Any]:
    """Seconds of our call and of llama.cpp's program on the same file without a matrix, with equal threads."""
    out, program = folder / "speed.gguf", shutil.which("llama-quantize")
    ours = _timed(lambda: quantize(f16, out, "Q4_K_M", None, threads))
    sha = _digest(out)
    if program is None:
        return {f"quantize_s_{size}": rounded(ours), f"time_ratio_{size}": None}
    command = [program, str(f16), str(out), "Q4_K_M", str(threads)]
    theirs = _timed(lambda: subprocess.run(command, check=True, capture_output=True))
    same = sha == _digest(out)
    out.unlink()
    print(f"{size}: quantised in {ours:.2f} s, llama-quantize in {theirs:.2f} s, same bytes: {same}", flush=True)
    return {
        f"quantize_s_{size}": rounded(ours), f"llama_quantize_s_{size}": rounded(theirs),
        f"time_ratio_{size}": rounded(ours / theirs), f"same_bytes_{size}": same,
    }  # fmt: skip


def large(folder: Path, threads: int) -> dict[str, Any]:
    """Merging and converting a model in the shape of Qwen2.5-3B, each in a process of its own."""
    model, adapter = make_qwen(folder / "qwen-3b", QWEN_3B), make_adapter(folder / "adapter")
    shards = sorted(model.glob("*.safetensors"))
    source_bytes, largest = sum(file.stat().st_size for file in shards), max(file.stat().st_size for file in shards)
    _, merge_peak = _in_a_process("merge_adapter(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))", model, adapter,
                                  folder / "merged")  # fmt: skip
    shutil.rmtree(folder / "merged")
    f16 = folder / "qwen-3b-f16.gguf"
    copied, converted, peaks = [], [], []
    for _ in range(_COPIES):
        copied.append(_timed(lambda: _copy(shards, folder / "copy")))
        (folder / "copy").unlink()
        f16.unlink(missing_ok=True)
        seconds, peak = _in_a_process("write_gguf(Path(sys.argv[1]), Path(sys.argv[2]))", model, f16)
        converted.append(seconds)
        peaks.append(peak)
    shutil.rmtree(model)
    seconds, copy_s = statistics.median(converted), statistics.median(copied)
    figures = {
        "merge_rss_of_largest_shard": rounded(merge_peak / largest),
        "convert_s": rounded(seconds),
        "copy_s": rounded(copy_s),
        "speed_of_copy": rounded(copy_s / seconds),
        "megabytes_per_second": rounded(source_bytes / seconds / 1e6),
        "peak_rss_gb": rounded(max(merge_peak, *peaks) / 1e9),
    }
    print(f"large: {json.dumps(figures)}", flush=True)
    return figures | speed(f16, folder, "large", threads) | _gptq_speed(f16, folder / "gptq.gguf", threads)


def _gptq_speed(f16: Path, out: Path, threads: int) -> dict[str, Any]:
    """Seconds to choose the codes of the whole file again; what the inputs are like makes no difference to that."""
    quantize(f16, out, "Q4_K_M", None, threads)
    matrices = {name: tensor.shape[0] for name, tensor in read_header(out).tensors.items() if len(tensor.shape) == 2}
    of_width = {width: _products(width) for width in set(matrices.values())}
    owners = {name: _first_with_the_input(name) for name in matrices if name.startswith("blk.")}
    # One array for each input, as in real moments: layers that share theirs are worked on together.
    products = {owner: of_width[matrices[owner]].copy() for owner in set(owners.values())}
    moments = InputMoments({name: products[owner] for name, owner in owners.items()}, 1, 1, 1)
    seconds = _timed(lambda: round_again(f16, out, moments, threads))
    out.unlink()
    print(f"large: codes chosen again in {seconds:.0f} s", flush=True)
    return {"gptq_s_large": rounded(seconds)}


def _first_with_the_input(name: str) -> str:
    for part, first in (("attn_k", "attn_q"), ("attn_v", "attn_q"), ("ffn_up", "ffn_gate")):
        name = name.replace(part, first)
    return name


def _products(width: int) -> npt.NDArray[np.float32]:
    """Of random inputs; as ``collect`` does, of their squares alone where there are too many."""
    if width > ConvertSettings().full_moments:
        return np.ones(width, np.float32)
    inputs = np.random.default_rng(0).standard_normal((2 * width, width), np.float32)
    return inputs.T @ inputs


def _in_a_process(call: str, *paths: Path) -> tuple[float, int]:
    """Seconds until the last of ``paths`` is on the disk, and the largest resident set in bytes."""
    program = "import sys; from pathlib import Path; "
    program += f"from qa_core.quantization.convert import merge_adapter, write_gguf; {call}"
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", program, *map(str, paths)])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{call} ended with status {status}")
    for file in paths[-1].iterdir() if paths[-1].is_dir() else [paths[-1]]:
        _sync(file)
    return time.perf_counter() - started, usage.ru_maxrss * 1024


def _copy(files: Sequence[Path], out: Path) -> None:
    with out.open("wb") as target:
        for file in files:
            with file.open("rb") as source:
                shutil.copyfileobj(source, target, 1 << 22)
    _sync(out)


def _sync(file: Path) -> None:
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def against_llama_imatrix(model: Path, f16: Path, text: str, folder: Path, threads: int) -> dict[str, float]:
    """How far our matrix is from that of llama.cpp's program on the same tokens: relative L2 of each tensor's means.

    Empty where the program is not on the PATH.
    """
    program = shutil.which("llama-imatrix")
    if program is None:
        return {}
    (folder / "text.txt").write_text(text, encoding="utf-8")
    out = folder / "theirs.gguf"
    command = [program, "-m", f16, "-f", folder / "text.txt", "-o", out, "-c", _CHUNK, "-b", _CHUNK, "-t", threads,
               "--no-ppl", "--output-format", "gguf"]  # fmt: skip
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    ids = load_tokenizer(model)(text, add_special_tokens=False)["input_ids"]
    rows = [ids[start : start + _CHUNK] for start in range(0, len(ids) - _CHUNK + 1, _CHUNK)]
    ours, theirs = collect(model, rows, threads).importance, ImportanceMatrix.load(out)
    distances = [
        float(np.linalg.norm(mean - theirs.means[name]) / np.linalg.norm(theirs.means[name]))
        for name, mean in ours.means.items()
    ]
    figures = {"imatrix_chunks": len(rows), "imatrix_median_distance": float(np.median(distances)),
               "imatrix_worst_distance": max(distances)}  # fmt: skip
    print(f"against llama-imatrix: {json.dumps(figures)}", flush=True)
    return figures


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def rounded(value: float) -> float:
    return value if math.isnan(value) else float(f"{value:.4g}")
