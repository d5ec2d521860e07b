"""MLflow: read back, a training is one run with every point once, also after it was cut; nobody is called."""

import json
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.training import run_metadata
from phys4d_kedro.training.checkpoints import TrainingState
from phys4d_kedro.training.trackers import open_trackers
from tests.training.tasks import CONFIG, Regression, folder_of, run

TRACKED = CONFIG.model_copy(update={"trackers": ("mlflow",), "log_every": 1, "validate_every": 3})


@pytest.fixture(autouse=True)
def undeclared(monkeypatch: pytest.MonkeyPatch) -> None:
    """No run is declared before, nor after."""
    monkeypatch.setenv("PHYS4D_RUN", "")


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store without runs; MLflow takes seconds to make one."""
    mlflow = pytest.importorskip("mlflow")
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def store(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store in a file; whatever opens a connection fails."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return uri


def runs(uri: str) -> list[Any]:
    """The runs that are not deleted."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("phys4d-kedro")
    return list(client.search_runs([experiment.experiment_id])) if experiment else []


def curve(uri: str, run_id: str, name: str) -> list[tuple[int, float]]:
    from mlflow import MlflowClient

    return sorted((point.step, point.value) for point in MlflowClient(uri).get_metric_history(run_id, name))


def test_a_training_that_was_cut_is_one_run_with_every_point_once(store: str, tmp_path: Path) -> None:
    run_metadata.declare(seed=7, parameters={"params:sft": {"loop": {"steps": 12}}}, root=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(Regression(stop_at=13), tmp_path, TRACKED)
    (cut,) = runs(store)
    assert cut.info.status == "FAILED"
    result = run(Regression(), tmp_path, TRACKED)
    assert result.resumed_from == 4
    (found,) = runs(store)
    assert found.info.run_id != cut.info.run_id
    assert (found.info.status, found.info.run_name) == ("FINISHED", f"{tmp_path.name}/{folder_of(tmp_path).name}")
    for group, table in (("train", result.history), ("validation", result.validations)):
        for key in table.columns.drop("step"):
            points = list(zip(table["step"], table[key], strict=True))
            assert curve(store, found.info.run_id, f"{group}/{key}") == points, key
    assert found.data.params == {"sft.loop.steps": "12"}
    assert found.data.tags["seed"] == "7"
    assert "version.torch" in found.data.tags


def test_git_state_is_a_tag(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described = run_metadata.declare(seed=None, parameters={}, root=tmp_path)
    known = described.model_copy(update={"git_commit": "c" * 40, "git_dirty": True})
    monkeypatch.setenv("PHYS4D_RUN", known.model_dump_json())
    with open_trackers(("mlflow",), tmp_path / "sft" / "abc", TrainingState()) as trackers:
        trackers.log("train", {"step": 1, "loss": float("nan"), "other": 1.0})
    (found,) = runs(store)
    assert found.data.tags["mlflow.source.git.commit"] == "c" * 40
    assert found.data.tags["git_dirty"] == "True"
    assert found.data.metrics == {"train/other": 1.0}


def test_a_run_that_somebody_deleted_is_no_obstacle(store: str, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    folder = tmp_path / "sft" / "abc"
    for _ in range(2):
        with open_trackers(("mlflow",), folder, TrainingState()):
            pass
        note = json.loads((folder / "mlflow" / "run.json").read_text())
        MlflowClient(store).delete_run(note["run"])
    assert runs(store) == []


def test_without_mlflow_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ConfigurationError, match=r"phys4d-kedro\[mlflow\]"):
        run(Regression(), tmp_path, TRACKED)
