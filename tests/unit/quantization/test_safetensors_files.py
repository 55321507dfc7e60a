from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qa_core.errors import UserError
from qa_core.quantization.safetensors_files import read_tensors
from tests.unit.quantization.golden_models import make_model

PLACES = 2000
WRONG = (-1, 0, 1, 7, 2**31, 2**32, 2**62, 2**63, 2**64, 10**400, 1.5, True, None, "BF16", "F64", "", [], {}, [[]])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_model("qwen2", tmp_path / "model")


def parts(file: Path) -> tuple[dict[str, Any], bytes]:
    data = file.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), data[end:]


def write(file: Path, header: str | bytes, data: bytes, length: int | None = None) -> None:
    raw = header.encode() if isinstance(header, str) else header
    file.write_bytes((len(raw) if length is None else length).to_bytes(8, "little") + raw + data)


def damaged_entries(header: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    """A copy in which one type, shape or place is another, or an entry is torn."""
    copy = json.loads(json.dumps(header))
    name = draw.choice([key for key in copy if key != "__metadata__"])
    entry, key = copy[name], draw.choice(["dtype", "shape", "data_offsets", "all"])
    if key == "all":
        copy[name] = draw.choice(WRONG)
    elif key == "dtype" or draw.random() < 0.3:
        entry[key] = draw.choice(WRONG)
    else:
        place = draw.randrange(len(entry[key]))
        number = entry[key][place]
        entry[key][place] = draw.choice([*WRONG, number + 1, number - 1, number * 2, draw.getrandbits(64)])
    return copy


def refused(folder: Path) -> tuple[bool, float]:
    """Whether the folder is refused, and in how many milliseconds of this process."""
    started = time.process_time()
    try:
        read_tensors(folder)
    except UserError:
        return True, 1000 * (time.process_time() - started)
    return False, 0.0


def test_damaged_types_shapes_and_places_are_refused_at_once(model: Path) -> None:
    file = model / "model.safetensors"
    header, data = parts(file)
    draw, count, slowest = random.Random(5), 0, 0.0
    while count < PLACES:
        changed = damaged_entries(header, draw)
        if changed == header:
            continue
        write(file, json.dumps(changed), data)
        is_refused, milliseconds = refused(model)
        differs = [name for name in header if changed[name] != header[name]]
        assert is_refused, [changed[name] for name in differs]
        count, slowest = count + 1, max(slowest, milliseconds)
    assert slowest < 100


def test_damaged_bytes_of_the_header_are_refused_or_harmless(model: Path) -> None:
    file = model / "model.safetensors"
    sound = file.read_bytes()
    end = 8 + int.from_bytes(sound[:8], "little")
    draw, num_refused = random.Random(6), 0
    for _ in range(PLACES):
        at, patch = draw.randrange(end), draw.randbytes(draw.randint(1, 4))
        file.write_bytes(sound[:at] + patch + sound[at + len(patch) :])
        is_refused, milliseconds = refused(model)
        assert milliseconds < 100
        num_refused += is_refused
    assert num_refused > PLACES / 2  # the rest are other letters in names


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file, header, data: write(file, json.dumps(header), data[:-1]), "its tensors end at byte"),
        (lambda file, header, data: write(file, json.dumps(header), data + b"x"), "its tensors end at byte"),
        (lambda file, header, data: write(file, json.dumps(header), data, length=2**63), "is announced in"),
        (lambda file, header, data: write(file, "[" * 200_000, data), "its header cannot be read"),
        (lambda file, header, data: write(file, b"\xff\xfe{}", data), "its header cannot be read"),
        (lambda file, header, data: write(file, "[]", data), "no table of tensors"),
        (lambda file, header, data: file.write_bytes(b"abc"), "is announced in 3 bytes"),
        (lambda file, header, data: write(file, '{"a": 1, "a": 2}', data), "a name occurs twice"),
        (lambda file, header, data: (file.parent / "two.safetensors").write_bytes(file.read_bytes()), "too"),
    ],
)
def test_a_torn_file_is_refused_with_the_reason(model: Path, damage: Callable[..., Any], message: str) -> None:
    file = model / "model.safetensors"
    damage(file, *parts(file))
    with pytest.raises(UserError, match=message):
        read_tensors(model)
