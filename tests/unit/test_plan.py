"""What a command decides before it starts anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.plan import PlannedStage, make_plan
from jobs.stages import PIPELINE, STAGES, producer
from qa_core.artifacts import RunStore
from qa_core.config import LecternConfig
from qa_core.config_loader import load_config
from qa_core.errors import UserError
from qa_core.manifest import Manifest


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "one.md").write_text("# One\n\nSome text about one thing.\n")
    return folder


def configured(papers: Path, *overrides: str) -> LecternConfig:
    return load_config(["tiny"], [f"chunk.papers={papers}", f"run.storage={papers.parent}", *overrides])


def plan_for(config: LecternConfig, force: bool = False) -> list[PlannedStage]:
    return make_plan(config, RunStore.open(config.run.storage, config.run.name), PIPELINE, force=force)


def pretend_to_run(config: LecternConfig, plan: list[PlannedStage]) -> None:
    store = RunStore.open(config.run.storage, config.run.name)
    for planned in plan:
        for name in planned.stage.outputs:
            artifact = store.artifact(name)
            artifact.clear_staging()
            with artifact.staging() as folder:
                (folder / "file").write_text(name)
            artifact.publish(
                Manifest(
                    artifact=name, stage=planned.stage.name, fingerprint=planned.fingerprint,
                    inputs=dict(planned.inputs), config=dict(planned.settings), seed=1, num_rows=1, rejected={},
                    metrics={}, packages={}, git_commit="", started="", finished="", seconds=0.0,
                )
            )  # fmt: skip


def actions(plan: list[PlannedStage]) -> list[str]:
    return [planned.action for planned in plan]


def test_a_new_run_runs_every_stage_and_a_finished_one_none(papers: Path) -> None:
    config = configured(papers)
    plan = plan_for(config)
    assert actions(plan) == ["run"] * len(PIPELINE)
    pretend_to_run(config, plan)
    assert actions(plan_for(config)) == ["skip"] * len(PIPELINE)


def test_workers_and_batch_sizes_change_nothing(papers: Path) -> None:
    config = configured(papers)
    pretend_to_run(config, plan_for(config))
    moved = configured(papers, "chunk.compute.num_workers=8", "finetune.compute.num_workers=1", "serve.port=9000")
    assert actions(plan_for(moved)) == ["skip"] * len(PIPELINE)


def test_a_changed_setting_on_an_old_run_names_the_field_and_both_remedies(papers: Path) -> None:
    config = configured(papers)
    pretend_to_run(config, plan_for(config))
    changed = configured(papers, "finetune.max_steps=61")
    with pytest.raises(UserError) as caught:
        plan_for(changed)
    text = str(caught.value)
    assert f"finetune.max_steps was {config.finetune.max_steps}, now 61" in text
    assert "--force" in text
    assert "run.name=" in text


def test_force_replaces_what_differs_and_what_follows_from_it_but_no_more(papers: Path) -> None:
    config = configured(papers)
    pretend_to_run(config, plan_for(config))
    plan = plan_for(configured(papers, "finetune.max_steps=61"), force=True)
    by_name = {planned.stage.name: planned.action for planned in plan}
    assert {name for name, action in by_name.items() if action == "replace"} == {"finetune", "convert", "eval"}


def test_a_changed_paper_changes_the_identity_of_the_run(papers: Path) -> None:
    config = configured(papers)
    pretend_to_run(config, plan_for(config))
    (papers / "one.md").write_text("# One\n\nOther text.\n")
    with pytest.raises(UserError, match="input papers changed"):
        plan_for(config)


def test_the_papers_count_by_their_bytes_not_by_the_name_of_their_folder(papers: Path) -> None:
    config = configured(papers)
    pretend_to_run(config, plan_for(config))
    moved = papers.rename(papers.parent / "moved")
    config = load_config(["tiny"], [f"chunk.papers={moved}", f"run.storage={papers.parent}"])
    assert actions(plan_for(config)) == ["skip"] * len(PIPELINE)


def test_a_damaged_artifact_is_named_before_anything_starts_and_force_makes_it_anew(papers: Path) -> None:
    config = configured(papers)
    pretend_to_run(config, plan_for(config))
    Path(config.run.storage, "tiny", "qa", "file").write_text("changed")
    with pytest.raises(UserError, match="damaged"):
        plan_for(config)
    plan = plan_for(config, force=True)
    assert [planned.stage.name for planned in plan if planned.action != "skip"] == ["generate-qa"]


def test_a_stage_alone_asks_for_what_it_needs(papers: Path) -> None:
    config = configured(papers)
    store = RunStore.open(config.run.storage, config.run.name)
    with pytest.raises(UserError, match="Run `lectern generate-qa` first"):
        make_plan(config, store, [STAGES["finetune"]])


def test_a_pretrained_base_model_does_not_depend_on_the_papers(papers: Path) -> None:
    config = load_config(["laptop"], [f"chunk.papers={papers}", f"run.storage={papers.parent}"])
    assert "papers" not in plan_for(config)[0].inputs


def test_another_version_of_a_packaged_model_is_another_run(papers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = papers.parent / "site" / "some_models"
    (package / "small").mkdir(parents=True)
    (package / "small" / "model.safetensors").write_bytes(b"one")
    monkeypatch.syspath_prepend(str(package.parent))
    config = configured(papers, "base_model.name_or_path=package:some_models/small")
    pretend_to_run(config, plan_for(config))
    assert actions(plan_for(config)) == ["skip"] * len(PIPELINE)
    (package / "small" / "model.safetensors").write_bytes(b"two")
    with pytest.raises(UserError, match="input packaged model changed"):
        plan_for(config)


def test_evaluation_depends_on_the_base_only_where_it_is_compared_with_it(papers: Path) -> None:
    compared, alone = plan_for(configured(papers)), plan_for(configured(papers, "eval.compare=[]"))
    assert {"base", "adapter"} <= set(compared[-1].inputs)
    assert not {"base", "adapter"} & set(alone[-1].inputs)


def test_every_artifact_has_one_producer() -> None:
    outputs = [name for stage in STAGES.values() for name in stage.outputs]
    assert len(outputs) == len(set(outputs))
    assert producer("qa_rejected").name == "generate-qa"


def test_every_shipped_config_plans_all_stages(papers: Path) -> None:
    for names in (["tiny"], ["laptop"], ["qwen2.5-3b"], ["qwen2.5-3b", "cluster"]):
        config = load_config(names, [f"chunk.papers={papers}", f"run.storage={papers.parent}"])
        assert actions(plan_for(config)) == ["run"] * len(PIPELINE)
