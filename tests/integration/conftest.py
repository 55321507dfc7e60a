"""One complete run, shared by every test that looks at it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.commands import TOPICS, finish, lectern, paper, small_settings


@pytest.fixture(scope="session")
def three_papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("papers")
    for name in TOPICS:
        (folder / f"{name}.md").write_text(paper(name))
    return folder


@pytest.fixture(scope="session")
def finished_run(three_papers: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder of one complete run, and the settings that made it."""
    storage = tmp_path_factory.mktemp("runs")
    settings = small_settings(three_papers, storage)
    finish(lectern("run", "--config", "tiny", *settings))
    return storage / "tiny", settings
