"""The training loop beside TRL's SFTTrainer, and inside Ray Train beside itself run plainly.

    pip install -e ".[bench]"
    python -m benchmarks.training [trl | ray] [--rounds 3] [--steps 8] [--ray-steps 80]
    python -m benchmarks.training --device cuda          one GPU, a random model of Qwen2.5-3B's shape, our loop alone

A small Qwen2 with random weights in NF4, the same rows, adapters, batches and threads; each run is a process of its
own, and the contestants take turns. The rows are random tokens with the lengths of the demo's rows, a tenth of them
learned.

    packing_efficiency  share of what the model computes on that is no padding
    ratio_to_trl        tokens a CPU second of one thread, ours by TRL's with packing (medians)
    ray_overhead_pct    seconds of the loop in a Ray Train worker, with its checkpoints reported, over plain seconds;
                        one thread each, so that a core is left for Ray's own processes
    peak_mem_ratio      peak resident memory less what the imports take, ours by TRL's (medians)
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.training_contestants import (
    CONTESTANTS,
    LARGE,
    SEED,
    SMALL,
    StepClock,
    rows,
    settings,
    write_model,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=("trl", "ray"), help="one of the comparisons alone")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8, help="optimisation steps of a run beside TRL")
    parser.add_argument("--ray-steps", type=int, default=80, help="of a run in Ray Train; two minutes or more")
    parser.add_argument("--words", type=int, default=SMALL["vocab_size"], help="of the small model's vocabulary")
    parser.add_argument("--max-length", type=int, default=1024)
    parser.add_argument("--run", choices=("ours", "trl", "plain", "ray"), help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(CONTESTANTS[options.run](options)))
    elif options.device == "cuda":
        on_one_gpu(options)
    else:
        on_cpu(options)


def on_cpu(options: argparse.Namespace) -> None:
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        write_model(folder, {**SMALL, "vocab_size": options.words})
        if options.part in (None, "trl"):
            figures |= beside_trl(medians(("ours", "trl"), folder, options))
        if options.part in (None, "ray"):
            figures |= inside_ray(medians(("plain", "ray"), folder, options))
    print(json.dumps({**figures, "rounds": options.rounds}))


def medians(names: Sequence[str], folder: str, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Of each contestant's figures; who goes first changes from round to round."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for number in range(options.rounds):
        for name in names if number % 2 == 0 else names[::-1]:
            found[name].append(in_a_process(name, folder, options))
            print(f"round {number + 1}  {name:<6}{describe(found[name][-1])}", flush=True)
    return {name: {key: median(run[key] for run in runs) for key in runs[0]} for name, runs in found.items()}


def beside_trl(middle: dict[str, dict[str, float]]) -> dict[str, float]:
    ours, trl = middle["ours"], middle["trl"]
    return {
        "packing_efficiency": round(ours["packing_efficiency"], 4),
        "bins_filled": round(ours["bins_filled"], 4),
        "ratio_to_trl": round(ours["tokens_per_second"] / trl["tokens_per_second"], 3),
        "peak_mem_ratio": round(ours["peak_bytes"] / trl["peak_bytes"], 3),
    }


def inside_ray(middle: dict[str, dict[str, float]]) -> dict[str, float]:
    return {
        "ray_overhead_pct": round(100 * (middle["ray"]["loop_s"] / middle["plain"]["loop_s"] - 1), 2),
        "ray_loop_s": round(middle["ray"]["loop_s"], 1),
        "ray_start_s": round(middle["ray"]["start_s"], 1),
    }


def in_a_process(name: str, folder: str, options: argparse.Namespace) -> dict[str, float]:
    steps = options.ray_steps if name in ("plain", "ray") else options.steps
    command = [sys.executable, "-m", "benchmarks.training", "--run", name, "--model", folder]
    command += ["--steps", str(steps), "--max-length", str(options.max_length), "--words", str(options.words)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(result.stdout + result.stderr)
    return json.loads(result.stdout.splitlines()[-1])


def describe(figures: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:,.4g}" for name, value in figures.items())


def on_one_gpu(options: argparse.Namespace) -> None:
    """Tokens a second, MFU and peak memory of QLoRA on a model of three billion random weights."""
    import torch

    from qa_core.training.fit import fit
    from qa_core.training.packing import packed_order
    from qa_core.training.throughput import FLOPS_PER_WEIGHT, peak_flops

    examples, chosen, clock = rows(LARGE["vocab_size"]), settings(options), StepClock("cuda")
    lengths = [len(example.input_ids) for example in examples]
    bins = packed_order(lengths, chosen.max_length, chosen.max_steps * 4, SEED)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as workdir:
        write_model(folder, LARGE)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        result = fit(folder, examples, [], chosen, SEED, Path(workdir), on_step=clock)
    speed = clock.speed(
        [sum(lengths[row] for rows_ in bins[at : at + 4] for row in rows_) for at in range(0, len(bins), 4)]
    )
    name = torch.cuda.get_device_name()
    peak, weights = peak_flops(name), result.metrics["parameters"]
    print(
        json.dumps(
            {
                "device": name,
                "tokens_per_second": round(speed, 1),
                "mfu": round(FLOPS_PER_WEIGHT * weights * speed / peak, 4) if peak else None,
                "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
                "parameters": weights,
            }
        )
    )


if __name__ == "__main__":
    main()
