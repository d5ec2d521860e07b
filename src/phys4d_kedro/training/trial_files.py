"""How a training tells a sweep, in another process, of its validations and hears whether it is worth going on.

JSON files in one folder: `000000.json` is the first validation of the trial, `000000.answer` what the sweep says to it.
The environment variable names the folder to the training, and to the processes that it starts.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from phys4d_kedro.errors import Phys4DError
from phys4d_kedro.training.job import write_json

Row = dict[str, float]

FOLDER_VARIABLE = "PHYS4D_TRIAL_FOLDER"
ANSWER_SECONDS = 60.0
"""Longest wait for an answer; a training that gets none goes on."""


class TrialPrunedError(Phys4DError, RuntimeError):
    """The sweep that this training is a trial of has seen enough of it."""


def worth_going_on(row: Row) -> bool:
    """Report a validation and wait for what the sweep says; true where there is no sweep."""
    if not (name := os.environ.get(FOLDER_VARIABLE)):
        return True
    folder = Path(name)
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / f"{len(list(folder.glob('*.json'))):06d}.json"
    write_json(report, row)
    answered = report.with_suffix(".answer")
    deadline = time.monotonic() + ANSWER_SECONDS
    while not answered.exists():
        if time.monotonic() > deadline:
            return True
        time.sleep(0.05)
    return bool(json.loads(answered.read_text(encoding="utf-8")))


def unanswered(folder: Path) -> Iterator[tuple[int, Row]]:
    """Number and figures of each validation that waits for an answer, in order."""
    for report in sorted(folder.glob("*.json")):
        if not report.with_suffix(".answer").exists():
            yield int(report.stem), json.loads(report.read_text(encoding="utf-8"))


def answer(folder: Path, number: int, *, worth_it: bool) -> None:
    """Say whether the training that made validation `number` is worth going on."""
    write_json(folder / f"{number:06d}.answer", worth_it)
