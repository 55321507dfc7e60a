from __future__ import annotations

import importlib

import pytest
from ray.serve._private.common import DeploymentID
from ray.serve.config import AutoscalingConfig, AutoscalingContext, AutoscalingPolicy

from qa_core.config import DeploymentSettings
from serving.app import deployment
from serving.generator import Generator
from serving.scaling import WORK, by_work


def wanted(work: dict[str, float], queued: float = 0.0) -> float:
    context = AutoscalingContext(
        deployment_id=DeploymentID("Generator"), deployment_name="Generator", app_name="lectern",
        current_num_replicas=1, target_num_replicas=1, running_replicas=[], total_num_requests=0,
        total_queued_requests=queued, aggregated_metrics={WORK: work} if work else {}, raw_metrics={},
        capacity_adjusted_min_replicas=1, capacity_adjusted_max_replicas=4, policy_state={},
        last_scale_up_time=None, last_scale_down_time=None, current_time=0.0,
        config=AutoscalingConfig(target_ongoing_requests=8),
    )  # fmt: skip
    return by_work(context)[0]


def test_as_many_generators_are_wanted_as_the_work_needs() -> None:
    assert wanted({}) == 0
    assert wanted({"one": 8.0}) == pytest.approx(1.0)
    assert wanted({"one": 16.0, "two": 4.0}) == pytest.approx(2.5)
    assert wanted({"one": 8.0}, queued=8) == pytest.approx(2.0)


def test_ray_serve_finds_the_policy_by_its_name() -> None:
    policy = deployment(Generator, DeploymentSettings(), by_work)._deployment_config.autoscaling_config.policy
    assert isinstance(policy, AutoscalingPolicy)
    module, _, name = str(policy.policy_function).partition(":")
    assert getattr(importlib.import_module(module), name) is by_work
