"""Adapter to a 4-bit file, and how far it may be from the model it came from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from qa_core.config.section import Fraction, Section


class ParityLimits(Section):
    """What the converted files may differ by before the stage fails."""

    tokenizer_strings: int = Field(2000, ge=10)
    """Strings whose token ids must be equal in both tokenizers."""
    max_logit_difference: float = Field(0.05, gt=0)
    """F16 GGUF against the merged model, largest absolute difference."""
    min_argmax_agreement: Fraction = 0.99
    """F16 GGUF against the merged model, share of positions with the same first choice."""
    max_mean_kld: float = Field(0.2, gt=0)
    """Quantised against F16 GGUF, mean Kullback-Leibler divergence in nats per token."""
    max_term_kld: float = Field(0.2, gt=0)
    """The same at the tokens of technical terms and numbers alone."""


class ConvertCompute(Section):
    num_cpus: float = Field(1.0, gt=0)
    num_gpus: float = Field(0.0, ge=0)
    n_threads: int = Field(2, ge=1)


class ConvertSettings(Section):
    quantization: Literal["Q4_K_M", "Q4_K_S", "IQ4_XS", "Q5_K_M", "Q6_K", "Q8_0"] = "Q4_K_M"
    calibration_rows: int = Field(64, ge=1)
    """Training conversations, in the served chat template, that the importance matrix is computed on."""
    calibration_length: int = Field(512, ge=32)
    """Tokens in each calibration sequence."""
    parity: ParityLimits = ParityLimits()
    compute: ConvertCompute = ConvertCompute()
