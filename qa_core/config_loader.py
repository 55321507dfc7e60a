"""From names, files and ``section.key=value`` to one checked :class:`LecternConfig`.

Order: defaults < ``--config`` files from left to right < overrides. Every mistake is a :class:`UserError` that names
the key, the value and what would be right.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from qa_core.config import LecternConfig
from qa_core.errors import UserError

Tree = dict[str, Any]

_DISCRIMINATORS = ("engine", "source", "method")


def load_config(names: Sequence[str] = (), overrides: Sequence[str] = ()) -> LecternConfig:
    """The config that ``names`` (shipped names or YAML files) and ``overrides`` (``section.key=value``) describe."""
    tree: Tree = {}
    for name in names:
        tree = merge(tree, read_layer(name))
    last: Tree = {}
    for override in overrides:
        last = merge(last, parse_override(override))
    return validate(merge(tree, last))


def apply(config: LecternConfig, values: Mapping[str, Any]) -> LecternConfig:
    """``config`` with dotted keys replaced, checked again: ``apply(config, {"finetune.lora.r": 8})``."""
    tree: Tree = config.model_dump(mode="json")
    for key, value in values.items():
        tree = merge(tree, nest(key, value))
    return validate(tree)


def shipped_configs() -> list[str]:
    """Names of the configs that come with Lectern."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _shipped().iterdir() if entry.name.endswith(".yaml"))


def read_layer(name: str) -> Tree:
    """One YAML layer: a shipped name (``tiny``) or a path ending in .yaml or .yml."""
    if name in shipped_configs():
        text, label = _shipped().joinpath(f"{name}.yaml").read_text(encoding="utf-8"), name
    elif name.endswith((".yaml", ".yml")):
        text, label = _read_file(Path(name)), name
    else:
        known = shipped_configs()
        hint = nearest(name, known)
        raise UserError(
            f"no config named {name!r}{hint}", f"Shipped: {', '.join(known)}; or give a file ending in .yaml."
        )
    try:
        tree = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise UserError(f"{label} is not valid YAML: {' '.join(str(error).split())}", "Mend the file.") from error
    if not isinstance(tree, dict):
        raise UserError(
            f"{label} holds a {type(tree).__name__}, not sections", "Write `section:` lines with keys below."
        )
    return tree


def parse_override(override: str) -> Tree:
    """``finetune.max_steps=40`` as a nested tree; the value is read as YAML."""
    key, separator, value = override.partition("=")
    if not separator or not all(part.strip() for part in key.split(".")) or "." not in key:
        raise UserError(
            f"cannot read {override!r}", "Write overrides as section.key=value, e.g. finetune.max_steps=40."
        )
    try:
        return nest(key.strip(), yaml.safe_load(value))
    except yaml.YAMLError as error:
        raise UserError(f"cannot read the value of {override!r}", "Quote it: section.key='\"text\"'.") from error


def nest(key: str, value: Any) -> Tree:
    """``nest("a.b", 1)`` is ``{"a": {"b": 1}}``."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def merge(base: Tree, layer: Tree) -> Tree:
    """``layer`` laid over ``base``; a section that changes its engine or source does not inherit the other's keys."""
    merged = dict(base)
    for key, value in layer.items():
        old = merged.get(key)
        if isinstance(value, dict) and isinstance(old, dict) and not _changes_variant(old, value):
            merged[key] = merge(old, value)
        else:
            merged[key] = value
    return merged


def _changes_variant(old: Tree, new: Tree) -> bool:
    return any(name in old and name in new and new[name] != old[name] for name in _DISCRIMINATORS)


def validate(tree: Tree) -> LecternConfig:
    """The checked config, or a :class:`UserError` with one line a mistake."""
    try:
        return LecternConfig.model_validate(tree)
    except ValidationError as error:
        lines = [_explain(dict(detail), tree) for detail in error.errors(include_url=False)]
        raise UserError(
            "the config has a mistake:\n  " + "\n  ".join(lines), "`lectern config` prints every key."
        ) from error


def _explain(detail: dict[str, Any], tree: Tree) -> str:
    location = _as_written(detail["loc"], tree)
    key = ".".join(location)
    if detail["type"] == "extra_forbidden":
        return f"unknown key {key}{nearest(location[-1], _known_keys(location[:-1], tree))}"
    if detail["type"] == "missing":
        return f"{key} is missing"
    if detail["type"] in ("union_tag_invalid", "union_tag_not_found"):
        context = detail["ctx"]
        name = context["discriminator"].strip("'")
        expected = context.get("expected_tags", "")
        given = (
            f"={context['tag']!r} is none of {expected}"
            if expected
            else " is missing: it says which keys the section has"
        )
        return f"{key}.{name}{given}"
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "value_error":
        return f"{key}: {message}"
    return f"{key}={detail['input']!r}: {message[0].lower()}{message[1:]}"


def _as_written(location: Sequence[str | int], tree: Tree) -> list[str]:
    """``location`` without the names of union variants, which pydantic puts in and the user never wrote."""
    parts: list[str] = []
    node: Any = tree
    for position, part in enumerate(location):
        is_last = position == len(location) - 1
        if isinstance(node, dict) and part not in node and not is_last:
            continue
        parts.append(str(part))
        node = node.get(part) if isinstance(node, dict) else None
    return parts


def _known_keys(location: Sequence[str], tree: Tree) -> list[str]:
    """Names that the section at ``location`` takes, where the tree says which variant of it is meant."""
    model: type[BaseModel] = LecternConfig
    node: Any = tree
    for part in location:
        field = model.model_fields.get(part)
        node = node.get(part) if isinstance(node, dict) else None
        variants = _models(field.annotation) if field else []
        if not variants:
            return []
        model = next((variant for variant in variants if _is_meant(variant, node)), variants[0])
    return list(model.model_fields)


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The sections that an annotation allows, in its order."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]


def _is_meant(variant: type[BaseModel], node: Any) -> bool:
    named = [(name, node.get(name)) for name in _DISCRIMINATORS if isinstance(node, dict) and name in node]
    return any(
        name in variant.model_fields and value in get_args(variant.model_fields[name].annotation)
        for name, value in named
    )


def nearest(word: str, known: Sequence[str]) -> str:
    """`` (did you mean ...?)`` or nothing."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _shipped() -> Any:
    return resources.files("qa_core") / "configs"


def _read_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"no such config file: {path}", f"Shipped: {', '.join(shipped_configs())}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}", "Check the path and its permissions.") from error
