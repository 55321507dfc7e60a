from __future__ import annotations

from typing import get_args

import pytest

from qa_core.config import QuestionType
from qa_core.dataset.template import frames
from qa_core.dataset.template.frames import FRAMES, prompt_version


def test_every_question_type_has_frames() -> None:
    assert set(FRAMES) == set(get_args(QuestionType))


def test_the_prompt_version_is_a_short_hash_that_differs_between_types() -> None:
    versions = [prompt_version(kind) for kind in get_args(QuestionType)]
    assert {len(version) for version in versions} == {12}
    assert len(set(versions)) == len(versions)


def test_a_changed_frame_changes_the_version_of_its_type_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {kind: prompt_version(kind) for kind in get_args(QuestionType)}
    monkeypatch.setitem(frames.FRAMES["numeric"], "count", "how many {things} does {subject} {verb}")
    assert {kind for kind in before if prompt_version(kind) != before[kind]} == {"numeric"}
