from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from qa_core.generation.gguf_header import read_header
from qa_core.quantization.card import modelfile, write_card
from qa_core.quantization.description import Description
from qa_core.quantization.parity_report import ParityReport

DESCRIPTION = Description.of_run("Qwen/Qwen2.5-3B-Instruct", "papers", Path("no-card"))


def test_the_modelfile_writes_chatml_down_and_where_it_stops(tiny_gguf: Path) -> None:
    lines = modelfile("m.gguf", read_header(tiny_gguf), DESCRIPTION).splitlines()
    assert lines[0] == "FROM ./m.gguf"
    assert "PARAMETER stop <|im_end|>" in lines
    assert "PARAMETER temperature 0" in lines
    assert any(line.startswith('TEMPLATE """{{- range .Messages }}<|im_start|>{{ .Role }}') for line in lines)


def test_a_template_that_is_not_chatml_is_left_to_ollama(tiny_gguf: Path) -> None:
    header = read_header(tiny_gguf)
    other = header.metadata | {"tokenizer.chat_template": "{% for m in messages %}[{{ m['content'] }}]{% endfor %}"}
    assert "TEMPLATE" not in modelfile("m.gguf", dataclasses.replace(header, metadata=other), DESCRIPTION)


def test_the_card_names_the_base_the_size_and_every_figure(tiny_gguf: Path, tmp_path: Path) -> None:
    report = ParityReport(tmp_path / "parity.json")
    report.require("f16_logits", 0.0123, "<=", 0.05)
    report.record(same_top_1=0.97)
    shutil.copy(tiny_gguf, tmp_path / "m.gguf")
    write_card(tmp_path / "m.gguf", dataclasses.replace(DESCRIPTION, license="apache-2.0"), report, "gptq")
    card = (tmp_path / "README.md").read_text()
    assert "license: apache-2.0\nbase_model: Qwen/Qwen2.5-3B-Instruct\n" in card
    assert f"{tiny_gguf.stat().st_size:,} bytes, 16.0" in card
    assert "codes of 4 and 5 bits by GPTQ" in card
    assert "| f16 logits | 0.0123 | <= 0.05 |" in card
    assert "| same top 1 | 0.97 | |" in card
    assert (tmp_path / "Modelfile").is_file()
