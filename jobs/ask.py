"""``lectern ask``: questions to a running service, or to the same pieces in this process."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from rich.console import Console
from rich.markup import escape

from qa_core.artifacts import Artifact, RunStore
from qa_core.config import LecternConfig
from qa_core.errors import UserError
from qa_core.screen import log_path, screen

if TYPE_CHECKING:  # it loads torch and llama.cpp
    from qa_core.generation.answer import Answer

_PASSAGE_CHARS = 320


@dataclass(frozen=True)
class Source:
    """One passage as it is shown below an answer."""

    number: int
    title: str
    section: str
    place: str
    text: str


@dataclass(frozen=True)
class Reply:
    """An answer, and the passages that it cites or, citing none, was given."""

    text: str
    cited: tuple[Source, ...]
    given: tuple[Source, ...]
    answered_by: str
    conflicts: tuple[tuple[str, ...], ...] = ()
    """What two papers say differently: two sentences each, with the numbers of their passages."""


def ask_and_print(
    config: LecternConfig, questions: Sequence[str], *, rag: bool, url: str | None, console: Console
) -> None:
    """Answer ``questions`` and print each answer with its sources."""
    if not questions or not all(question.strip() for question in questions):
        raise UserError("the question is empty", 'Write it in quotes: lectern ask --config tiny "What is ...?"')
    model = config.serve.model_name + ("-rag" if rag else "")
    if url and not _serves(url, model):
        raise UserError(f"no service at {url} has {model}", "Start one with `lectern serve`, or leave --url out.")
    address = url or f"http://{config.serve.host}:{config.serve.port}"
    if url or _serves(address, model):
        replies = [_ask_service(address, model, question) for question in questions]
    else:
        replies = _ask_here(config, questions, rag)
    for question, reply in zip(questions, replies, strict=True):
        _print(console, question, reply)
    console.print(f"[dim]\nanswered by {escape(replies[-1].answered_by)}[/dim]")


def _serves(url: str, model: str) -> bool:
    """Whether something at ``url`` lists ``model``; a port may belong to another program."""
    try:
        cards = httpx.get(f"{url.rstrip('/')}/v1/models", timeout=5.0).json()["data"]
        return any(card["id"] == model for card in cards)
    except (httpx.TransportError, ValueError, KeyError, TypeError):
        return False
    except httpx.InvalidURL as error:
        raise UserError(f"{url!r} is not a URL: {error}", "Write it as http://127.0.0.1:8000.") from error


def _ask_service(url: str, model: str, question: str) -> Reply:
    body = {"model": model, "messages": [{"role": "user", "content": question}]}
    try:
        response = httpx.post(f"{url.rstrip('/')}/v1/chat/completions", json=body, timeout=300.0)
    except httpx.TransportError as error:
        raise RuntimeError(f"the service at {url} broke off: {error}") from error
    payload = response.json()
    if not response.is_success:
        raise UserError(f"the service refused: {payload['error']['message']}")
    cited = tuple(_source(citation["number"], citation) for citation in payload["citations"])
    conflicts = tuple(
        (f"[{one['number']}] {one['text']}", f"[{other['number']}] {other['text']}")
        for one, other in (conflict["statements"] for conflict in payload["conflicts"])
    )
    return Reply(payload["choices"][0]["message"]["content"], cited, (), f"{model} at {url}", conflicts)


def _ask_here(config: LecternConfig, questions: Sequence[str], rag: bool) -> list[Reply]:
    store = RunStore.open(config.run.storage, config.run.name)
    gguf = _complete(store.artifact("gguf"))
    index = _complete(store.artifact("index")) if rag else None
    with screen(log_path(store, "ask")):
        # Imported only now: these load torch and llama.cpp, which take seconds and print.
        from qa_core.generation.answer import Answerer
        from qa_core.generation.engine import Engine, SamplingParams
        from qa_core.generation.model_file import model_file
        from qa_core.retrieval.retriever import Retriever

        retriever = Retriever(index.local(), config.index.embedder, config.retrieval) if index else None
        model = model_file(gguf.local())
        engine = Engine(model, config.generation)
        params = SamplingParams.of(config.generation, config.run.seed)
        answerer = Answerer(engine, params, config.retrieval, retriever)
        answers = answerer.answer_all(questions, "rag" if rag else "standalone")
        engine.close()
    return [_reply(answer, f"{model.name}, in this process") for answer in answers]


def _reply(answer: Answer, answered_by: str) -> Reply:
    from qa_core.generation.conflicts import find_conflicts

    given = tuple(_source(number, vars(passage)) for number, passage in enumerate(answer.passages, start=1))
    cited = tuple(source for source in given if source.number in answer.cited)
    passages, drawn_on = answer.passages, [number - 1 for number in answer.cited]
    conflicts = tuple(
        tuple(
            f"[{place + 1}] {passages[place].text[start:end]}"
            for place, (start, end) in zip(found.passages, found.spans, strict=True)
        )
        for found in find_conflicts(passages, drawn_on)
    )
    return Reply(answer.text, cited, given, answered_by, conflicts)


def _complete(artifact: Artifact) -> Artifact:
    if artifact.manifest() is None:
        raise UserError(f"{artifact.uri} is not there or not complete", "Make it with `lectern run` and this config.")
    return artifact


def _source(number: int, passage: dict[str, Any]) -> Source:
    return Source(
        number=number,
        title=passage["title"],
        section=" > ".join(passage["section_path"]),
        place=f"{passage['source']}, characters {passage['start_char']}-{passage['end_char']}",
        text=passage["text"],
    )


def _print(console: Console, question: str, reply: Reply) -> None:
    console.print(f"\n[bold]Q[/bold] {escape(question)}")
    console.print(f"[bold]A[/bold] {escape(reply.text.strip() or '(the model said nothing)')}")
    if reply.cited:
        console.print("\n[bold]Cited passages[/bold]")
    elif reply.given:
        console.print("\n[bold]The answer cites none of its passages; they were[/bold]")
    for source in reply.cited or reply.given:
        console.print(f"[{source.number}]".replace("[", r"\[") + f" {escape(source.section or source.title)}")
        console.print(f"    [dim]{escape(source.place)}[/dim]")
        shown = textwrap.shorten(source.text, _PASSAGE_CHARS, placeholder=" ...")
        console.print(escape(textwrap.indent(textwrap.fill(shown, 100), "    ")))
    if reply.conflicts:
        console.print("\n[bold]The papers may disagree[/bold]")
    for pair in reply.conflicts:
        for statement in pair:
            console.print(escape(textwrap.indent(textwrap.fill(statement, 100), "    ")))
