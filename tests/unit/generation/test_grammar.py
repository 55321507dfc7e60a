from __future__ import annotations

import json

import pytest

from qa_core.errors import UserError
from qa_core.generation.engine import Engine, SamplingParams
from qa_core.generation.grammar import to_gbnf

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"found": {"type": "boolean"}, "passage": {"enum": [1, 2, 3]}},
        "required": ["found", "passage"],
        "additionalProperties": False,
    }
)


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_an_answer_matches_the_schema_whatever_the_model_would_rather_say(engine: Engine, temperature: float) -> None:
    params = SamplingParams(max_tokens=100, temperature=temperature, json_schema=SCHEMA)
    for completion in engine.generate(["The attention layer", "We train", "Table 2"], params):
        assert completion.finish_reason == "stop"
        answer = json.loads(completion.text)
        assert isinstance(answer["found"], bool)
        assert answer["passage"] in (1, 2, 3)


def test_a_grammar_binds_only_its_own_request(engine: Engine) -> None:
    (free,) = engine.generate(["We train"], SamplingParams(max_tokens=16))
    bound = SamplingParams(max_tokens=16, json_schema=SCHEMA)
    engine.generate(["We train"], bound)
    assert engine.generate(["We train"], SamplingParams(max_tokens=16)) == [free]


def test_strings_hold_no_raw_control_characters() -> None:
    grammar = to_gbnf('{"type": "string"}')
    assert r"\x00-\x1F" in grammar


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ("{", "no JSON"),
        (json.dumps({"$ref": "https://example.org/schema.json"}), "references into the schema itself"),
        (json.dumps({"$ref": "#/definitions/missing"}), "cannot be used"),
        (json.dumps({"type": "array", "maxItems": 10**9, "items": {"type": "number"}}), "maxItems"),
        (json.dumps({"type": "no such type"}), "cannot be used"),
        ("[" * 50 + "]" * 50, "nested"),
        (" " * 20_000 + "{}", "characters"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_with_the_reason(engine: Engine, schema: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        engine.generate(["We train"], SamplingParams(max_tokens=4, json_schema=schema))
