from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest

from qa_core.config import ConvertSettings, GenerationCompute, GenerationSettings
from qa_core.errors import UserError
from qa_core.generation.engine import Engine, SamplingParams
from qa_core.generation.gguf_header import read_header
from qa_core.quantization.moments import collect
from qa_core.quantization.quantize import quantize, quantize_calibrated


def test_a_quantised_file_is_small_loads_and_answers(
    tiny_model: Path, tiny_gguf: Path, token_rows: list[list[int]], tmp_path: Path
) -> None:
    matrix = collect(tiny_model, token_rows).importance
    quantize(tiny_gguf, tmp_path / "q4.gguf", "Q4_K_M", matrix, n_threads=1)
    header = read_header(tmp_path / "q4.gguf")
    assert header.bits_per_weight < 6.5
    assert {"Q4_K", "Q6_K"} <= header.tensor_types.keys()
    assert header.metadata["quantize.imatrix.file"] == "imatrix.gguf"
    assert header.metadata["quantize.imatrix.entries_count"] == 14
    assert header.metadata["quantize.imatrix.chunks_count"] == 8
    engine = Engine(tmp_path / "q4.gguf", GenerationSettings(n_ctx=256, compute=GenerationCompute(n_threads=1)))
    (completion,) = engine.generate(["We train"], SamplingParams(max_tokens=8))
    engine.close()
    assert completion.text


def test_nearest_rounding_is_llama_cpps_own_and_gptq_is_not(
    tiny_model: Path, tiny_gguf: Path, token_rows: list[list[int]], tmp_path: Path
) -> None:
    settings = {rounding: ConvertSettings(rounding=rounding) for rounding in ("nearest", "gptq")}
    assert settings["nearest"].full_moments == 0
    moments = collect(tiny_model, token_rows, full_up_to=settings["gptq"].full_moments)
    quantize(tiny_gguf, tmp_path / "plain", "Q4_K_M", moments.importance, n_threads=1)
    for rounding in settings:
        quantize_calibrated(tiny_gguf, tmp_path / rounding, "Q4_K_M", moments, rounding, n_threads=1)
    plain, nearest, gptq = ((tmp_path / name).read_bytes() for name in ("plain", "nearest", "gptq"))
    assert plain == nearest
    assert len(plain) == len(gptq)
    assert plain != gptq


def test_the_bytes_do_not_depend_on_the_number_of_threads(
    tiny_model: Path, tiny_gguf: Path, token_rows: list[list[int]], tmp_path: Path
) -> None:
    matrix = collect(tiny_model, token_rows).importance
    for n_threads in (1, 2):
        quantize(tiny_gguf, tmp_path / f"{n_threads}.gguf", "Q4_K_M", matrix, n_threads)
    assert (tmp_path / "1.gguf").read_bytes() == (tmp_path / "2.gguf").read_bytes()


def test_the_matrix_lowers_the_error_of_the_products_that_it_was_measured_for(
    tiny_model: Path, tiny_gguf: Path, token_rows: list[list[int]], tmp_path: Path
) -> None:
    matrix = collect(tiny_model, token_rows).importance
    exact = weights(tiny_gguf)
    errors = []
    for used in (None, matrix):
        quantize(tiny_gguf, tmp_path / "out.gguf", "Q4_K_S", used, n_threads=1)
        rounded = weights(tmp_path / "out.gguf")
        # The expected squared error of a product is the weights' squared error times the inputs' mean square.
        errors.append(sum(float(((rounded[n] - exact[n]) ** 2 @ mean).sum()) for n, mean in matrix.means.items()))
    assert errors[1] < errors[0]


def weights(path: Path) -> dict[str, np.ndarray]:
    reader = gguf.GGUFReader(path)
    return {tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type) for tensor in reader.tensors}


def test_an_unknown_quantization_is_refused(tiny_gguf: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Q9_X"):
        quantize(tiny_gguf, tmp_path / "out.gguf", "Q9_X", None, n_threads=1)


def test_a_damaged_file_is_refused_before_llama_cpp_sees_it(tiny_gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(tiny_gguf.read_bytes()[:100_000])
    with pytest.raises(UserError, match="damaged"):
        quantize(tmp_path / "broken.gguf", tmp_path / "out.gguf", "Q4_K_M", None, n_threads=1)


def test_a_disk_that_fills_up_is_an_error_and_no_short_file(tiny_gguf: Path, tmp_path: Path) -> None:
    program = """
import resource, sys
from pathlib import Path
from qa_core.quantization.quantize import quantize
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
quantize(Path(sys.argv[1]), Path(sys.argv[2]), "Q4_K_M", None, 1)
"""
    out = tmp_path / "out.gguf"
    command = [sys.executable, "-c", program, str(tiny_gguf), str(out)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stderr
    assert "could not write" in result.stderr
    assert not out.exists()
