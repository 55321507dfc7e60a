"""A scratch base model: the same seed gives the same bytes, and its tokenizer is Qwen2's in all but vocabulary."""

from __future__ import annotations

import json
import shutil
import unicodedata
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from qa_core.config import PretrainedModel, ScratchModel
from qa_core.errors import UserError
from qa_core.training.base_model import build_scratch_model, model_location, tokenizer_file, write_pretrained_reference
from qa_core.training.tokenizer import SPECIAL_TOKENS, train_tokenizer

TEXTS = [
    "# Raft\n\nRaft elects a leader by majority. A follower that hears nothing starts an election.\n\n" * 3,
    "# Hashing\n\nConsistent hashing moves K/n keys when a node joins. It isn't random: 0.5% remain.\n\n" * 3,
]


def scratch(steps: int = 2) -> ScratchModel:
    return ScratchModel(
        source="scratch",
        vocab_size=512,
        intermediate_size=256,
        num_hidden_layers=1,
        pretraining_steps=steps,
        pretraining_batch_size=2,
        pretraining_length=32,
    )


def build(folder: Path, seed: int = 1, steps: int = 2) -> dict[str, bytes]:
    build_scratch_model(TEXTS, scratch(steps), seed, folder)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    build(folder)
    return folder


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_weights(base: Path, tmp_path: Path) -> None:
    first = {path.name: path.read_bytes() for path in base.iterdir()}
    assert build(tmp_path / "again") == first
    other = build(tmp_path / "other", seed=2)
    assert other["tokenizer.json"] == first["tokenizer.json"]
    assert other["model.safetensors"] != first["model.safetensors"]


def test_every_pretraining_step_is_told_and_changes_the_weights(base: Path, tmp_path: Path) -> None:
    steps: list[int] = []
    build_scratch_model(TEXTS, scratch(steps=3), 1, tmp_path / "told", on_step=steps.append)
    assert steps == [1, 2, 3]
    untrained = build(tmp_path / "untrained", steps=0)
    assert untrained["model.safetensors"] != (base / "model.safetensors").read_bytes()


def test_a_small_corpus_shrinks_the_vocabulary_to_the_tokens_there_are(base: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    assert model.config.vocab_size == len(tokenizer) < 512
    assert model.config.vocab_size % 32 == 0
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight


def test_text_survives_encoding_up_to_nfc(base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    for text in ["naïve re\u0301sume\u0301", "  two  spaces\n\n\tand a tab", "漢字 🙂 x² ≤ 10%", "it's", ""]:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids) == unicodedata.normalize("NFC", text)


def test_numbers_are_cut_into_single_digits_as_qwen2_does() -> None:
    tokenizer = train_tokenizer(["1234 1234 1234 1234"], 512)
    assert tokenizer.encode("1234").tokens == ["1", "2", "3", "4"]


def test_turn_marks_are_single_tokens_and_end_and_padding_are_set(base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    for token in SPECIAL_TOKENS:
        assert len(tokenizer(token, add_special_tokens=False)["input_ids"]) == 1
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|endoftext|>")
    generation = json.loads((base / "generation_config.json").read_text())
    assert generation["eos_token_id"] == tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])


def test_the_chat_template_is_chatml_without_a_default_system_prompt(base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Why?"}], tokenize=False, add_generation_prompt=True
    )
    assert text == "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"


def test_a_scratch_base_is_its_own_location(base: Path) -> None:
    assert model_location(base) == str(base)
    assert tokenizer_file(base) == base / "tokenizer.json"


def test_a_local_pretrained_folder_is_pointed_at_not_copied(base: Path, tmp_path: Path) -> None:
    write_pretrained_reference(PretrainedModel(name_or_path=str(base)), tmp_path / "reference")
    assert [path.name for path in (tmp_path / "reference").iterdir()] == ["base.json"]
    assert model_location(tmp_path / "reference") == str(base)
    assert tokenizer_file(tmp_path / "reference") == base / "tokenizer.json"


def test_a_model_inside_a_package_keeps_its_name_and_is_found_on_every_node(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "somewhere" / "small_models"
    shutil.copytree(base, package / "reader")
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(package.parent))
    write_pretrained_reference(PretrainedModel(name_or_path="package:small_models/reader"), tmp_path / "reference")
    assert str(tmp_path) not in (tmp_path / "reference/base.json").read_text()
    assert model_location(tmp_path / "reference") == str(package / "reader")
    assert tokenizer_file(tmp_path / "reference") == package / "reader/tokenizer.json"


def test_a_package_that_is_not_installed_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"base_model\.name_or_path=package:no_such/m.*'no_such' is missing"):
        write_pretrained_reference(PretrainedModel(name_or_path="package:no_such/m"), tmp_path / "reference")
    assert not (tmp_path / "reference").exists()


def test_a_model_that_is_neither_local_nor_on_a_reachable_hub_is_told_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError, match=r"nobody/nothing[\s\S]*base_model.name_or_path=FOLDER"):
        write_pretrained_reference(PretrainedModel(name_or_path="nobody/nothing"), tmp_path / "reference")
    assert not (tmp_path / "reference").exists()


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"has no tokenizer\.json"):
        write_pretrained_reference(PretrainedModel(name_or_path=str(tmp_path)), tmp_path / "reference")


def test_no_text_is_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no text"):
        build_scratch_model(["", " \n"], scratch(), 1, tmp_path)
