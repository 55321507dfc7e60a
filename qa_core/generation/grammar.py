"""Answers that match a JSON Schema: a grammar of llama.cpp tells which tokens may come next."""

from __future__ import annotations

import ctypes
import json
import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

from qa_core.errors import UserError
from qa_core.generation.llama import LlamaModel, library

MAX_SCHEMA_CHARS = 16_384
_MAX_DEPTH, _MAX_PROPERTIES, _MAX_REPEAT, _MAX_GRAMMAR_CHARS = 24, 64, 256, 65_536
"""A grammar spells its repetitions and the orders of optional properties out, and the thread that decodes walks through
all of it with every token of the answer: a schema must not be able to hold that up."""
_KEYWORDS = frozenset(
    {
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "prefixItems",
        "enum",
        "const",
        "anyOf",
        "allOf",
    }
    | {"$ref", "$defs", "definitions", "minItems", "maxItems", "minLength", "maxLength", "format"}
    | {"title", "description", "default", "examples", "$schema", "$id", "$comment"}
)
"""What the grammar keeps to, and what only describes. The converter skips the others without a word."""
_FORMATS = frozenset({"date", "time", "date-time", "uuid"})
_REPEATS = ("minItems", "maxItems", "minLength", "maxLength")
_NAMED = ("properties", "$defs", "definitions")
"""Keywords whose values are schemas by names of the client's own."""
_VALUES = ("enum", "const", "default", "examples", "required")
"""Keywords whose values are no schemas."""
_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
"""``llama_token_data``."""
_ANY_CHARACTER, _NO_CONTROL_CHARACTER = r'[^"\\]', r'[^"\\\x7F\x00-\x1F]'
"""The converter's rule for strings lets raw control characters in, which JSON does not."""


class JsonGrammar:
    """The state of one answer on its way through a grammar. For one thread at a time."""

    def __init__(self, model: LlamaModel, json_schema: str) -> None:
        """Raises :class:`UserError` for a schema that cannot be turned into a grammar."""
        self._llama = library()
        self._pointer = self._llama.llama_sampler_init_grammar(model.vocabulary, to_gbnf(json_schema), b"root")
        if not self._pointer:
            raise _refused("llama.cpp cannot read the grammar that it makes")
        self._free = weakref.finalize(self, self._llama.llama_sampler_free, self._pointer)
        self._candidates = np.zeros(model.n_vocab, _CANDIDATE)

    def allows(self, token: int) -> bool:
        one = np.array([(token, 0.0, 0.0)], _CANDIDATE)
        self._apply(one)
        return bool(np.isfinite(one["logit"][0]))

    def restrict(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """``logits`` [vocabulary], minus infinity for every token that cannot come next."""
        candidates = self._candidates
        candidates["id"], candidates["logit"] = np.arange(len(candidates)), logits
        self._apply(candidates)
        if not np.isfinite(candidates["logit"]).any():  # accepting any other token would end the process
            raise _refused("the answer came to a point where nothing may follow")
        return candidates["logit"].copy()

    def accept(self, token: int) -> None:
        self._llama.llama_sampler_accept(self._pointer, token)

    def _apply(self, candidates: npt.NDArray[Any]) -> None:
        data = ctypes.cast(candidates.ctypes.data, self._llama.llama_token_data_p)
        array = self._llama.llama_token_data_array(data=data, size=len(candidates), selected=-1, sorted=False)
        self._llama.llama_sampler_apply(self._pointer, ctypes.byref(array))


def to_gbnf(json_schema: str) -> bytes:
    """The grammar, in llama.cpp's notation, of JSON texts that match ``json_schema``.

    Raises :class:`UserError` for keywords that it would not keep to, and for what would make it too large.
    """
    if len(json_schema) > MAX_SCHEMA_CHARS:
        raise _refused(f"it has {len(json_schema)} characters; {MAX_SCHEMA_CHARS} are allowed")
    try:
        schema = json.loads(json_schema)
    except (ValueError, RecursionError) as error:
        raise _refused(f"it is no JSON: {error}") from error
    _Check().schema(schema, 0)
    from llama_cpp.llama_grammar import json_schema_to_gbnf

    try:
        grammar = json_schema_to_gbnf(json.dumps(schema)).replace(_ANY_CHARACTER, _NO_CONTROL_CHARACTER).encode()
    # The converter tells of what it does not know by whatever its code happens to run into.
    except Exception as error:
        raise _refused(f"{type(error).__name__} {error}"[:200]) from error
    if len(grammar) > _MAX_GRAMMAR_CHARS:
        raise _refused(f"its grammar has {len(grammar)} characters; {_MAX_GRAMMAR_CHARS} are allowed")
    return grammar


class _Check:
    """Refuses what the grammar would not keep to, and counts what makes it large."""

    def __init__(self) -> None:
        self._properties, self._repeats = 0, 0

    def schema(self, schema: Any, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise _refused(f"it is nested more than {_MAX_DEPTH} deep")
        if isinstance(schema, bool):
            return
        if not isinstance(schema, dict):
            raise _refused(f"{json.dumps(schema)[:60]} stands where a schema should")
        if unknown := sorted(schema.keys() - _KEYWORDS):
            raise _refused(f"{unknown[0][:60]!r} is not kept to here; these are: {', '.join(sorted(_KEYWORDS))}")
        self._keywords(schema)
        for key, value in schema.items():
            for part in self._schemas_in(key, value):
                self.schema(part, depth + 1)

    def _keywords(self, schema: dict[str, Any]) -> None:
        for key in _REPEATS:
            number = schema.get(key, 0)
            if isinstance(number, bool) or not isinstance(number, int) or number < 0:
                raise _refused(f"{key} must be a whole number of 0 or more")
            self._repeats += number
        self._properties += len(schema["properties"]) if isinstance(schema.get("properties"), dict) else 0
        if self._repeats > _MAX_REPEAT or self._properties > _MAX_PROPERTIES:
            raise _refused(
                f"it may have {_MAX_PROPERTIES} properties, and {', '.join(_REPEATS)} of {_MAX_REPEAT} in all"
            )
        reference = schema.get("$ref", "#")
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise _refused(f"$ref to {str(reference)[:60]!r}: only references into the schema itself are followed")
        if schema.get("format", "uuid") not in _FORMATS:
            raise _refused(f"format may be one of: {', '.join(sorted(_FORMATS))}")

    def _schemas_in(self, key: str, value: Any) -> list[Any]:
        if key in _NAMED:
            if not isinstance(value, dict):
                raise _refused(f"{key} must be an object")
            return list(value.values())
        if key in _VALUES or not isinstance(value, (dict, list)):
            return []
        return value if isinstance(value, list) and key != "type" else [value] if isinstance(value, dict) else []


def _refused(reason: str) -> UserError:
    return UserError(f"the JSON schema cannot be used: {reason}", "Simplify the schema.")
