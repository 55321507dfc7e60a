"""How training may be spread over workers, and what is refused with the reason."""

from __future__ import annotations

import pytest

from qa_core.config_loader import apply, load_config
from qa_core.errors import UserError


def refused(*overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        load_config(["tiny"], list(overrides))
    return str(caught.value)


@pytest.mark.parametrize("strategy", ["fsdp", "fsdp2", "deepspeed_zero3"])
def test_a_strategy_that_shards_the_base_is_refused_with_what_to_use(strategy: str) -> None:
    told = refused(f"finetune.compute.strategy={strategy}")
    assert f"finetune.compute.strategy: {strategy} shards the frozen base" in told
    assert "Set deepspeed_zero2" in told


def test_an_elastic_number_of_workers_needs_a_batch_that_each_number_divides() -> None:
    elastic = ["finetune.compute.num_workers=[1,3]", "finetune.compute.per_device_train_batch_size=2"]
    config = load_config(["tiny"], [*elastic, "finetune.train_batch_size=12"])
    assert list(config.finetune.compute.worker_counts) == [1, 2, 3]
    assert [config.finetune.gradient_accumulation_steps(workers) for workers in (1, 2, 3)] == [6, 3, 2]
    assert apply(config, {}) == config
    assert "num_workers = 2 x 3 = 6" in refused(*elastic, "finetune.train_batch_size=8")


@pytest.mark.parametrize("given", ["many", "0", "2.5", "true", "[3, 1]", "[0, 1]", "[1, 2, 3]"])
def test_numbers_of_workers_that_mean_nothing_are_refused(given: str) -> None:
    assert "must be a number from 1 on, or [fewest, most]" in refused(f"finetune.compute.num_workers={given}")


def test_checkpoints_in_parts_need_a_fixed_number_of_workers() -> None:
    told = refused("finetune.compute.num_workers=[1,2]", "finetune.compute.strategy=deepspeed_zero2")
    assert "num_workers=(1, 2) needs strategy=ddp" in told
