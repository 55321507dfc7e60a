"""The words around what a question asks about, by question type, without capital letter and question mark."""

from __future__ import annotations

from qa_core.config import QuestionType
from qa_core.dataset.attributes import ATTRIBUTES
from qa_core.manifest import digest

IN_CONTEXT = "in the context of {topic}, {question}"
"""For a question that only the paper's topic makes clear."""

FRAMES: dict[QuestionType, dict[str, str]] = {
    "factual": {
        "attribution": "who {predicate}",
        "finding": "what did {subject} {verb}",
        "object": "what {do} {subject} {verb}",
        "agent": "what {predicate}",
        "place": "where {do} {subject} {verb}",
        "duty": "what {modal} {subject} {verb}",
        "moment": "when {do} {subject} {verb}",
        "enumeration": "what {count} {things} {do} {subject} have",
        "members": "what are {subject}",
    },
    "definition": {
        "thing": "what {be} {term}",
        "meaning": "what does {term} mean",
    },
    "numeric": {
        "value": "what {be} {subject}",
        "count": "how many {things} {do} {subject} {verb}",
        "share": "what share of {whole} {do} {subject} {verb}",
        "multiple": "how many times {whole} {do} {subject} {verb}",
        "measure": "what {measure} {do} {subject} {verb}",
        "target": "to what value {do} {subject} {verb}",
        "change": "by how much {do} {subject} {verb}",
        "factor": "by what factor {do} {subject} {verb}",
        "frequency": "how often {do} {subject} {verb}",
        "year": "in which year did {subject} {verb}",
    },
    "procedure": {
        "means": "how {clause}",
        "manner": "how {clause}",
        "working": "how {do} {subject} work",
        "first": "what {modal} {subject} do first",
        "steps": "what {count} {things} {do} {subject} have",
        "ways": "in what {count} ways {clause}",
    },
    "analytical": {
        "reason": "why {clause}",
        "comparison": "how {do} {first} compare with {second}",
        "contrast": "how {do} {first} differ from {second}",
        "difference": "what is the difference between {first} and {second}",
    },
    "hypothetical": {
        "condition": "what happens {condition}",
        "fate": "what happens to {subject} {condition}",
        "act": "what {do} {subject} do {condition}",
        "effect": "what is the effect of {action}",
    },
    "comparative": {
        "definitions": "how do {first} and {second} each define {matter}",
        "recommendations": "what do {first} and {second} each recommend about {matter}",
        "figures": "which figures do {first} and {second} give for {matter}",
        "statements": "what do {first} and {second} each say about {matter}",
        "kinds": "going by {first} and {second}, how {matter}",
        "both": "{one}, and {other}",
        "said": "According to {paper}, {statement}.",
        "concluded": "According to {paper}: {statement}",
    },
    "unanswerable": {
        "answer": "The paper does not say {missing}; it does say that {statement}.",
        **{attribute.name: attribute.question for attribute in ATTRIBUTES},
    },
}


def prompt_version(question_type: QuestionType) -> str:
    """Content hash of the frames of one type, so that a row tells in which words it was asked."""
    return digest([IN_CONTEXT, FRAMES[question_type]])[:12]
