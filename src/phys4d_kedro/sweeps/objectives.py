"""The figures by which trials are judged, read from the files that they leave."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.sweeps.config import Objective


def read_objectives(objectives: Sequence[Objective], folder: Path) -> list[float]:
    """The value of each, of a trial whose outputs lie in `folder`.

    Raises:
        ConfigurationError: a file or a value in it is missing, or it is not a finite number.
    """
    return [_read(objective, folder / objective.file) for objective in objectives]


def _read(objective: Objective, file: Path) -> float:
    if not file.is_file():
        raise ConfigurationError(f"objective '{objective.name}': the trial left no file {file}")
    value = _of_json(objective, file) if file.suffix == ".json" else _of_csv(objective, file)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigurationError(
            f"objective '{objective.name}': '{objective.value}' in {file} is {value!r}; it must be a finite number"
        )
    return float(value)


def _of_json(objective: Objective, file: Path) -> Any:
    value = json.loads(file.read_text(encoding="utf-8"))
    for part in objective.value.split("."):
        if not isinstance(value, dict) or part not in value:
            there = ", ".join(value) if isinstance(value, dict) else repr(value)
            raise ConfigurationError(
                f"objective '{objective.name}': no '{part}' of '{objective.value}' in {file}; there is: {there}"
            )
        value = value[part]
    return value


def _of_csv(objective: Objective, file: Path) -> float:
    table = pd.read_csv(file)
    missing = {"step", objective.value} - set(table.columns)
    if missing or table.empty:
        raise ConfigurationError(
            f"objective '{objective.name}': {file} has {len(table)} rows and the columns {', '.join(table.columns)}; "
            f"it must have rows, 'step' and '{objective.value}'"
        )
    last = table.groupby("seed")["step"].idxmax() if "seed" in table.columns else [table["step"].idxmax()]
    return float(table.loc[last, objective.value].to_numpy().mean())
