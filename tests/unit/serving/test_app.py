from __future__ import annotations

import importlib
import math
import socket
import traceback
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from qa_core.artifacts import RunStore
from qa_core.config import ServeSettings
from qa_core.config_loader import load_config
from qa_core.errors import UserError
from qa_core.manifest import Manifest
from serving.__main__ import mistake_in, welcome
from serving.app import build, read_args
from serving.checks import require_free_port, require_safe_address
from serving.guard import is_loopback
from serving.room import Room

SERVE_YAML = Path(importlib.import_module("serving").__path__[0]) / "serve.yaml"


def publish(store: RunStore, name: str) -> Path:
    artifact = store.artifact(name)
    artifact.clear_staging()
    with artifact.staging() as folder:
        (folder / "file.bin").write_bytes(b"content")
    artifact.publish(
        Manifest(
            artifact=name, stage="stage", fingerprint="f" * 64, inputs={}, config={}, seed=1, num_rows=0, rejected={},
            metrics={}, packages={}, git_commit="", started="", finished="", seconds=0.0,
        )
    )  # fmt: skip
    return artifact.local()


def arguments(storage: Path) -> dict[str, Any]:
    return {"config": ["tiny"], "overrides": [f"run.storage={storage}"]}


def test_the_application_is_an_ingress_over_a_retriever_and_a_generator(tmp_path: Path) -> None:
    for name in ("index", "gguf"):
        publish(RunStore.open(str(tmp_path), "tiny"), name)
    ingress = build(arguments(tmp_path))._bound_deployment
    below = {argument._bound_deployment.name for argument in ingress.init_args[1:]}
    assert (ingress.name, below) == ("Ingress", {"Retriever", "Generator"})


@pytest.mark.parametrize(("queue", "serves_own", "places"), [(0, 2, 2), (3, 5, 5), (-1, -1, math.inf)])
def test_serve_refuses_none_that_the_ingress_let_in(queue: int, serves_own: int, places: float, tmp_path: Path) -> None:
    for name in ("index", "gguf"):
        publish(RunStore.open(str(tmp_path), "tiny"), name)
    settings = {"max_ongoing_requests": 2, "max_queued_requests": queue}
    overrides = [f"run.storage={tmp_path}", *(f"serve.generator.{name}={value}" for name, value in settings.items())]
    ingress = build({"config": ["tiny"], "overrides": overrides})._bound_deployment
    (generator,) = [one._bound_deployment for one in ingress.init_args[1:] if one._bound_deployment.name == "Generator"]
    assert generator._deployment_config.max_queued_requests == serves_own
    assert Room.of(ingress.init_args[0].generator, lambda: None)._places == places


@pytest.mark.parametrize("deployment", ["ingress", "retriever"])
def test_a_queue_of_none_is_refused_where_nothing_counts_but_serve(deployment: str) -> None:
    with pytest.raises(UserError, match="is for the generator alone"):
        load_config(["tiny"], [f"serve.{deployment}.max_queued_requests=0"])


def test_a_base_file_with_adapters_takes_the_place_of_the_runs_own_model(tmp_path: Path) -> None:
    publish(RunStore.open(str(tmp_path), "tiny"), "index")
    overrides = ["serve.base_file=base.gguf", "serve.adapters={papers: a.gguf}", f"run.storage={tmp_path}"]
    ingress = build({"config": ["tiny"], "overrides": overrides})._bound_deployment
    (generator,) = [one._bound_deployment for one in ingress.init_args[1:] if one._bound_deployment.name == "Generator"]
    assert generator.init_args[:2] == ("base.gguf", {"papers": "a.gguf"})


@pytest.mark.parametrize(
    ("adapters", "base_file", "message"),
    [
        ({"papers": "a.gguf"}, "", "need base_file"),
        ({"lectern": "a.gguf"}, "base.gguf", "'lectern' is the name of the model without"),
        ({"papers-rag": "a.gguf"}, "base.gguf", "'papers-rag' cannot be"),
        ({"a b": "a.gguf"}, "base.gguf", "'a b' cannot be"),
    ],
)
def test_an_adapter_has_a_base_and_a_name_of_its_own(adapters: dict[str, str], base_file: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ServeSettings(adapters=adapters, base_file=base_file)


@pytest.mark.parametrize("name", ["", "papers-rag", "papers-embedding", "a/b", "-a"])
def test_the_models_name_leaves_room_for_the_others(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a model's name"):
        ServeSettings(model_name=name)


def test_names_with_overrides_and_a_whole_dumped_config_mean_the_same(tmp_path: Path) -> None:
    named = read_args(arguments(tmp_path))
    assert read_args(named.model_dump(mode="json")) == named


def test_a_run_without_a_model_is_told_how_to_make_one(tmp_path: Path) -> None:
    publish(RunStore.open(str(tmp_path), "tiny"), "index")
    with pytest.raises(UserError, match="gguf is not there") as caught:
        build(arguments(tmp_path))
    assert "lectern run" in caught.value.remedy


def test_a_damaged_artifact_is_refused_before_anything_starts(tmp_path: Path) -> None:
    folders = [publish(RunStore.open(str(tmp_path), "tiny"), name) for name in ("index", "gguf")]
    (folders[1] / "file.bin").write_bytes(b"cont")
    with pytest.raises(UserError, match="damaged"):
        build(arguments(tmp_path))


def test_a_port_in_use_is_told_with_its_number_and_the_remedy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=str(port)) as caught:
            require_free_port("127.0.0.1", port)
    assert "serve.port=" in caught.value.remedy
    require_free_port("127.0.0.1", port)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org"])
def test_without_keys_the_service_listens_to_this_machine_alone(host: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"serve\.host") as caught:
        require_safe_address(ServeSettings(host=host))
    assert "serve.api_keys_file" in caught.value.remedy
    keys = tmp_path / "keys"
    keys.write_text("a-key-of-enough-characters\n")
    require_safe_address(ServeSettings(host=host, api_keys_file=str(keys)))


def test_a_file_of_keys_is_read_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        require_safe_address(ServeSettings(api_keys_file=str(tmp_path / "missing")))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_has_several_names(host: str) -> None:
    assert is_loopback(host)
    require_safe_address(ServeSettings(host=host))


def test_the_welcome_names_the_url_both_models_and_a_command_to_try() -> None:
    text = welcome(load_config(["tiny"], ["serve.port=8123", "serve.model_name=papers"]).serve)
    for part in ("http://127.0.0.1:8123", "papers-rag", "papers-embedding", "curl", "/v1/chat/completions", "Ctrl-C"):
        assert part in text


def test_a_mistake_that_a_replica_found_is_told_without_its_traceback() -> None:
    try:
        raise UserError("model file x is damaged", "Run the convert stage again.")
    except UserError:
        status = f"The deployment failed to start. Error:\n{traceback.format_exc()}"
    found = mistake_in(status)
    assert found is not None
    assert (found.problem, found.remedy) == ("model file x is damaged", "Run the convert stage again.")
    assert mistake_in("MemoryError: no more") is None


def test_serve_yaml_is_what_ray_serve_expects() -> None:
    deploy = ServeDeploySchema.model_validate(yaml.safe_load(SERVE_YAML.read_text(encoding="utf-8")))
    application = deploy.applications[0]
    assert deploy.http_options.host == "127.0.0.1"
    module, _, name = application.import_path.partition(":")
    assert getattr(importlib.import_module(module), name) is build
    read_args(application.args)
