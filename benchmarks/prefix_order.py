"""What the order of a teacher's requests is worth to vLLM's prefix cache.

    python -m benchmarks.prefix_order [--papers examples/papers] [--passages 48] [--cache 0.25]

Every passage is asked all seven one-passage question types, in three orders: by passage as the planner sorts them, by
type as a loop over types would send them, and shuffled. The engine is a real one on the CPU with an untrained model of
one layer, which says nothing about speed on a GPU; the share of prompt tokens that it did not have to read again is the
engine's own count. ``--cache`` is the size of its KV cache as a share of all prompts read once: with a model of 7
billion parameters and 2,000 passages on one GPU of 24 GB it is about a twentieth. Needs `make teacher`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from qa_core.config import QuestionType, ScratchModel
from qa_core.dataset.chat_tokenizer import ChatTokenizer
from qa_core.dataset.prompts import build_request
from qa_core.dataset.requests import Request, Source
from qa_core.training.base_model import build_scratch_model

TYPES: tuple[QuestionType, ...] = (
    "factual", "analytical", "hypothetical", "definition", "procedure", "numeric", "unanswerable",
)  # fmt: skip
PASSAGE_CHARS, REPLY_TOKENS = 1800, 16
SEQUENCES, BLOCK = 16, 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--papers", default="examples/papers")
    parser.add_argument("--passages", type=int, default=48)
    parser.add_argument("--cache", type=float, default=0.25)
    arguments = parser.parse_args()
    os.environ |= {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    os.environ |= {"HF_HUB_OFFLINE": "1"}
    texts = [path.read_text(encoding="utf-8") for path in sorted(Path(arguments.papers).rglob("*.md"))]
    with tempfile.TemporaryDirectory() as folder:
        settings = ScratchModel(source="scratch", num_hidden_layers=1, pretraining_steps=0)
        build_scratch_model(texts, settings, seed=7, out=Path(folder))
        asyncio.run(measure(Path(folder), texts, arguments.passages, arguments.cache))


async def measure(model: Path, texts: list[str], num_passages: int, cache: float) -> None:
    from vllm import AsyncEngineArgs, AsyncLLMEngine

    tokenizer = ChatTokenizer(model)
    sources = passages(texts, num_passages)
    requests = [build_request(kind, [one], teacher={}, num_questions=3) for one in sources for kind in TYPES]
    prompts = [tokenizer.prompt(request.messages) for request in requests]
    size = int(cache * sum(map(len, prompts)) / len(TYPES))
    engine = AsyncLLMEngine.from_engine_args(
        AsyncEngineArgs(
            str(model), max_model_len=2048, enforce_eager=True, max_num_seqs=SEQUENCES, block_size=BLOCK,
            num_gpu_blocks_override=size // BLOCK, enable_prefix_caching=True,
        )
    )  # fmt: skip
    print(f"{len(requests)} requests, {sum(map(len, prompts)):,} prompt tokens, a cache of {size:,} tokens")
    result: dict[str, Any] = {"requests": len(requests), "cache": cache, "from_cache": {}, "seconds": {}}
    for name, order in orders(requests).items():
        await engine.reset_prefix_cache()
        share, seconds = await ask(engine, [prompts[position] for position in order])
        result["from_cache"][name], result["seconds"][name] = round(share, 3), round(seconds, 1)
        print(f"{name:12} {share:6.1%} of the prompt tokens from the cache, {seconds:6.1f} s")
    engine.shutdown()
    print(json.dumps(result))


def passages(texts: list[str], count: int) -> list[Source]:
    cut = [
        Source(
            f"c{number}-{start}",
            f"d{number}",
            f"Paper {number}",
            "prose",
            "",
            start,
            text[start : start + PASSAGE_CHARS],
        )
        for number, text in enumerate(texts)
        for start in range(0, len(text) - PASSAGE_CHARS, PASSAGE_CHARS)
    ]
    return cut[:: max(1, len(cut) // count)][:count]


def orders(requests: list[Request]) -> dict[str, list[int]]:
    """Name -> positions of the requests, which come by passage."""
    positions = list(range(len(requests)))
    shuffled = random.Random(7).sample(positions, len(positions))
    by_type = sorted(positions, key=lambda position: TYPES.index(requests[position].question_type))
    return {"by passage": positions, "by type": by_type, "shuffled": shuffled}


async def ask(engine: Any, prompts: list[list[int]]) -> tuple[float, float]:
    """Share of the prompt tokens that came from the cache, and seconds."""
    from vllm import SamplingParams
    from vllm.inputs.llm import TokensPrompt

    parameters = SamplingParams(max_tokens=REPLY_TOKENS, temperature=0.0, ignore_eos=True)

    async def one(number: int) -> int:
        async for reply in engine.generate(TokensPrompt(prompt_token_ids=prompts[number]), parameters, f"{number}"):
            last = reply
        return int(last.num_cached_tokens)

    started = time.monotonic()
    cached = await asyncio.gather(*(one(number) for number in range(len(prompts))))
    return sum(cached) / sum(map(len, prompts)), time.monotonic() - started


if __name__ == "__main__":
    main()
