from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from qa_core.errors import UserError
from qa_core.generation.engine import Engine, SamplingParams
from qa_core.generation.grammar import JsonGrammar
from qa_core.generation.llama import LlamaModel

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


def test_strings_hold_no_raw_control_characters(tiny_gguf: Path) -> None:
    model = LlamaModel(tiny_gguf)
    grammar = JsonGrammar(model, '{"type": "string"}')
    for token in model.tokenize('"a'):
        assert grammar.allows(token)
        grammar.accept(token)
    (line_break,) = model.tokenize("\n")
    assert not grammar.allows(line_break)
    model.close()


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "string", "maxLength": 128}, "maxItems": 128},
        {"type": "object", "properties": {f"property {n}": {"type": "string"} for n in range(64)}},
        {"$defs": {"one": {"type": "number"}}, "type": "array", "items": {"$ref": "#/$defs/one"}},
    ],
    ids=["many items", "many properties", "reference"],
)
def test_the_largest_schemas_that_are_taken_do_not_hold_up_the_thread(tiny_gguf: Path, schema: object) -> None:
    """The most that one token may take is what a prompt in the same batch takes anyway."""
    model = LlamaModel(tiny_gguf)
    started = time.perf_counter()
    grammar = JsonGrammar(model, json.dumps(schema))
    logits = np.zeros(model.n_vocab, np.float32)
    for _ in range(30):
        allowed = grammar.restrict(logits)
        grammar.accept(int(allowed.argmax()))
    assert time.perf_counter() - started < 15  # minutes, without the limits
    model.close()


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ("{", "no JSON"),
        (json.dumps({"$ref": "https://example.org/schema.json"}), "references into the schema itself"),
        (json.dumps({"$ref": "#/definitions/missing"}), "cannot be used"),
        (json.dumps({"$defs": {"t": {"items": {"$ref": "#/$defs/t"}}}, "$ref": "#/$defs/t"}), "cannot be used"),
        (json.dumps({"type": "array", "maxItems": 10**9, "items": {"type": "number"}}), "maxItems"),
        (json.dumps({"type": "no such type"}), "cannot be used"),
        ('{"items":' * 30 + "{}" + "}" * 30, "nested"),
        ("[]", "where a schema should"),
        (json.dumps({"items": [1]}), "where a schema should"),
        (json.dumps({"properties": ["a"]}), "must be an object"),
        (json.dumps({"type": "string", "pattern": "^a{1,20000}$"}), "'pattern' is not kept to"),
        (json.dumps({"type": "integer", "minimum": 3}), "'minimum' is not kept to"),
        (json.dumps({"type": "string", "format": "email"}), "format may be one of"),
        (json.dumps({"type": "array", "minItems": True}), "whole number"),
        (json.dumps({"type": "object", "properties": {f"p{n}": {} for n in range(65)}}), "64 properties"),
        (" " * 20_000 + "{}", "characters"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_with_the_reason(engine: Engine, schema: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        engine.generate(["We train"], SamplingParams(max_tokens=4, json_schema=schema))
