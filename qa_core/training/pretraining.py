"""Plain language modelling on the corpus: what gives a scratch model its first idea of the papers' words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from tokenizers import Tokenizer
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

from qa_core.config import ScratchModel
from qa_core.corpus.markdown import parse_blocks
from qa_core.corpus.sentences import sentence_spans
from qa_core.training.tokenizer import END_OF_TEXT, TURN_END, TURN_START

_THREADS = 2
"""Fixed: the number of threads decides the order of float sums, and so the bytes of the result."""
_IGNORED = -100
"""The label that torch's cross entropy leaves out."""
_WARMUP_FRACTION = 0.1
_FINAL_LEARNING_RATE = 0.1
"""Share of the peak that the cosine ends at."""


def new_model(tokenizer: Tokenizer, settings: ScratchModel, seed: int) -> Qwen2ForCausalLM:
    """A Qwen2 model with random weights that fits ``tokenizer``."""
    turn_end, end_of_text = tokenizer.token_to_id(TURN_END), tokenizer.token_to_id(END_OF_TEXT)
    config = Qwen2Config(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=settings.hidden_size,
        intermediate_size=settings.intermediate_size,
        num_hidden_layers=settings.num_hidden_layers,
        num_attention_heads=settings.num_attention_heads,
        num_key_value_heads=settings.num_key_value_heads,
        max_position_embeddings=settings.max_position_embeddings,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=turn_end,
        pad_token_id=end_of_text,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2ForCausalLM(config).float()
    model.generation_config = GenerationConfig(eos_token_id=[turn_end, end_of_text], pad_token_id=end_of_text)
    return model


def pretrain(
    model: Qwen2ForCausalLM,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    settings: ScratchModel,
    seed: int,
    on_step: Callable[[int], None] | None = None,
) -> None:
    """Train ``model`` in place for ``settings.pretraining_steps`` (AdamW, linear warm-up, cosine decay)."""
    stream, labels = token_stream(tokenizer, texts)
    if settings.pretraining_steps == 0 or not bool((labels != _IGNORED).any()):
        return
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0, betas=(0.9, 0.95), weight_decay=0.1)
    model.train()
    with _fixed_threads():
        for step, windows in enumerate(_windows(len(stream), settings, seed)):
            for group in optimizer.param_groups:
                group["lr"] = settings.pretraining_learning_rate * _schedule(step, settings.pretraining_steps)
            model(input_ids=stream[windows], labels=labels[windows], use_cache=False).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            if on_step is not None:
                on_step(step + 1)
    model.eval()


def token_stream(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and labels, int64[n] each, of all sentences: a heading asks, each sentence below it answers.

    LoRA never trains the embeddings, so the turn marks must get their meaning here. Only the sentences and their end
    marks are learned: a model that also learns to say "user" and "assistant" says little else.
    """
    ids: list[int] = []
    labels: list[int] = []
    for text in texts:
        for heading, sentence in _sentences(text):
            asked = tokenizer.encode(f"{TURN_START}user\n{heading}{TURN_END}\n{TURN_START}assistant\n").ids
            answered = tokenizer.encode(f"{sentence}{TURN_END}").ids
            ids += asked + answered
            labels += [_IGNORED] * len(asked) + answered
        ended = tokenizer.encode(END_OF_TEXT).ids
        ids += ended
        labels += [_IGNORED] * len(ended)
    return torch.tensor(ids), torch.tensor(labels)


def _sentences(text: str) -> Iterator[tuple[str, str]]:
    """Nearest heading and sentence, of prose and lists only."""
    for block in parse_blocks(text):
        if block.kind in ("paragraph", "list"):
            heading = block.section_path[-1] if block.section_path else ""
            block_text = text[block.start : block.end]
            yield from ((heading, block_text[start:end].strip()) for start, end in sentence_spans(block_text))


def _windows(num_tokens: int, settings: ScratchModel, seed: int) -> Iterator[torch.Tensor]:
    """Seeded random windows of the stream, positions int64[batch, length]; a shorter stream is one whole row."""
    length = min(settings.pretraining_length, num_tokens)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(settings.pretraining_steps):
        starts = torch.randint(num_tokens - length + 1, (settings.pretraining_batch_size, 1), generator=generator)
        yield starts + torch.arange(length)


def _schedule(step: int, steps: int) -> float:
    warmup = max(1, round(steps * _WARMUP_FRACTION))
    if step < warmup:
        return (step + 1) / warmup
    cosine = 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
    return _FINAL_LEARNING_RATE + (1 - _FINAL_LEARNING_RATE) * cosine


@contextmanager
def _fixed_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(_THREADS)
    try:
        yield
    finally:
        torch.set_num_threads(before)
