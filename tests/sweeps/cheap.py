"""Sweeps whose trials take no time, and their studies."""

import json
import os
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import TrialState

from phys4d_kedro.sweeps.config import SweepConfig
from phys4d_kedro.sweeps.space import Values
from phys4d_kedro.sweeps.studies import counted, open_storage, open_study
from phys4d_kedro.sweeps.supervisor import Supervisor

ROOT = Path(__file__).parents[2]
DISTANCE = {"name": "distance", "file": "metrics.json", "value": "score.distance", "direction": "minimize"}
HEIGHT = {"name": "height", "file": "metrics.json", "value": "score.height", "direction": "maximize"}
X = {"kind": "float", "low": 0, "high": 10}


def sweep(parameters: Mapping[str, Any], *objectives: Mapping[str, Any], **options: Any) -> SweepConfig:
    """A sweep over these parameters; by `DISTANCE` where nothing else is said."""
    content = {"parameters": parameters, "objectives": objectives or [DISTANCE], **options}
    return SweepConfig.model_validate(content)


def study_of(config: SweepConfig, folder: Path, url: str | None = None) -> Study:
    """The study `cheap`, in a journal in the folder where nothing else is said."""
    return open_study("cheap", config, open_storage(url or str(folder / "journal.log")), {})


def supervisor(config: SweepConfig, folder: Path, url: str | None = None) -> Supervisor:
    """One that makes trials of `study_of` there."""
    return Supervisor(study_of(config, folder, url), config, folder / "trials", prepare)


def prepare(folder: Path, values: Values) -> tuple[list[str], dict[str, str]]:
    """A trial of `tests.sweeps.objective`."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return ["tests.sweeps.objective", str(folder), json.dumps(values)], {"PYTHONPATH": path}


def states(study: Study) -> dict[str, int]:
    """How many of the trials that count are in which state."""
    return dict(Counter(trial.state.name for trial in counted(study)))


def unfinished(study: Study) -> list[int]:
    """Numbers of trials that nobody has accounted for."""
    return [t.number for t in study.get_trials(states=[TrialState.RUNNING, TrialState.WAITING])]


def exists(process: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# Four combinations, whose trials end once the file `go` is there.
WAITING = sweep(
    {"x": {**X, "high": 3, "step": 1}, "mode": {"kind": "categorical", "choices": ["waiting"]}},
    sampler={"kind": "grid"},
)

if __name__ == "__main__":
    supervisor(WAITING, Path(sys.argv[1])).run(trials=4, jobs=2)
