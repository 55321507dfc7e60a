"""Fine-tuning as a command: killed anywhere, on a full disk, by any number of workers, it makes the same adapter."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from ray.cluster_utils import Cluster

from tests.integration.commands import finish, lectern

pytestmark = [pytest.mark.ray, pytest.mark.proof, pytest.mark.timeout(1800)]

LONG = ["finetune.max_steps=40", "finetune.eval_steps=4", "finetune.lora.lora_dropout=0.1", "finetune.sample_rows=1"]
NOT_COMPARED = "manifest.json"
"""It has times."""
NODE = {"num_cpus": 1, "object_store_memory": 128 * 1024**2}


@pytest.fixture(scope="module")
def untrained(finished_run: tuple[Path, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Makes a new storage folder with a run that has everything but an adapter and what follows from it."""
    finished, _ = finished_run

    def copy() -> Path:
        storage = tmp_path_factory.mktemp("storage")
        shutil.copytree(finished, storage / "tiny", ignore=shutil.ignore_patterns("adapter", "gguf", "eval", ".*"))
        return storage

    return copy


@pytest.fixture(scope="module")
def command(finished_run: tuple[Path, list[str]]) -> Callable[..., subprocess.Popen[str]]:
    _, settings = finished_run

    def start(storage: Path, *overrides: str) -> subprocess.Popen[str]:
        kept = [setting for setting in settings if not setting.startswith("run.storage=")]
        return lectern("finetune", "--config", "tiny", *kept, *LONG, f"run.storage={storage}", *overrides)

    return start


@pytest.fixture(scope="module")
def reference(untrained: Callable[[], Path], command: Callable[..., subprocess.Popen[str]]) -> Path:
    """Storage of a run that nothing happened to."""
    storage = untrained()
    finish(command(storage))
    return storage


@pytest.fixture(scope="module")
def uninterrupted(reference: Path) -> dict[str, bytes]:
    return adapter(reference)


def adapter(storage: Path) -> dict[str, bytes]:
    folder = storage / "tiny" / "adapter"
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != NOT_COMPARED}


def losses(storage: Path) -> dict[str, float]:
    metrics = json.loads((storage / "tiny" / "adapter" / NOT_COMPARED).read_text())["metrics"]
    return {name: value for name, value in metrics.items() if "loss" in name}


def checkpoints(storage: Path) -> list[Path]:
    return sorted(storage.glob("tiny/.scratch/finetune-*/finetune/checkpoint_*/trainer_state.json"))


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not condition():
        assert process.poll() is None, finish(process)
        time.sleep(0.05)


def training_workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process(process.pid).children(recursive=True)
        if "RayTrainWorker" in " ".join(child.cmdline())
    ]


def kill_at_a_random_step(process: subprocess.Popen[str], storage: Path, kill: Callable[[], None]) -> None:
    """Some time after a random checkpoint, so at any point of a step, an evaluation or a checkpoint."""
    after, pause = random.randint(1, 3), random.uniform(0, 3)
    print(f"killed {pause:.2f} s after checkpoint {after}")
    wait_until(lambda: len(checkpoints(storage)) >= min(after, 2), process)
    time.sleep(pause)
    kill()


def kill_everything(process: subprocess.Popen[str]) -> None:
    """The command and all of its Ray, at once."""
    children = psutil.Process(process.pid).children(recursive=True)
    for victim in (psutil.Process(process.pid), *children):
        victim.kill()
    psutil.wait_procs(children, timeout=10)
    process.communicate()


@pytest.mark.parametrize("attempt", range(2))
def test_a_killed_worker_is_replaced_and_the_adapter_is_the_same(
    untrained: Callable[[], Path],
    command: Callable[..., subprocess.Popen[str]],
    uninterrupted: dict[str, bytes],
    attempt: int,
) -> None:
    storage = untrained()
    process = command(storage)
    kill_at_a_random_step(process, storage, lambda: random.choice(training_workers(process)).kill())
    finish(process)
    assert adapter(storage) == uninterrupted


@pytest.mark.parametrize("attempt", range(2))
def test_a_killed_run_goes_on_where_it_was_and_the_adapter_is_the_same(
    untrained: Callable[[], Path],
    command: Callable[..., subprocess.Popen[str]],
    uninterrupted: dict[str, bytes],
    attempt: int,
) -> None:
    storage = untrained()
    process = command(storage)
    kill_at_a_random_step(process, storage, lambda: kill_everything(process))
    assert not (storage / "tiny" / "adapter").exists()
    output = finish(command(storage))
    assert adapter(storage) == uninterrupted, output


def test_one_two_and_four_workers_see_the_same_losses(
    untrained: Callable[[], Path], command: Callable[..., subprocess.Popen[str]]
) -> None:
    found = {}
    for workers in (1, 2, 4):
        storage = untrained()
        shared = ["finetune.train_batch_size=4", "finetune.compute.per_device_train_batch_size=1"]
        split = [f"finetune.compute.num_workers={workers}", f"finetune.compute.cpus_per_worker={2 / workers}"]
        finish(command(storage, *shared, *split, "finetune.max_steps=20"))
        found[workers] = losses(storage)
    for workers in (2, 4):
        assert found[workers] == pytest.approx(found[1], rel=1e-5)  # float sums in another order


def test_sharded_optimisers_see_the_same_losses_and_resume(
    untrained: Callable[[], Path], command: Callable[..., subprocess.Popen[str]]
) -> None:
    found = {}
    shared = ["finetune.max_steps=12", "finetune.train_batch_size=2", "finetune.compute.per_device_train_batch_size=1"]
    shared += ["finetune.compute.num_workers=2", "finetune.compute.cpus_per_worker=1"]
    for strategy in ("ddp", "deepspeed_zero2"):
        storage = untrained()
        chosen = [*shared, f"finetune.compute.strategy={strategy}"]
        process = command(storage, *chosen)
        if strategy == "deepspeed_zero2":
            kill_at_a_random_step(process, storage, lambda: kill_everything(process))  # noqa: B023
            process = command(storage, *chosen)
        finish(process)
        found[strategy] = losses(storage)
    assert found["deepspeed_zero2"] == pytest.approx(found["ddp"], rel=1e-3)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mounted = tmp_path / "disk"
    mounted.mkdir()
    options = ["-t", "tmpfs", "-o", "size=1300m", "lectern-test"]  # a run asks for 1 GiB
    if subprocess.run(["mount", *options, str(mounted)], capture_output=True, check=False).returncode:
        pytest.skip("may not mount a small disk")
    yield mounted
    subprocess.run(["umount", "--lazy", str(mounted)], check=True)


def test_a_disk_that_fills_up_leaves_the_checkpoint_before_and_training_goes_on_from_it(
    untrained: Callable[[], Path],
    command: Callable[..., subprocess.Popen[str]],
    uninterrupted: dict[str, bytes],
    small_disk: Path,
) -> None:
    storage = small_disk / "runs"
    shutil.copytree(untrained(), storage)
    process = command(storage)
    wait_until(lambda: len(checkpoints(storage)) >= 1, process)
    filler = small_disk / "filler"
    with open(filler, "wb") as file:
        try:
            while True:
                os.write(file.fileno(), bytes(1 << 16))
        except OSError:
            pass
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 2, output
    assert "filled up" in output
    assert "run again" in output
    kept = [path.parent.name for path in checkpoints(storage)]
    filler.unlink()
    finish(command(storage))
    assert kept
    assert adapter(storage) == uninterrupted


def test_control_c_leaves_a_run_that_goes_on(
    untrained: Callable[[], Path], command: Callable[..., subprocess.Popen[str]], uninterrupted: dict[str, bytes]
) -> None:
    storage = untrained()
    process = command(storage)
    wait_until(lambda: len(checkpoints(storage)) >= 1, process)
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 130
    finish(command(storage))
    assert adapter(storage) == uninterrupted


@pytest.fixture
def two_nodes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of two nodes with room for one worker each."""
    monkeypatch.setenv("RAY_TMPDIR", tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # apart from other people's Ray
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "10")
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    yield cluster
    cluster.shutdown()


def test_a_node_that_leaves_takes_its_worker_and_training_goes_on_with_the_other(
    untrained: Callable[[], Path], command: Callable[..., subprocess.Popen[str]], reference: Path, two_nodes: Cluster
) -> None:
    second = two_nodes.add_node(**NODE)
    storage = untrained()
    elastic = ["finetune.compute.num_workers=[1,2]", "finetune.compute.cpus_per_worker=1"]
    process = command(storage, *elastic, "--address", two_nodes.address)
    wait_until(lambda: len(checkpoints(storage)) >= 2, process)
    two_nodes.remove_node(second, allow_graceful=False)
    output = finish(process)
    assert "2 workers, " in output
    assert "1 worker, " in output
    assert losses(storage) == pytest.approx(losses(reference), rel=1e-5)  # float sums in another order
