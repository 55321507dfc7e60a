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
_MAX_DEPTH = 24
_MAX_REPEAT = 1000
"""A grammar repeats its rules for ``minItems`` and the like, so a larger number takes memory without end."""
_REPEATS = ("minItems", "maxItems", "minLength", "maxLength")
_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
"""``llama_token_data``."""
_ANY_CHARACTER, _NO_CONTROL_CHARACTER = r'[^"\\]', r'[^"\\\x7F\x00-\x1F]'
"""The converter's rule for strings lets raw control characters in, which JSON does not."""


class JsonGrammar:
    """The state of one answer on its way through a grammar. For one thread at a time."""

    def __init__(self, model: LlamaModel, json_schema: str) -> None:
        """Raises :class:`UserError` for a schema that cannot be turned into a grammar."""
        self._llama = library()
        grammar = to_gbnf(json_schema)
        self._pointer = self._llama.llama_sampler_init_grammar(model.vocabulary, grammar.encode(), b"root")
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


def to_gbnf(json_schema: str) -> str:
    """The grammar, in llama.cpp's notation, of the JSON texts that match ``json_schema``."""
    if len(json_schema) > MAX_SCHEMA_CHARS:
        raise _refused(f"it has {len(json_schema)} characters; {MAX_SCHEMA_CHARS} are allowed")
    try:
        schema = json.loads(json_schema)
    except (ValueError, RecursionError) as error:
        raise _refused(f"it is no JSON: {error}") from error
    _check(schema, 0)
    from llama_cpp.llama_grammar import json_schema_to_gbnf

    try:
        grammar = json_schema_to_gbnf(json.dumps(schema))
    # The converter tells of what it does not know by whatever its code happens to run into.
    except Exception as error:
        raise _refused(f"{type(error).__name__} {error}") from error
    return grammar.replace(_ANY_CHARACTER, _NO_CONTROL_CHARACTER)


def _check(part: Any, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise _refused(f"it is nested more than {_MAX_DEPTH} deep")
    if isinstance(part, dict):
        for key in _REPEATS:
            if isinstance(number := part.get(key), (int, float)) and not 0 <= number <= _MAX_REPEAT:
                raise _refused(f"{key} is {number:g}; 0 to {_MAX_REPEAT} is allowed")
        if isinstance(reference := part.get("$ref"), str) and not reference.startswith("#"):
            raise _refused(f"$ref to {reference[:100]!r}: only references into the schema itself are followed")
    children = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    for child in children:
        _check(child, depth + 1)


def _refused(reason: str) -> UserError:
    return UserError(f"the JSON schema cannot be used: {reason}", "Simplify the schema.")
