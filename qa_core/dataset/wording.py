"""The words in which rows are asked for and judged, as a part of their identity."""

from __future__ import annotations

from typing import get_args

from qa_core.config import GenerateQASettings, QuestionType
from qa_core.dataset import judging, prompts
from qa_core.dataset.template import frames
from qa_core.manifest import digest


def prompt_version(engine: str, question_type: QuestionType) -> str:
    """Content hash of the wording in which a teacher is asked for one type; of the rules' frames for ``template``."""
    return (frames if engine == "template" else prompts).prompt_version(question_type)


def wording_digest(settings: GenerateQASettings) -> str:
    """Hash of every wording that takes part under ``settings``."""
    asked = [prompt_version(settings.teacher.engine, kind) for kind in get_args(QuestionType)]
    return digest([asked, judging.prompt_version() if settings.judge is not None else ""])
