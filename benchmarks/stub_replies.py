"""What the stub endpoint says: questions made from the sentences of the fenced passages, without a model.

Replies are made to pass the checks of the data set, so that a run against the stub goes all the way to its rows; as
training data they are worthless.
"""

from __future__ import annotations

import json
import re
from typing import Any

from qa_core.dataset.checks.standing_alone import stands_alone
from qa_core.dataset.prompts import INSTRUCTIONS

_FENCED = re.compile(r"<passage (\d+) (\w+)>\nPaper: (.*?)\nPlace: .*?\n\n(.*?)\n</passage \1 \2>", re.DOTALL)
_SENTENCE = re.compile(r"(?<![^\n ])[A-Z][^\n|]{30,300}?[.](?=\s|$)")
_COUNT = re.compile(r"up to (\d+) pairs")
_QUESTIONS = {
    "factual": "In {title}, what holds for {topic}?",
    "analytical": "For what reason does {title} mention {topic}?",
    "hypothetical": "According to {title}, what follows from {topic}?",
    "definition": "How does {title} define {topic}?",
    "procedure": "By what means does {title} bring about {topic}?",
    "numeric": "Which number does {title} give for {topic}?",
    "unanswerable": "Under which licence is {topic} of {title} distributed?",
}
"""One a type, so that no two types ask the same."""


def reply_to(messages: list[dict[str, str]], schema: dict[str, Any]) -> str:
    """A reply that fits ``schema``: question/answer pairs where it asks for them, full marks where it is a judge's."""
    prompt = messages[-1]["content"]
    if "pairs" not in schema.get("properties", {"pairs": {}}):
        return json.dumps(_fill(schema))
    passages = [(title, _SENTENCE.findall(text)) for _, _, title, text in _FENCED.findall(prompt)]
    kind = next((kind for kind, words in INSTRUCTIONS.items() if words in prompt), "factual")
    pairs = _comparisons(passages) if kind == "comparative" else _statements(kind, passages)
    asked = _COUNT.search(prompt)
    wanted = int(asked.group(1)) if asked else 1
    return json.dumps({"pairs": [pair for pair in pairs if stands_alone(pair["question"])][:wanted]})


def _statements(kind: str, passages: list[tuple[str, list[str]]]) -> list[dict[str, Any]]:
    missing = "{title} does not say under which licence; what is stated is: " if kind == "unanswerable" else ""
    return [
        {
            "question": _QUESTIONS[kind].format(title=title, topic=_topic(sentence)),
            "answer": missing.format(title=title) + sentence,
            "evidence": [{"passage": 1, "quote": sentence}],
        }
        for title, sentences in passages
        for sentence in sentences
    ]


def _comparisons(passages: list[tuple[str, list[str]]]) -> list[dict[str, Any]]:
    (one, first), (other, second) = passages[:2]
    return [
        {
            "question": f"How does {_topic(left)} in {one} compare with {_topic(right)} in {other}?",
            "answer": f"{left} {right}",
            "evidence": [{"passage": 1, "quote": left}, {"passage": 2, "quote": right}],
        }
        for left, right in zip(first, second, strict=False)
    ]


def _topic(sentence: str) -> str:
    words = re.findall(r"[\w'-]+", sentence)[:7]
    return " ".join([words[0].lower(), *words[1:]])


def _fill(schema: dict[str, Any]) -> Any:
    """The most favourable value that ``schema`` lets through."""
    match schema.get("type"):
        case "object":
            return {name: _fill(part) for name, part in schema["properties"].items()}
        case "array":
            return []
        case "integer" | "number":
            return schema.get("maximum", 5)
        case "boolean":
            return True
        case _:
            return schema.get("enum", ["as the source says"])[-1]
