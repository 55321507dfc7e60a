from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from qa_core.generation.llama import LlamaModel
from qa_core.generation.llama_context import LlamaContext
from qa_core.generation.request import Delta, Request
from qa_core.generation.sampling import SamplingParams
from qa_core.generation.scheduler import Scheduler


class Client:
    """A request, and what it was told."""

    def __init__(self, model: LlamaModel, prompt: str, max_tokens: int) -> None:
        self.deltas: list[Delta] = []
        self.errors: list[Exception] = []
        params = SamplingParams(max_tokens=max_tokens)
        self.request = Request(model.tokenize(prompt), params, self.deltas.append, self.errors.append)

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.deltas)

    @property
    def finished(self) -> bool:
        return bool(self.deltas) and self.deltas[-1].finish_reason is not None


@pytest.fixture
def context(tiny_gguf: Path) -> Iterator[LlamaContext]:
    model = LlamaModel(tiny_gguf)
    context = LlamaContext(model, n_ctx=256, n_seq_max=3, n_batch=16, n_threads=1)
    yield context
    context.close()
    model.close()


def run_all(scheduler: Scheduler) -> int:
    """Step until nothing is left; returns the number of steps."""
    steps = 0
    while scheduler.busy:
        scheduler.step()
        steps += 1
    return steps


def test_a_cancelled_request_loses_its_slot_in_the_next_step(context: LlamaContext) -> None:
    scheduler = Scheduler(context)
    clients = [Client(context.model, "The attention layer", 20) for _ in range(4)]
    scheduler.add(client.request for client in clients)
    scheduler.step()
    assert scheduler.num_running == 3
    clients[0].request.cancelled = clients[1].request.cancelled = True
    told = len(clients[0].deltas)
    scheduler.step()
    assert scheduler.num_running == 2  # the third, and the fourth that was waiting
    run_all(scheduler)
    assert len(clients[0].deltas) == told
    assert clients[2].finished
    assert clients[3].text == clients[2].text


def test_a_request_cancelled_while_it_waits_never_runs(context: LlamaContext) -> None:
    scheduler = Scheduler(context)
    clients = [Client(context.model, "The attention layer", 4) for _ in range(4)]
    scheduler.add(client.request for client in clients)
    clients[3].request.cancelled = True
    run_all(scheduler)
    assert clients[3].deltas == []


def test_a_long_prompt_does_not_hold_up_answers_that_run(context: LlamaContext) -> None:
    scheduler = Scheduler(context)
    running, late = Client(context.model, "The attention layer", 20), Client(context.model, "with every key " * 20, 2)
    scheduler.add([running.request])
    scheduler.step()
    scheduler.add([late.request])
    before = running.request.num_completion
    for step in range(1, 5):
        scheduler.step()
        assert running.request.num_completion == before + step
        assert not late.deltas
    run_all(scheduler)
    assert late.finished


def test_answers_are_the_same_after_moving_to_a_lower_slot(context: LlamaContext) -> None:
    scheduler = Scheduler(context)
    alone = Client(context.model, "Table 2 shows that pruning", 20)
    scheduler.add([alone.request])
    run_all(scheduler)
    clients = [Client(context.model, prompt, length) for prompt, length in (("We", 2), ("We", 4))]
    moved = Client(context.model, "Table 2 shows that pruning", 20)
    scheduler.add(client.request for client in [*clients, moved])
    run_all(scheduler)
    assert moved.text == alone.text


def test_an_error_is_told_to_everyone_and_the_next_request_starts_afresh(context: LlamaContext) -> None:
    scheduler = Scheduler(context)
    clients = [Client(context.model, "We train", 10) for _ in range(4)]
    scheduler.add(client.request for client in clients)
    scheduler.step()
    scheduler.fail(RuntimeError("no memory"))
    assert [str(client.errors[0]) for client in clients] == ["no memory"] * 4
    assert not scheduler.busy
    after = Client(context.model, "The attention layer", 3)
    scheduler.add([after.request])
    run_all(scheduler)
    assert after.finished


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (([1] * 17, range(17), [0] * 17, [True] * 17), "n_batch is 16"),
        (([10**6], [0], [0], [True]), "outside the vocabulary"),
        (([1], [256], [0], [True]), "outside the context"),
        (([1], [0], [3], [True]), "outside 0..2"),
        (([1], [0], [0], []), "one position"),
    ],
)
def test_a_batch_that_would_end_the_process_is_refused_before(
    context: LlamaContext, batch: tuple, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        context.decode(*batch)


def counted(scheduler: Scheduler, context: LlamaContext, prompt: str, max_tokens: int = 4) -> Client:
    client = Client(context.model, prompt, max_tokens)
    scheduler.add([client.request])
    run_all(scheduler)
    return client


PREFIX = "You answer questions about technical papers from the numbered sources. " * 3


def test_a_prompt_that_begins_like_an_earlier_one_computes_only_the_rest(context: LlamaContext) -> None:
    scheduler = Scheduler(context, reuse_prefixes=True)
    first = counted(scheduler, context, PREFIX + "We train")
    second = counted(scheduler, context, PREFIX + "The attention layer")
    assert first.deltas[-1].cached_tokens == 0
    assert second.deltas[-1].cached_tokens >= len(context.model.tokenize(PREFIX)) - 1
    alone = counted(Scheduler(context), context, PREFIX + "The attention layer")
    assert second.text == alone.text


def test_a_running_request_shares_its_prefix_with_one_that_comes_later(context: LlamaContext) -> None:
    scheduler = Scheduler(context, reuse_prefixes=True)
    clients = [Client(context.model, PREFIX + end, 12) for end in ("We train", "The attention layer", "Table 2")]
    scheduler.add([clients[0].request])
    while not clients[0].deltas:
        scheduler.step()
    scheduler.add(client.request for client in clients[1:])
    run_all(scheduler)
    shared = len(context.model.tokenize(PREFIX)) - 1
    assert [client.deltas[-1].cached_tokens >= shared for client in clients] == [False, True, True]
    for client, end in zip(clients, ("We train", "The attention layer", "Table 2"), strict=True):
        assert client.text == counted(Scheduler(context), context, PREFIX + end, 12).text


def test_the_same_prompt_again_computes_its_last_token_only(context: LlamaContext) -> None:
    scheduler = Scheduler(context, reuse_prefixes=True)
    first, again = (counted(scheduler, context, PREFIX) for _ in range(2))
    assert again.deltas[-1].cached_tokens == len(context.model.tokenize(PREFIX)) - 1
    assert again.text == first.text


def test_a_prompt_that_goes_on_in_its_own_slot_copies_nothing(
    context: LlamaContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = Scheduler(context, reuse_prefixes=True)
    counted(scheduler, context, PREFIX)
    copied: list[tuple[int, int]] = []
    monkeypatch.setattr(context, "copy", lambda source, target: copied.append((source, target)))
    counted(scheduler, context, PREFIX)
    counted(scheduler, context, PREFIX + "We train")
    assert copied == []


def test_a_sampler_that_fails_ends_its_own_request_alone(context: LlamaContext) -> None:
    class DeadEnd:
        def allows(self, token: int) -> bool:
            return False

        def restrict(self, logits: object) -> object:
            raise ValueError("nothing may follow")

        def accept(self, token: int) -> None: ...

    scheduler = Scheduler(context)
    healthy = Client(context.model, "We train", 5)
    failing = Client(context.model, "Table 2", 5)
    failing.request = Request(
        failing.request.tokens, failing.request.params, failing.deltas.append, failing.errors.append, DeadEnd()  # type: ignore[arg-type]
    )  # fmt: skip
    scheduler.add([failing.request, healthy.request])
    run_all(scheduler)
    assert healthy.finished
    assert [str(error) for error in failing.errors] == ["nothing may follow"]


def test_queued_tokens_are_those_of_prompts_that_are_not_computed_yet(context: LlamaContext) -> None:
    scheduler = Scheduler(context)  # batches of 16 tokens
    client = Client(context.model, PREFIX, 4)
    scheduler.add([client.request])
    length = len(client.request.tokens)
    assert scheduler.num_queued_tokens == length
    scheduler.step()
    assert scheduler.num_queued_tokens == length - 16
    run_all(scheduler)
    assert scheduler.num_queued_tokens == 0


def test_prompts_that_take_turns_are_all_remembered(context: LlamaContext) -> None:
    scheduler = Scheduler(context, reuse_prefixes=True)
    prompts = [PREFIX, "Pruning removes weights of a network. " * 4]  # of three slots, one is for the next prompt
    for prompt in prompts:
        counted(scheduler, context, prompt)
    for prompt in prompts:
        again = counted(scheduler, context, prompt)
        assert again.deltas[-1].cached_tokens == again.deltas[-1].prompt_tokens - 1


def test_what_slots_hold_stays_true_whoever_leaves_and_moves(context: LlamaContext) -> None:
    draw = random.Random(5)
    ends = ("We train", "The attention layer", "Table 2", "Retrieval returns three passages", "Quantised")
    prompts = [PREFIX[: 70 * draw.randint(0, 3)] + draw.choice(ends) for _ in range(24)]
    alone = {prompt: counted(Scheduler(context), context, prompt, 8).text for prompt in set(prompts)}
    scheduler = Scheduler(context, reuse_prefixes=True)
    clients = [Client(context.model, prompt, 8) for prompt in prompts]
    left: list[Client] = []
    for client in clients:
        scheduler.add([client.request])
        for _ in range(draw.randint(0, 6)):
            scheduler.step()
        if draw.random() < 0.3 and not client.finished:
            client.request.cancelled = True
            left.append(client)
    run_all(scheduler)
    for client, prompt in zip(clients, prompts, strict=True):
        if client not in left:
            assert client.text == alone[prompt]
    assert sum(client.deltas[-1].cached_tokens > 0 for client in clients if client.deltas) > 5
