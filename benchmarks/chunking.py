"""How fast markdown becomes chunks of at most 512 tokens, beside other chunkers with the same tokenizer.

    python -m benchmarks.chunking PATH [--tokenizer FILE] [--rounds 3] [--max-tokens 512] [--give-up 20]

The peers: pip install -e ".[bench]"; a missing one is left out. Times are CPU seconds of this one process with all its
threads, so other work on the machine hardly counts and threads are no advantage. In each round every contestant is
built anew, so that it remembers no text, is warmed up with 300 like sentences, and reads all files; speeds are medians
over the rounds, in 10^6 bytes of file a second.

Before that each reads all files once in a process of its own, which gives the chunks that are judged. A file that takes
longer than ``--give-up`` CPU seconds there is given up: it counts with that time, so the speed is an upper bound, and
has no chunks.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import tempfile
import time
from dataclasses import dataclass, field, replace
from functools import cache
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.chunking_checks import atomic_blocks, judge, lost_characters, wrong_ids
from benchmarks.chunking_peers import CHONKIE, CHONKIE_BY_OTHERS, OURS, PEERS, Contestant, Paper, Piece, encoder
from benchmarks.qwen_tokenizer import save_qwen_tokenizer
from qa_core.corpus.counting import TokenCounter
from qa_core.corpus.documents import DocumentRejected
from qa_core.corpus.loading import read_document
from qa_core.corpus.papers import find_papers
from qa_core.errors import UserError

_LEAST_BYTES = 4000
"""Of a file whose speed is compared with other files': below it, the clock and the title search say more."""
_TABLE_WIDTH = 150
_WARM_UP_TEXT = "# Title\n\n" + "".join(f"Sentence number {number} says something.\n\n" for number in range(300))
_WARM_UP = Paper("warm_up.md", _WARM_UP_TEXT.encode(), _WARM_UP_TEXT)
"""Read untimed: the threads and tables that a library sets up at first use would all be charged to the first file."""


@dataclass
class Result:
    """What a contestant made of the papers, by their numbers."""

    contestant: Contestant
    pieces: dict[int, list[Piece]]
    rounds: list[list[float]] = field(default_factory=list)
    """Seconds of each paper in each round."""


@dataclass(frozen=True)
class Setup:
    papers: list[Paper]
    tokenizer_file: Path
    max_tokens: int
    give_up_s: float


def read_papers(folder: str) -> list[Paper]:
    """Markdown files below ``folder``; names the ones that are left out."""
    papers = []
    for file in find_papers(folder):
        with file.open() as stream:
            data = stream.read()
        try:
            document = read_document(file.source, data) if file.format == "markdown" else None
        except DocumentRejected as rejection:
            print(f"left out {file.source}: {rejection.reason}")
        else:
            if document is not None and document.format == "markdown":
                papers.append(Paper(file.source, data, document.text))
            else:
                print(f"left out {file.source}: not markdown")
    if not papers:
        raise UserError(f"{folder} holds no markdown that can be read", "Give a folder with papers.")
    return papers


def first_pass(contestant: Contestant, setup: Setup) -> dict[int, list[Piece]]:
    """The chunks of each paper by its number; a paper that was given up is missing."""
    pieces, waiting = {}, list(range(len(setup.papers)))
    while waiting:
        receiver, sender = get_context("spawn").Pipe(duplex=False)
        left = replace(setup, papers=[setup.papers[number] for number in waiting])
        child = get_context("spawn").Process(target=_send_pieces, args=(sender, contestant, left), daemon=True)
        child.start()
        sender.close()
        receiver.recv()
        while waiting and _answers(child.pid, receiver, setup.give_up_s):
            pieces[waiting.pop(0)] = receiver.recv()
        if waiting:
            child.kill()
            print(f"{contestant.name} by {contestant.counts_by} gave up {setup.papers[waiting.pop(0)].source}")
        child.join()
    return pieces


def _send_pieces(sender: Connection, contestant: Contestant, setup: Setup) -> None:
    cut = contestant.build(setup.tokenizer_file, setup.max_tokens)
    sender.send("ready")
    for paper in setup.papers:
        sender.send(contestant.pieces(paper, cut(paper)))


def _answers(pid: int | None, receiver: Connection, limit_s: float) -> bool:
    """Whether something was sent before the process worked for ``limit_s`` CPU seconds."""
    process = psutil.Process(pid)
    started = sum(process.cpu_times()[:2])
    while not receiver.poll(0.1):
        if sum(process.cpu_times()[:2]) - started > limit_s:
            return False
    return True


def time_round(result: Result, setup: Setup) -> None:
    cut = result.contestant.build(setup.tokenizer_file, setup.max_tokens)
    cut(_WARM_UP)
    gc.collect()
    _wait_for_threads()
    seconds = []
    for number, paper in enumerate(setup.papers):
        started = time.process_time()
        if number in result.pieces:
            cut(paper)
        seconds.append(time.process_time() - started if number in result.pieces else setup.give_up_s)
    result.rounds.append(seconds)


def _wait_for_threads() -> None:
    """A library may go on with its first-use work in a thread, whose CPU time the first file would be charged with."""
    for _ in range(20):
        started = time.process_time()
        time.sleep(0.2)
        if time.process_time() - started < 0.001:
            return


def speed(result: Result, papers: list[Paper]) -> float:
    """MB/s over all papers."""
    return sum(len(paper.data) for paper in papers) / 1e6 / median(map(sum, result.rounds))


def file_speeds(result: Result, papers: list[Paper]) -> list[tuple[float, str]]:
    """MB/s and name of every paper that is not tiny (of all, if all are), the slowest first."""
    seconds = map(median, zip(*result.rounds, strict=True))
    timed = list(zip(papers, seconds, strict=True))
    timed = [(paper, spent) for paper, spent in timed if len(paper.data) >= _LEAST_BYTES] or timed
    return sorted((len(paper.data) / 1e6 / spent, paper.source) for paper, spent in timed)


def typical_speed(result: Result, papers: list[Paper]) -> float:
    """MB/s of the median file."""
    return median(value for value, _ in file_speeds(result, papers))


def worst_slowdown(result: Result, papers: list[Paper]) -> float:
    return typical_speed(result, papers) / file_speeds(result, papers)[0][0]


def table_of(results: list[Result], setup: Setup, wrong: dict[str, int]) -> Table:
    encode = encoder("tokenizers", setup.tokenizer_file)
    count = cache(lambda text: len(encode(text)))
    blocks = [atomic_blocks(paper, count, setup.max_tokens) for paper in setup.papers]
    table = Table(box=box.SIMPLE, caption=f"torn: of {sum(map(len, blocks))} tables, code blocks and display formulas")
    heads = "MB/s", "x chonkie", "MB/s of the\nmedian file", "worst file\nslower by", "files\ngiven up"
    table.add_column("chunker")
    table.add_column("tokens by")
    for head in (*heads, "files with\nother ids", "chunks", "over\nbudget", "torn", "text not\nfound"):
        table.add_column(head, justify="right")
    chonkie = [speed(result, setup.papers) for result in results if result.contestant is CHONKIE]
    for result in results:
        rate, given_up = speed(result, setup.papers), len(setup.papers) - len(result.pieces)
        table.add_row(
            result.contestant.name,
            result.contestant.counts_by,
            f"{'< ' if given_up else ''}{rate:.2f}",
            f"{rate / chonkie[0]:.2f}" if chonkie else "",
            f"{typical_speed(result, setup.papers):.2f}",
            f"{'> ' if given_up else ''}{worst_slowdown(result, setup.papers):.1f}",
            str(given_up),
            str(wrong[result.contestant.counts_by]),
            *map(str, judge(result.pieces, blocks, count, setup.max_tokens)),
        )
    return table


def compare(setup: Setup, rounds: int) -> dict[str, Any]:
    """Print what was found, and return the figures."""
    is_fast = TokenCounter(setup.tokenizer_file).is_fast
    ours = OURS if is_fast else replace(OURS, counts_by="tokenizers")
    entered = [ours, *PEERS, *(peer for peer in CHONKIE_BY_OTHERS if is_fast or peer.counts_by != "fastokens")]
    for contestant in entered:
        if not contestant.is_installed:
            print(f'skipped {contestant.name} by {contestant.counts_by}: pip install -e ".[bench]"')
    results = [Result(each, first_pass(each, setup)) for each in entered if each.is_installed]
    for number in range(rounds):
        for result in results:
            time_round(result, setup)
        print(f"round {number + 1} of {rounds}", flush=True)
    wrong = wrong_ids(setup.papers, setup.tokenizer_file, {result.contestant.counts_by for result in results})
    console = Console(width=_TABLE_WIDTH)
    console.print(table_of(results, setup, wrong))
    lost, total = lost_characters(setup.papers, setup.tokenizer_file, setup.max_tokens)
    slowest, source = file_speeds(results[0], setup.papers)[0]
    print(f"ids: {wrong[ours.counts_by]} of {len(setup.papers)} files differ between {ours.counts_by} and tokenizers")
    print(
        f"coverage: {lost} of {total} letters, digits and signs beyond ASCII are in no chunk, rejected row or heading"
    )
    print(f"our slowest file: {source}, {slowest:.2f} MB/s")
    speeds = {result.contestant: speed(result, setup.papers) for result in results}
    typical = {result.contestant: typical_speed(result, setup.papers) for result in results}
    same = next((each for each in speeds if each.name == "chonkie" and each.counts_by == ours.counts_by), None)
    best = max((peer for peer in PEERS if peer in speeds), key=speeds.__getitem__, default=None)
    return {
        "ours_mb_s": round(speeds[ours], 2),
        "best_peer": best and best.name,
        "best_peer_mb_s": best and round(speeds[best], 3),
        "ratio_to_chonkie": round(speeds[ours] / speeds[CHONKIE], 2) if CHONKIE in speeds else None,
        "ratio_to_chonkie_median_file": round(typical[ours] / typical[CHONKIE], 2) if CHONKIE in typical else None,
        "ratio_to_chonkie_same_counter": same and round(speeds[ours] / speeds[same], 2),
        "worst_file_slowdown": round(worst_slowdown(results[0], setup.papers), 2),
        "coverage": (total - lost) / total,
        "files": len(setup.papers),
        "mb": round(sum(len(paper.data) for paper in setup.papers) / 1e6, 2),
        "rounds": rounds,
        "ids_wrong": wrong[ours.counts_by],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", help="folder with markdown files")
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json; without it, that of Qwen2.5")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--max-tokens", type=int, default=512)
    parser.add_argument("--give-up", type=float, default=20, metavar="SECONDS")
    arguments = parser.parse_args()
    # Threads that wait for each other would cost CPU time; every library here can do with one.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    with tempfile.TemporaryDirectory() as folder:
        try:
            tokenizer_file = arguments.tokenizer or save_qwen_tokenizer(Path(folder))
            papers = read_papers(arguments.path)
        except UserError as error:
            raise SystemExit(str(error)) from error
        figures = compare(Setup(papers, tokenizer_file, arguments.max_tokens, arguments.give_up), arguments.rounds)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
