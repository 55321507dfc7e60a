"""What a teacher is asked for: the question types and the frames a question is put into."""

from __future__ import annotations

import hashlib
import json

QUESTION_TYPES: dict[str, str] = {
    "factual": "Asks for a definition, a name, a property or a number that the text states.",
    "analytical": "Asks for the reason behind a statement, or for the means by which something is achieved.",
    "comparative": "Asks how two named things differ, or how one stands against the other.",
    "hypothetical": "Asks what follows from a condition or a change that the text considers.",
}

FRAMES: dict[str, str] = {
    "definition": "what {be} {subject}",
    "attribution": "who {predicate}",
    "finding": "what did {subject} {verb}",
    "object": "what {do} {subject} {verb}",
    "count": "how many {things} {do} {subject} {verb}",
    "target": "to what value {do} {subject} {verb}",
    "change": "by how much {do} {subject} {verb}",
    "manner": "how {clause}",
    "reason": "why {clause}",
    "means": "how {clause}",
    "comparison": "how {do} {first} compare with {second}",
    "contrast": "how {do} {first} differ from {second}",
    "difference": "what is the difference between {first} and {second}",
    "condition": "what happens {condition}",
    "effect": "what is the effect of {action}",
}
"""Question frames of the template teacher, without the capital letter and the question mark."""


def prompt_version() -> str:
    """Content hash of the descriptions and frames, so that a row tells which wording it was asked in."""
    wording = json.dumps([QUESTION_TYPES, FRAMES], sort_keys=True)
    return hashlib.sha256(wording.encode()).hexdigest()[:12]
