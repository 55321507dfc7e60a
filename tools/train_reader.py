"""Train a reader: a model of six million weights that answers from the passages it is shown, on a CPU.

    python -m tools.train_reader --papers FOLDER --retrieval-set FOLDER --steps 2500 --out runs/my-reader

Reads papers (any format that `lectern chunk` reads) and retrieval sets in BEIR's layout, keeps one document in five out
for measuring, builds a tokenizer and trains. Stopped at any time, the same command goes on from its last checkpoint,
at most a minute back. Only text that may be used openly should go in: --leave-out takes shell patterns of paths.
`python -m benchmarks.reader` measures the result on the documents that were kept out, and
`base_model.source=pretrained base_model.name_or_path=runs/my-reader` puts it into a run.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from qa_core.errors import UserError
from qa_core.generation.chat import ABSTENTION, SYSTEM_RAG, SYSTEM_STANDALONE
from qa_core.training.tokenizer import save_tokenizer, train_tokenizer
from tools.reader.corpus import is_held_out, lessons, read_documents
from tools.reader.questions import pupils

VOCABULARY = 8192
MAX_POSITIONS = 2048
_PROMPT_REPEATS = 200
"""How often the prompts' fixed words are shown to the tokenizer, so that they take few tokens."""
_STEPS_PER_LINE = 50
"""Between two lines of a log, where there is no terminal to draw a bar on."""


def main() -> None:
    arguments = _parse()
    if not (arguments.papers or arguments.retrieval_set):
        raise SystemExit("There is nothing to read: give --papers FOLDER or --retrieval-set FOLDER.")
    arguments.work.mkdir(parents=True, exist_ok=True)
    documents = read_documents(arguments.papers, arguments.retrieval_set, arguments.leave_out)
    learned = [document for document in documents if not is_held_out(document)]
    print(f"{len(learned):,} documents to learn from, {len(documents) - len(learned):,} kept out to measure")
    tokenizer = _tokenizer([document.text for document in learned], arguments.work)
    taught = pupils(lessons(learned, arguments.work / "tokenizer.json"))
    print(
        f"{len(taught):,} passages, {sum(len(pupil.lesson.sentences) for pupil in taught):,} sentences, "
        f"{sum(len(pupil.readings) for pupil in taught):,} questions of the template teacher"
    )
    if not taught:
        raise SystemExit("No passage of these documents has a sentence to ask for: give more, or longer, English text.")
    _train(arguments, tokenizer, taught)


def _tokenizer(texts: list[str], work: Path) -> Any:
    from transformers import AutoTokenizer

    if not (work / "tokenizer.json").is_file():
        fixed = [f"{SYSTEM_RAG}\n{SYSTEM_STANDALONE}\n{ABSTENTION}"] * _PROMPT_REPEATS
        save_tokenizer(train_tokenizer([*texts, *fixed], VOCABULARY), MAX_POSITIONS, work)
    return AutoTokenizer.from_pretrained(work)


def _train(arguments: argparse.Namespace, tokenizer: Any, taught: list[Any]) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from tools.reader.model import new_reader
    from tools.reader.training import Training, TrainingSettings

    torch.set_num_threads(arguments.threads)
    model = new_reader(tokenizer, arguments.layers, arguments.intermediate_size, MAX_POSITIONS, arguments.seed)
    if arguments.start:
        model.load_state_dict(AutoModelForCausalLM.from_pretrained(arguments.start, dtype="float32").state_dict())
    settings = TrainingSettings(
        arguments.steps, arguments.learning_rate, whole_answers=arguments.whole_answers,
        course_from=arguments.course_from, seed=arguments.seed,
    )  # fmt: skip
    training = Training(model, tokenizer, taught, settings, arguments.work)
    with Progress(
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]}"),
    ) as progress:
        task = progress.add_task("", total=settings.steps, completed=training.step, loss="")

        def tell(figures: dict[str, float]) -> None:
            found = math.exp(-figures["first"]) if "first" in figures else math.nan
            loss = f"loss {figures['answers']:.3f}, {found:.0%} of attention on the right sentence"
            progress.update(task, advance=1, loss=loss)
            if not progress.console.is_terminal and figures["step"] % _STEPS_PER_LINE == 0:
                print(f"step {figures['step']:.0f} of {settings.steps}, {loss}", flush=True)

        training.run(tell)
    _write(model, tokenizer, training, arguments.out)


def _write(model: Any, tokenizer: Any, training: Any, out: Path) -> None:
    """A Hugging Face folder in bfloat16 and the loss curve beside it."""
    import torch

    model.set_attn_implementation("sdpa")
    model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)
    every = max(1, len(training.curve) // 50)
    summary = {
        "weights": sum(parameter.numel() for parameter in model.parameters()),
        "steps": training.step, "tokens": training.tokens, "seconds": round(training.seconds),
        "curve": training.curve[::every],
    }  # fmt: skip
    (out / "training.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({name: value for name, value in summary.items() if name != "curve"}))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--papers", action="append", default=[], metavar="FOLDER", help="may be given several times")
    parser.add_argument(
        "--retrieval-set", action="append", default=[], metavar="FOLDER", help="may be given several times"
    )
    parser.add_argument("--leave-out", action="append", default=[], metavar="PATTERN", help='such as "*/arxiv/*"')
    parser.add_argument("--steps", type=int, default=2500, help="a step is 48 questions, about a second on two cores")
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--intermediate-size", type=int, default=512)
    parser.add_argument("--start", type=Path, metavar="FOLDER", help="a finished reader of these sizes to begin with")
    parser.add_argument(
        "--course-from",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="of the course, 0 to 1: 0.2 begins with three passages",
    )
    parser.add_argument(
        "--whole-answers", type=float, default=0.3, metavar="SHARE",
        help="of the answers that are learned to their end; of the others only the first eight tokens",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--work", type=Path, default=Path("runs/reader"), metavar="FOLDER", help="tokenizer and checkpoint"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the finished model goes")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"{error.problem}\n{error.remedy}") from error
