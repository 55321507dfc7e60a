"""The model as Hugging Face's libraries run it: what the GGUF files are made from and held against."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def load_tokenizer(model: Path) -> Any:
    return AutoTokenizer.from_pretrained(model)


def load_model(model: Path, n_threads: int) -> Any:
    """In float32 and evaluation mode, on the GPU where this process has one."""
    torch.set_num_threads(n_threads)  # sums in another order differ in their last bit
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    return network.to(device).eval()


@torch.inference_mode()
def logits_of(model: Any, tokens: Sequence[int]) -> npt.NDArray[np.float32]:
    """Logits [tokens, vocabulary] of one sequence."""
    ids = torch.tensor([list(tokens)], device=model.device)
    logits: npt.NDArray[np.float32] = model(ids, use_cache=False).logits[0].float().cpu().numpy()
    return logits
