"""cluster.yaml and its neighbours, held by Ray's own offline validation. Nothing here reaches a cloud."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[1]
PIN = re.compile(r"^([a-z0-9][a-z0-9-]*)==(\S+)$")


def cluster() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((PROJECT / "cluster.yaml").read_text())
    return loaded


def validated(config: dict[str, Any]) -> dict[str, Any]:
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared: dict[str, Any] = prepare_config(config)
    validate_config(prepared)
    return prepared


def pins(name: str) -> dict[str, str]:
    lines = (PROJECT / "cluster" / "requirements" / name).read_text().splitlines()
    matches = [PIN.match(line) for line in lines if line and not line.startswith("#")]
    assert all(matches), "a lock file holds full pins and comments only"
    return {match[1]: match[2] for match in matches if match}


def test_rays_cluster_launcher_accepts_cluster_yaml():
    prepared = validated(cluster())

    assert prepared["head_node_type"] == "head"
    assert prepared["available_node_types"]["gpu"]["resources"]["GPU"] == 1


@pytest.mark.parametrize("where", [(), ("docker",), ("available_node_types", "gpu")])
def test_an_unknown_key_is_refused(where: tuple[str, ...]):
    config = cluster()
    section = config
    for key in where:
        section = section[key]
    section["wrokers"] = 1

    with pytest.raises(Exception, match="wrokers"):
        validated(config)


def test_every_node_runs_with_the_token():
    config = cluster()

    assert "--env RAY_AUTH_MODE=token" in config["docker"]["run_options"]
    assert config["file_mounts"]["/home/ray/.ray/auth_token"] == "~/.ray/auth_token"


def test_idle_nodes_go_away_and_no_worker_is_kept_for_nothing():
    config = cluster()
    workers = {name: kind for name, kind in config["available_node_types"].items() if name != "head"}

    assert 0 < config["idle_timeout_minutes"] <= 30
    assert all(kind["min_workers"] == 0 for kind in workers.values())
    assert sum(kind["max_workers"] for kind in workers.values()) <= config["max_workers"]


def test_what_is_mounted_and_what_is_installed_is_in_the_project():
    config = cluster()
    mounts = {remote: path for remote, path in config["file_mounts"].items() if not path.startswith("~")}
    used = re.findall(r"/home/ray/lectern/(\S+)", " ".join(config["setup_commands"]))

    assert all(remote == f"/home/ray/lectern/{path}" for remote, path in mounts.items())
    assert all((PROJECT / path).exists() for path in mounts.values() if path != "README.md")
    assert used
    for path in used:
        assert (PROJECT / path).is_file()
        assert path.split("/")[0] in mounts.values()


def test_images_hold_the_ray_that_the_lock_files_pin():
    docker = cluster()["docker"]
    versions = {docker[key].partition(":")[2].split("-")[0] for key in ("head_image", "worker_image")}

    assert versions == {pins("gpu.lock")["ray"]} == {pins("cpu.lock")["ray"]}


def test_lock_files_keep_above_the_known_holes():
    def version(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"\d+", text)[:3])

    for name in ("cpu.lock", "gpu.lock"):
        assert version(pins(name)["ray"]) >= (2, 54)
        assert version(pins(name)["jinja2"]) >= (3, 1, 6)
    assert version(pins("gpu.lock")["vllm"]) >= (0, 14)


def test_both_lock_files_pin_the_same_training_stack():
    cpu, gpu = pins("cpu.lock"), pins("gpu.lock")
    stack = (
        "ray",
        "torch",
        "transformers",
        "peft",
        "bitsandbytes",
        "deepspeed",
        "gguf",
        "faiss-cpu",
        "pyarrow",
        "numpy",
    )

    assert {name: cpu[name] for name in stack} == {name: gpu[name] for name in stack}


@pytest.mark.parametrize("name", ["rayjob.yaml", "rayservice.yaml"])
def test_kuberay_manifests_are_v1_with_the_token_on(name: str):
    manifest = yaml.safe_load((PROJECT / "cluster" / "kuberay" / name).read_text())
    spec = manifest["spec"].get("rayClusterSpec") or manifest["spec"]["rayClusterConfig"]

    assert manifest["apiVersion"] == "ray.io/v1"
    assert manifest["kind"].lower() == name.removesuffix(".yaml")
    assert spec["authOptions"] == {"mode": "token"}
    assert spec["rayVersion"] == pins("gpu.lock")["ray"]


def test_the_rayservice_holds_a_config_that_serve_accepts():
    from ray.serve.schema import ServeDeploySchema

    manifest = yaml.safe_load((PROJECT / "cluster" / "kuberay" / "rayservice.yaml").read_text())
    schema = ServeDeploySchema.model_validate(yaml.safe_load(manifest["spec"]["serveConfigV2"]))

    assert [application.import_path for application in schema.applications] == ["serving.app:build"]


def test_a_jobs_variables_never_meet_those_of_the_ray_session():
    # Ray refuses to merge a job's runtime_env with ray.init's when both name a variable.
    from jobs.ray_session import _ENVIRONMENT_ELSEWHERE, _WORKER_ENVIRONMENT

    runtime_env = yaml.safe_load((PROJECT / "cluster" / "runtime_env.yaml").read_text())

    assert not runtime_env["env_vars"].keys() & {**_WORKER_ENVIRONMENT, **_ENVIRONMENT_ELSEWHERE}.keys()
