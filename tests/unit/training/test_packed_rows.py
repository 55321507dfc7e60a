"""A packed row is computed as if it were alone: same hidden states, same loss, same gradient; no logits in between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import Qwen2Config, Qwen2ForCausalLM

from qa_core.training import attention
from qa_core.training.batches import PackedCollator, PackedDataset
from qa_core.training.loss import install_completion_loss
from qa_core.training.sft import TrainingExample

WORDS = 700
NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NEEDS_CUDA])]


@pytest.fixture(scope="module")
def model() -> Any:
    attention.register()
    torch.manual_seed(1)
    config = Qwen2Config(
        vocab_size=WORDS, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, attn_implementation=attention.ROW_ATTENTION,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config).eval()
    install_completion_loss(model)
    return model


def rows(*lengths: int) -> list[TrainingExample]:
    generator = torch.Generator().manual_seed(7)
    made = []
    for length in lengths:
        tokens = torch.randint(0, WORDS, (length,), generator=generator).tolist()
        prompt = length // 2
        made.append(TrainingExample(tokens, [-100] * prompt + tokens[prompt:], f"row-{length}"))
    return made


def packed(examples: Sequence[TrainingExample]) -> dict[str, Any]:
    batch = PackedCollator()([PackedDataset(examples, [tuple(range(len(examples)))])[0]])
    return {name: value for name, value in batch.items() if name not in ("first_bin", "qa_ids")}


def plain_loss(model: Any, example: TrainingExample) -> torch.Tensor:
    """Summed by transformers' and torch's own means: full logits of the row alone, shifted by hand."""
    logits = model(input_ids=torch.tensor([example.input_ids], device=model.device)).logits[0, :-1]
    targets = torch.tensor(example.labels[1:], device=model.device)
    return torch.nn.functional.cross_entropy(logits, targets, reduction="sum")


def test_positions_restart_and_the_batch_knows_its_rows() -> None:
    examples = rows(3, 5)
    batch = PackedCollator()([PackedDataset(examples, [(1, 0)])[0]])
    assert batch["input_ids"].tolist() == [examples[1].input_ids + examples[0].input_ids]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3, 4, 0, 1, 2]]
    assert batch["cu_seq_lens_q"].tolist() == [0, 5, 8]
    assert batch["labels"].tolist() == [examples[1].labels + examples[0].labels]
    assert (batch["first_bin"], batch["qa_ids"]) == (0, ["row-5", "row-3"])


@pytest.mark.parametrize("device", DEVICES)
def test_a_packed_rows_states_are_those_of_the_row_alone(model: Any, device: str) -> None:
    examples = rows(9, 40, 23)
    model.to(device)
    with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"), torch.no_grad():
        together = packed(examples)
        del together["labels"]
        states = model.model(**{k: v.to(device) if hasattr(v, "to") else v for k, v in together.items()})
        split = states.last_hidden_state[0].split([len(example.input_ids) for example in examples])
        for example, found in zip(examples, split, strict=True):
            alone = model.model(input_ids=torch.tensor([example.input_ids], device=device)).last_hidden_state[0]
            assert torch.allclose(found, alone, atol=1e-5 if device == "cpu" else 5e-2)


def test_a_packed_batchs_loss_and_gradient_are_those_of_its_rows(model: Any) -> None:
    examples = rows(9, 40, 23)
    gradients = []
    for loss in (model(**packed(examples)).loss, None):
        model.zero_grad()
        if loss is None:
            learned = sum(label != -100 for example in examples for label in example.labels)
            loss = sum(plain_loss(model, example) for example in examples) / learned
        loss.backward()
        gradients.append((loss.item(), model.model.layers[0].self_attn.v_proj.weight.grad.clone()))
    assert gradients[0][0] == pytest.approx(gradients[1][0], rel=1e-6)
    assert torch.allclose(gradients[0][1], gradients[1][1], atol=1e-6)


def test_the_loss_of_a_step_is_shared_by_its_micro_batches(model: Any) -> None:
    examples = rows(9, 40, 23)
    learned = torch.tensor(sum(label != -100 for example in examples for label in example.labels))
    parts = [model(**packed([example]), num_items_in_batch=learned).loss for example in examples]
    assert torch.stack(parts).sum().item() == pytest.approx(model(**packed(examples)).loss.item(), rel=1e-6)


class LargestWidth(TorchDispatchMode):
    """The most rows of a tensor that is as wide as the vocabulary."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor) and tensor.dim() > 1 and tensor.shape[-1] == WORDS:
                self.rows = max(self.rows, tensor.numel() // WORDS)
        return result


def test_logits_never_exist_for_more_than_a_chunk_of_the_learned_tokens(model: Any) -> None:
    examples = rows(*[400] * 6)  # 1,200 learned tokens
    with LargestWidth() as seen:
        model(**packed(examples)).loss.backward()
    assert 0 < seen.rows <= 256
    with LargestWidth() as seen:
        plain_loss(model, examples[0])
    assert seen.rows >= 399  # what it would see if they did
