"""Layers, overrides and the words that a mistake is told in."""

from __future__ import annotations

from pathlib import Path

import pytest

from qa_core.config_loader import apply, load_config, merge, parse_override
from qa_core.errors import UserError


def problem(names: list[str], overrides: list[str]) -> str:
    with pytest.raises(UserError) as caught:
        load_config(names, overrides)
    return str(caught.value)


def test_later_layers_win_and_overrides_win_over_all(tmp_path: Path) -> None:
    layer = tmp_path / "mine.yaml"
    layer.write_text("finetune: {max_steps: 7, eval_steps: 3}\n")
    config = load_config(["tiny", str(layer)], ["finetune.max_steps=9"])
    assert (config.finetune.max_steps, config.finetune.eval_steps) == (9, 3)
    assert config.finetune.train_batch_size == 4  # from tiny, untouched


def test_a_section_that_changes_its_variant_does_not_inherit_the_other_variants_keys() -> None:
    config = load_config(["tiny", "laptop"])
    assert config.base_model.source == "pretrained"
    assert merge({"a": {"source": "x", "k": 1}}, {"a": {"source": "y"}}) == {"a": {"source": "y"}}
    assert merge({"a": {"source": "x", "k": 1}}, {"a": {"k": 2}}) == {"a": {"source": "x", "k": 2}}


def test_overrides_read_numbers_lists_and_scientific_notation() -> None:
    config = load_config([], ["finetune.learning_rate=1e-5", "eval.modes=[rag]"])
    assert config.finetune.learning_rate == 1e-5
    assert config.eval.modes == ("rag",)
    assert parse_override("run.name=x") == {"run": {"name": "x"}}


def test_an_unknown_key_names_the_nearest_known_one() -> None:
    assert "did you mean 'learning_rate'" in problem(["tiny"], ["finetune.learnin_rate=1"])
    assert "did you mean 'finetune'" in problem(["tiny"], ["finetunes.max_steps=1"])
    assert "did you mean 'hidden_size'" in problem(["tiny"], ["base_model.source=scratch", "base_model.hiden_size=256"])


def test_a_wrong_value_is_told_with_its_key_and_itself() -> None:
    assert "finetune.max_steps='abc'" in problem([], ["finetune.max_steps=abc"])
    assert "multiple of 256" in problem(["tiny"], ["base_model.source=scratch", "base_model.hidden_size=300"])
    assert "must be a multiple of" in problem([], ["finetune.train_batch_size=6", "finetune.compute.num_workers=4"])


def test_a_model_or_mode_that_is_named_twice_is_refused_before_anything_is_asked() -> None:
    assert "must not name anything twice" in problem(["tiny"], ["eval.compare=[base-4bit,base-4bit]"])


def test_a_config_that_is_not_there_lists_those_that_are() -> None:
    assert "did you mean 'tiny'" in problem(["tinny"], [])
    assert "no such config file" in problem(["/nowhere/x.yaml"], [])


def test_a_file_that_is_not_a_tree_of_sections_is_refused(tmp_path: Path) -> None:
    for content in ("- a\n- b\n", "a: [unclosed\n"):
        path = tmp_path / "bad.yaml"
        path.write_text(content)
        assert str(path) in problem([str(path)], [])


def test_an_override_without_a_section_or_a_value_is_refused() -> None:
    for override in ("x", "x=1", "=1", "a..b=1"):
        assert "section.key=value" in problem([], [override])


def test_apply_replaces_dotted_keys_and_checks_again() -> None:
    config = load_config(["tiny"])
    assert apply(config, {"finetune.lora.r": 8}).finetune.lora.r == 8
    with pytest.raises(UserError):
        apply(config, {"finetune.lora.rank": 8})


def test_the_order_of_overrides_does_not_matter_to_a_changed_variant() -> None:
    overrides = ["base_model.hidden_size=512", "base_model.source=scratch"]
    assert load_config(["tiny"], overrides) == load_config(["tiny"], overrides[::-1])
    assert load_config(["tiny"], overrides).base_model.hidden_size == 512
