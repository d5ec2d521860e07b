"""Parameters, curves and Git state of a training in MLflow; docs/tracking.md.

The store is the one that MLflow's own MLFLOW_TRACKING_URI names, by default an SQLite file in the folder of the run. A
point once logged cannot be taken back there. So a training that goes on after it was cut logs all that its checkpoint
knows into a new run and deletes the one before, which `mlflow gc` or a restore can still reach: one run a training,
each point once.
"""

import json
import math
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.training import run_metadata
from phys4d_kedro.training.checkpoints import TrainingState

Row = dict[str, float]

_EXPERIMENT = "phys4d-kedro"
_URI = "MLFLOW_TRACKING_URI"
_POINTS_A_CALL, _PARAMETERS_A_CALL = 1000, 100
_LONGEST_VALUE = 500
"""Characters of a parameter's value; some stores take no more."""


class MlflowTracker:
    """A run of the experiment `phys4d-kedro`, named by the stage and the training's folder.

    Raises:
        ConfigurationError: MLflow is not installed.
    """

    def __init__(self, directory: Path, state: TrainingState) -> None:
        self._api = _load()
        self._client = self._api.MlflowClient()
        experiment = self._client.get_experiment_by_name(_EXPERIMENT)
        number = experiment.experiment_id if experiment else self._client.create_experiment(_EXPERIMENT)
        training = directory.parent
        run = run_metadata.declared()
        name = f"{training.parent.name}/{training.name}"
        self._run: str = self._client.create_run(number, tags=_tags(training, run), run_name=name).info.run_id
        if run is not None:
            for part in _parts(_parameters(run.parameters), _PARAMETERS_A_CALL):
                self._client.log_batch(self._run, params=[self._api.entities.Param(*pair) for pair in part])
        points = [
            point
            for group, rows in (("train", state.history), ("validation", state.validations))
            for row in rows
            for point in self._points(group, row)
        ]
        for part in _parts(points, _POINTS_A_CALL):
            self._client.log_batch(self._run, metrics=part)
        self._replace(directory)

    def log(self, group: str, row: Row) -> None:
        """Send a row."""
        self._client.log_batch(self._run, metrics=list(self._points(group, row)))

    def flush(self) -> None:
        """Nothing to do: every row is in the store."""

    def close(self) -> None:
        """End the run, as failed where an error is on its way."""
        self._client.set_terminated(self._run, "FAILED" if sys.exc_info()[0] else "FINISHED")

    def _points(self, group: str, row: Row) -> Iterator[Any]:
        now = int(time.time() * 1000)
        for key, value in row.items():
            if key != "step" and math.isfinite(value):  # stores differ in what they make of other numbers
                yield self._api.entities.Metric(f"{group}/{key}", value, now, int(row["step"]))

    def _replace(self, directory: Path) -> None:
        """Delete the run that this one goes on from, now that all of it is here, and be the one to go on from."""
        note = directory / "run.json"
        here = {"uri": self._api.get_tracking_uri(), "run": self._run}
        if note.exists():
            before = json.loads(note.read_text(encoding="utf-8"))
            if before["uri"] == here["uri"]:
                with suppress(self._api.exceptions.MlflowException):  # somebody has deleted it already
                    self._client.delete_run(before["run"])
        directory.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(here), encoding="utf-8")


def _load() -> Any:
    """MLflow, without its telemetry."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read at import
    os.environ.setdefault(_URI, "sqlite:///mlflow.db")
    try:
        import mlflow
    except ImportError as error:
        raise ConfigurationError(
            "trackers: mlflow is asked for and not installed; run `pip install 'phys4d-kedro[mlflow]'`, or take it out "
            "of loop.trackers"
        ) from error
    return mlflow


def _tags(training: Path, run: run_metadata.RunMetadata | None) -> dict[str, str]:
    """What runs can be found by; the names that begin with mlflow are those that its pages show."""
    tags = {"training": str(training), "mlflow.source.type": "JOB"}
    if run is None:
        return tags
    facts = {
        "mlflow.source.name": run.command,
        "mlflow.source.git.commit": run.git_commit,
        "git_dirty": run.git_dirty,
        "seed": run.seed,
        "system": run.system,
        "gpus": ", ".join(run.gpus),
        **{f"version.{name}": number for name, number in run.packages.items()},
    }
    return tags | {name: str(value) for name, value in facts.items() if value not in (None, "")}


def _parameters(parameters: dict[str, Any]) -> list[tuple[str, str]]:
    """Names with dots, and text; what nodes take of a stage's parameters, beside all of them, is there once."""
    pairs = (pair for name, value in parameters.items() for pair in _flat(value, name.removeprefix("params:")))
    return list(dict(pairs).items())


def _flat(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}")
    else:
        yield name, json.dumps(value)[:_LONGEST_VALUE]


def _parts(values: list[Any], size: int) -> Iterable[list[Any]]:
    return (values[start : start + size] for start in range(0, len(values), size))
