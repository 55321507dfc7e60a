from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from jobs.job_package import CARRIED, packed
from qa_core.config_loader import load_config
from qa_core.errors import UserError

TINY = ["run", "--config", "tiny"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small source folder, with what must stay behind."""
    root = tmp_path / "project"
    for folder in ("cluster", "jobs", "examples/papers", "runs/tiny", ".git"):
        (root / folder).mkdir(parents=True)
    env = {"working_dir": ".", "excludes": ["/runs/", "/.git/", "*.gguf"], "env_vars": {"PYTHONUNBUFFERED": "1"}}
    (root / "cluster" / "runtime_env.yaml").write_text(yaml.safe_dump(env))
    (root / "examples" / "papers" / "one.md").write_text("# One\n")
    return root


def config_of(argv: list[str], folder: Path) -> object:
    """The config that the job would load, started in ``folder``."""
    names = [argv[i + 1] for i, argument in enumerate(argv) if argument == "--config"]
    paths = [str(folder / name) if (folder / name).exists() else name for name in names]
    return load_config(paths, [argument for argument in argv if "=" in argument])


def test_on_this_machine_a_relative_storage_becomes_the_submitters_own_folder(project, monkeypatch):
    monkeypatch.chdir(project)

    with packed(TINY, same_machine=True, project=project) as package:
        assert package.argv == [*TINY, f"run.storage={project / 'runs'}"]
        assert package.storage == str(project / "runs")


def test_on_another_machine_a_relative_storage_is_refused_with_a_remedy(project, monkeypatch):
    monkeypatch.chdir(project)

    with (
        pytest.raises(UserError, match=r"run\.storage=s3://BUCKET/lectern"),
        packed(TINY, same_machine=False, project=project),
    ):
        pass


@pytest.mark.parametrize("storage", ["s3://bucket/lectern", "/mnt/shared/lectern"])
def test_a_storage_that_every_node_can_reach_is_left_alone(project, monkeypatch, storage):
    monkeypatch.chdir(project)
    argv = [*TINY, f"run.storage={storage}"]

    with packed(argv, same_machine=False, project=project) as package:
        assert package.argv == argv
        assert package.storage == storage


def test_a_config_file_from_anywhere_travels_with_the_job(project, tmp_path, monkeypatch):
    monkeypatch.chdir(project)
    mine = tmp_path / "elsewhere" / "mine.yaml"
    mine.parent.mkdir()
    mine.write_text("finetune: {max_steps: 7}\n")

    with packed([*TINY, "--config", str(mine)], same_machine=True, project=project) as package:
        folder = Path(package.runtime_env["working_dir"])
        assert package.argv[4] == f"{CARRIED}/00-mine.yaml"
        assert config_of(package.argv, folder).finetune.max_steps == 7
    assert not folder.exists()


def test_a_mistake_in_the_config_is_told_before_anything_is_sent(project, monkeypatch):
    monkeypatch.chdir(project)

    with (
        pytest.raises(UserError, match="max_steps"),
        packed([*TINY, "finetune.max_step=3"], same_machine=True, project=project),
    ):
        pass


def test_papers_inside_the_project_keep_their_name_and_so_their_fingerprint(project, monkeypatch):
    monkeypatch.chdir(project)

    with packed(TINY, same_machine=True, project=project) as package:
        assert not any(argument.startswith("chunk.papers") for argument in package.argv)
        assert (Path(package.runtime_env["working_dir"]) / "examples" / "papers" / "one.md").exists()


def test_papers_outside_the_project_are_only_there_on_this_machine(project, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my papers").mkdir()
    argv = [*TINY, "chunk.papers=my papers", "run.storage=s3://bucket/lectern"]

    with packed(argv, same_machine=True, project=project) as package:
        assert package.argv[-1] == f"chunk.papers={tmp_path / 'my papers'}"
    with pytest.raises(UserError, match="folder of this machine"), packed(argv, same_machine=False, project=project):
        pass


def test_what_is_excluded_by_name_stays_behind(project, monkeypatch):
    monkeypatch.chdir(project)

    with packed(TINY, same_machine=True, project=project) as package:
        names = {entry.name for entry in Path(package.runtime_env["working_dir"]).iterdir()}
    assert names == {"cluster", "jobs", "examples"}


@pytest.mark.parametrize(("argv", "word"), [([], "no command"), (["submit", "run"], "itself"), (["serve"], "deploy")])
def test_what_is_no_job_is_refused(project, argv, word):
    with pytest.raises(UserError, match=word), packed(argv, same_machine=True, project=project):
        pass


def test_an_installed_lectern_without_its_source_is_refused(tmp_path):
    with pytest.raises(UserError, match="clone"), packed(TINY, same_machine=True, project=tmp_path):
        pass
