"""Which model turns text into vectors."""

from __future__ import annotations

from typing import Literal

from qa_core.config.section import Section


class SentenceTransformersEmbedder(Section):
    engine: Literal["sentence_transformers"] = "sentence_transformers"
    name_or_path: str = "BAAI/bge-small-en-v1.5"
    """A hub name, a local folder, or ``package:MODULE/FOLDER`` for a model that ships inside a Python package."""
    query_prompt: str = "Represent this sentence for searching relevant passages: "
    """Put before a question, never before a passage (bge was trained so)."""
