"""Byte-level BPE tokenizers: tokenizer.json of Hugging Face -> GGUF keys."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import gguf

from qa_core.errors import UserError

# llama.cpp has one hand-written splitter for each known regex. Its own converter recognises a tokenizer by the ids of
# one test string, which no self-trained vocabulary can pass; the regex itself is what matters.
_PRE_TOKENIZERS = {
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+": "qwen2",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+": "llama-bpe",
}
_CONTROL_SHAPE = re.compile(r"<\|.*\|>")
_BOS_WITHOUT_A_NAME = "<|endoftext|>"


def add_vocabulary(writer: gguf.GGUFWriter, model: Path, vocab_size: int) -> None:
    """Write tokens, types, merges, special ids and the chat template of the tokenizer in ``model``.

    Raises :class:`UserError` for a tokenizer that llama.cpp would split differently.
    """
    tokenizer = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))
    settings = json.loads((model / "tokenizer_config.json").read_text(encoding="utf-8"))
    if tokenizer["model"]["type"] != "BPE":
        raise UserError(f"tokenizer model {tokenizer['model']['type']} cannot be converted", "Use byte-level BPE.")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre_tokenizer_name(tokenizer))
    tokens, types = _tokens(tokenizer, vocab_size)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(_merges(tokenizer))
    _add_special_ids(writer, settings, {token: index for index, token in enumerate(tokens)})
    if template := _chat_template(model, settings):
        writer.add_chat_template(template)


def pre_tokenizer_name(tokenizer: dict[str, Any]) -> str:
    """llama.cpp's name of the regex that splits text in a parsed tokenizer.json."""
    top = tokenizer.get("pre_tokenizer") or {}
    patterns = [part["pattern"].get("Regex") for part in top.get("pretokenizers", [top]) if part.get("type") == "Split"]
    if len(patterns) != 1 or patterns[0] not in _PRE_TOKENIZERS:
        raise UserError(
            f"pre-tokeniser {patterns or top.get('type')} cannot be converted",
            f"Known are the regular expressions of {', '.join(_PRE_TOKENIZERS.values())}.",
        )
    return _PRE_TOKENIZERS[patterns[0]]


def _tokens(tokenizer: dict[str, Any], vocab_size: int) -> tuple[list[str], list[gguf.TokenType]]:
    """Text and type of every row of the embedding; rows without a token are filled with unused ones."""
    tokens = [f"[PAD{index}]" for index in range(vocab_size)]
    types = [gguf.TokenType.UNUSED] * vocab_size
    entries = [(index, text, gguf.TokenType.NORMAL) for text, index in tokenizer["model"]["vocab"].items()]
    for added in tokenizer["added_tokens"]:
        control = added["special"] or _CONTROL_SHAPE.fullmatch(added["content"])
        kind = gguf.TokenType.CONTROL if control else gguf.TokenType.USER_DEFINED
        entries.append((added["id"], added["content"], kind))
    for index, text, kind in entries:
        if index >= vocab_size:
            raise UserError(f"token {text!r} has id {index}, the model has {vocab_size} rows", "Resize the embedding.")
        tokens[index], types[index] = text, kind
    return tokens, types


def _merges(tokenizer: dict[str, Any]) -> list[str]:
    """Merges as ``left right``; older files hold text, newer ones pairs."""
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in tokenizer["model"]["merges"]]
    if wrong := next((merge for merge in merges if merge.count(" ") != 1), None):
        raise UserError(f"the merge {wrong!r} is not two tokens", "Use byte-level BPE.")
    return merges


def _add_special_ids(writer: gguf.GGUFWriter, settings: dict[str, Any], ids: dict[str, int]) -> None:
    adders = {
        "bos_token": writer.add_bos_token_id,
        "eos_token": writer.add_eos_token_id,
        "pad_token": writer.add_pad_token_id,
    }
    named = {"bos_token": _BOS_WITHOUT_A_NAME if _BOS_WITHOUT_A_NAME in ids else None}
    named |= {key: _text(settings[key]) for key in adders if settings.get(key)}
    for key, add in adders.items():
        if (token := named.get(key)) is not None:
            if token not in ids:
                raise UserError(f"{key} {token!r} is not in the vocabulary", "Mend tokenizer_config.json.")
            add(ids[token])
    writer.add_add_bos_token(bool(settings.get("add_bos_token", False)))


def _text(token: str | dict[str, Any]) -> str:
    return token if isinstance(token, str) else token["content"]


def _chat_template(model: Path, settings: dict[str, Any]) -> str | None:
    """From its own file (transformers 5) or from tokenizer_config.json."""
    file = model / "chat_template.jinja"
    return file.read_text(encoding="utf-8") if file.is_file() else settings.get("chat_template")
