"""How many generators are wanted: by the work that waits, not by the number of requests alone."""

from __future__ import annotations

from typing import Any

from ray.serve.config import AutoscalingContext

WORK = "work"
"""What a generator reports: busy slots, requests that wait for one, and their prompts in batches of tokens. A prompt of
4,000 tokens holds a slot up for as long as several short ones."""


def by_work(context: AutoscalingContext) -> tuple[float, dict[str, Any]]:
    """Replicas for ``target_ongoing_requests`` of work each; bounds and delays are applied by Ray Serve."""
    reported = context.aggregated_metrics.get(WORK, {}) if context.aggregated_metrics else {}
    # Requests that no replica has taken yet have no slot and no known length.
    work = sum(reported.values()) + (context.total_queued_requests or 0)
    return work / context.config.get_target_ongoing_requests(), {}
