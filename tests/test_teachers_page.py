"""docs/teachers.md shows settings that load."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from qa_core.config import GenerateQASettings

PAGE = Path(__file__).parents[1] / "docs" / "teachers.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_an_example_of_the_page_is_accepted(block: str) -> None:
    settings = yaml.safe_load(block)["generate_qa"]
    assert GenerateQASettings.model_validate(settings).teacher.engine == settings["teacher"]["engine"]


def test_the_page_shows_one_gpu_several_gpus_a_cpu_and_an_endpoint() -> None:
    assert len(BLOCKS) == 4
