"""What a run was: Git state as it is, beside every checkpoint, and without any effect on it."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline

from phys4d_kedro.hooks import ProjectHooks
from phys4d_kedro.training import run_metadata
from tests.training.tasks import CONFIG as LOOP
from tests.training.tasks import Regression, files_of, folder_of, run

VARIABLE = "PHYS4D_RUN"


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_git_state_is_that_of_the_project(tmp_path: Path) -> None:
    outside = run_metadata.declare(seed=0, parameters={}, root=tmp_path)
    assert (outside.git_commit, outside.git_dirty) == (None, None)
    git(tmp_path, "init", "-q")
    (tmp_path / "code.py").write_text("1")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "-q", "-m", "first")
    clean = run_metadata.declare(seed=0, parameters={}, root=tmp_path)
    assert (clean.git_commit, clean.git_dirty) == (git(tmp_path, "rev-parse", "HEAD"), False)
    (tmp_path / "code.py").write_text("2")
    dirty = run_metadata.declare(seed=0, parameters={}, root=tmp_path)
    assert dirty.git_dirty
    assert ("Git commit", f"{clean.git_commit}, with uncommitted changes") in run_metadata.describe(dirty)


def test_processes_that_a_run_starts_know_it(tmp_path: Path) -> None:
    assert run_metadata.declared() is None
    described = run_metadata.declare(seed=3, parameters={"params:sft": {"steps": 5, "folder": tmp_path}}, root=tmp_path)
    assert described.parameters == {"params:sft": {"steps": 5, "folder": str(tmp_path)}}
    assert described.packages["torch"] == torch.__version__
    code = "from phys4d_kedro.training import run_metadata; print(run_metadata.declared().model_dump_json())"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert run_metadata.RunMetadata.model_validate_json(printed) == described


def test_every_checkpoint_has_it_and_is_otherwise_the_same(tmp_path: Path) -> None:
    run(Regression(), tmp_path / "without")
    described = run_metadata.declare(seed=3, parameters={}, root=tmp_path)
    run(Regression(), tmp_path / "with")
    folders = sorted(folder_of(tmp_path / "with").glob("step_*"))
    assert len(folders) == 2
    assert [run_metadata.read(folder) for folder in folders] == [described] * 2
    assert run_metadata.read(folder_of(tmp_path / "without") / folders[0].name) is None
    told = {name: content for name, content in files_of(tmp_path / "with").items() if not name.endswith("run.json")}
    assert told == files_of(tmp_path / "without")


def test_a_run_goes_on_from_what_another_command_left(tmp_path: Path) -> None:
    run_metadata.declare(seed=3, parameters={}, root=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(Regression(stop_at=13), tmp_path)
    second = run_metadata.declare(seed=4, parameters={}, root=tmp_path)
    assert run(Regression(), tmp_path).resumed_from == 4
    seeds = [run_metadata.read(folder) for folder in sorted(folder_of(tmp_path).glob("step_*"))]
    assert seeds[-1] == second


def test_a_kedro_run_declares_itself_with_the_parameters_that_it_reads(tmp_path: Path) -> None:
    data = {"params:sft": LOOP, "params:rl": LOOP, "clips": 1}
    catalog = DataCatalog({name: MemoryDataset(value) for name, value in data.items()})
    pipeline = Pipeline([Node(lambda clips, sft: (clips, sft), ["clips", "params:sft"], "model", name="train_node")])
    ProjectHooks().before_pipeline_run(run_params={}, pipeline=pipeline, catalog=catalog)
    described = run_metadata.declared()
    assert described is not None
    assert described.parameters == {"params:sft": LOOP.model_dump(mode="json")}


def test_what_another_release_declared_is_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, '{"command": "kedro run"}')
    assert run_metadata.declared() is None
    run_metadata.write(tmp_path)
    assert not list(tmp_path.iterdir())
