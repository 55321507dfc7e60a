"""Adapter to a 4-bit file, and how far it may be from the model it came from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from qa_core.config.section import Fraction, Section

Rounding = Literal["gptq", "nearest"]


class ParityLimits(Section):
    """What the converted files may differ by before the stage fails."""

    tokenizer_strings: int = Field(2000, ge=10)
    """Strings whose token ids must be equal in both tokenizers."""
    max_logit_difference: float = Field(0.1, gt=0)
    """F16 GGUF against the merged model: largest difference of two logits, in standard deviations of its position."""
    min_argmax_agreement: Fraction = 0.995
    """F16 GGUF against the merged model, share of positions with the same first choice."""
    greedy_prompts: int = Field(20, ge=0)
    """Validation prompts that are answered without chance."""
    greedy_tokens: int = Field(32, ge=1)
    """Most tokens of such an answer."""
    min_greedy_agreement: Fraction = 0.9
    """F16 GGUF against the merged model, share of those answers that are equal token for token."""
    max_mean_kld: float = Field(0.2, gt=0)
    """Quantised against F16 GGUF, mean Kullback-Leibler divergence in nats per token."""
    max_term_kld: float = Field(0.2, gt=0)
    """The same at the tokens of technical terms and numbers alone."""
    max_perplexity_ratio: float = Field(1.1, ge=1)
    """Quantised over F16 GGUF, perplexity on the text of papers that are not trained on."""


class ConvertCompute(Section):
    num_workers: int = Field(1, ge=1)
    """Ray tasks that calibrate at once; what they find is the same for any number of them. Each holds the model in
    float32."""
    num_cpus: float = Field(1.0, gt=0)
    """Of each task."""
    num_gpus: float = Field(0.0, ge=0)
    n_threads: int = Field(2, ge=1)
    """Of each task. Sums of floats differ in their last digits with it."""


class ConvertSettings(Section):
    quantization: Literal["Q4_K_M", "Q4_K_S", "IQ4_XS", "Q5_K_M", "Q6_K", "Q8_0"] = "Q4_K_M"
    rounding: Rounding = "gptq"
    """``gptq`` chooses the 4 or 5 bits of each weight again, so that errors cancel on the calibration rows; ``nearest``
    is what llama.cpp does. Types and size are the same."""
    gptq_max_inputs: int = Field(4096, ge=0)
    """Layers with more input channels than this keep the nearest values: those of n inputs take 8 n^2 bytes of memory
    in each task, for as many as the model has, and three times that where the tasks' sums are added."""
    base_file: bool = False
    """Also write ``base.gguf``, the base in the same type, over which a service can lay the adapter."""
    calibration_rows: int = Field(64, ge=1)
    """Training conversations, in the served chat template, that the model is calibrated on."""
    calibration_chunks: int = Field(32, ge=0)
    """Prompts that show the training papers' own chunks as sources of a training question, beside those."""
    calibration_length: int = Field(512, ge=32)
    """Most tokens of a calibration sequence."""
    min_calibration_rows: int = Field(8, ge=1)
    """Fewer than these say too little about which channels matter, and the stage fails."""
    parity: ParityLimits = ParityLimits()
    compute: ConvertCompute = ConvertCompute()

    @property
    def full_moments(self) -> int:
        """Most inputs of a layer of which all products are summed, not their squares alone."""
        return self.gptq_max_inputs if self.rounding == "gptq" else 0
