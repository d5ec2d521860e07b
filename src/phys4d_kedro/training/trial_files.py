"""How a training tells a sweep, in another process, of its validations and hears whether it is worth going on.

Files in one folder: `000000.json` is the first validation of the trial, `000000.answer` what the sweep says to it. The
environment variable names the folder to the training, and to the processes that it starts.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

Row = dict[str, float]

FOLDER_VARIABLE = "PHYS4D_TRIAL_FOLDER"
ANSWER_SECONDS = 60.0
"""Longest wait for an answer; a training that gets none goes on."""

_CONTINUE, _PRUNE = "continue", "prune"


def trial_folder() -> Path | None:
    """Where this process reports validations to, if it is a trial of a sweep."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return Path(folder) if folder else None


def worth_going_on(folder: Path, row: Row, *, wait: float = ANSWER_SECONDS) -> bool:
    """Report a validation, and wait up to `wait` seconds for what the sweep says."""
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / f"{len(list(folder.glob('*.json'))):06d}.json"
    _write(report, json.dumps(row))
    answer = report.with_suffix(".answer")
    deadline = time.monotonic() + wait
    while not answer.exists():
        if time.monotonic() > deadline:
            return True
        time.sleep(0.05)
    return answer.read_text(encoding="utf-8") != _PRUNE


def unanswered(folder: Path) -> Iterator[tuple[int, Row]]:
    """Number and figures of each validation that waits for an answer, in order."""
    for report in sorted(folder.glob("*.json")):
        if not report.with_suffix(".answer").exists():
            yield int(report.stem), json.loads(report.read_text(encoding="utf-8"))


def answer(folder: Path, number: int, *, prune: bool) -> None:
    """Say whether the training that made validation `number` is worth going on."""
    _write(folder / f"{number:06d}.answer", _PRUNE if prune else _CONTINUE)


def _write(path: Path, text: str) -> None:
    """A reader sees the whole file or none."""
    partial = path.with_suffix(".part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
