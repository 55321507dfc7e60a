"""What a failed training run tells a person."""

from __future__ import annotations

import errno
import os

import ray.exceptions

from jobs.finetune import mendable
from qa_core.config import FinetuneSettings, TrainCompute
from qa_core.errors import UserError

SETTINGS = FinetuneSettings(compute=TrainCompute(per_device_train_batch_size=4))


def told(failure: Exception) -> str:
    return str(mendable([RuntimeError("lost the other worker"), failure], SETTINGS, "/runs"))


def test_a_worker_without_memory_names_the_setting_that_halves_it() -> None:
    assert "per_device_train_batch_size=2 about halves" in told(ray.exceptions.OutOfMemoryError("killed"))
    assert told(UserError("a training worker ran out of memory", "less")) == (
        "a training worker ran out of memory\n  less"
    )


def test_a_full_disk_says_that_the_checkpoint_before_is_kept() -> None:
    assert "the disk of /runs filled up" in told(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


def test_other_failures_are_no_ones_mistake() -> None:
    assert mendable([RuntimeError("connection reset")], SETTINGS, "/runs") is None
