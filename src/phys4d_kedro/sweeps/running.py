"""One trial: its folder, its process, and what passes between its training and the study."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from optuna.trial import Trial

from phys4d_kedro.sweeps.space import Values
from phys4d_kedro.sweeps.trial_process import PRUNED_STATUS
from phys4d_kedro.training import trial_files

Preparation = Callable[[Path, Values], tuple[Sequence[str], Mapping[str, str]]]
"""Prepares a trial with these values, whose outputs go to this folder. Returns what to run, a module of Python and its
arguments, and variables of the environment."""

CONFIRMED = "confirmed"
_CONFIRM_SECONDS = 20.0
_LOG, _ERROR, _VALIDATIONS = "output.log", "error.txt", "validations"


class RunningTrial:
    """A trial between its beginning and its end."""

    def __init__(self, trial: Trial, folder: Path) -> None:
        self.trial, self.folder = trial, folder
        self._process: subprocess.Popen[bytes] | None = None
        self._confirmed = time.monotonic()

    def start(self, values: Values, prepare: Preparation) -> None:
        """Prepare the trial and start its process."""
        self.folder.mkdir(parents=True)
        command, variables = prepare(self.folder, values)
        with (self.folder / _LOG).open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "phys4d_kedro.sweeps.trial_process", str(self.folder / _ERROR), *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **variables, trial_files.FOLDER_VARIABLE: str(self.folder / _VALIDATIONS)},
            )

    def status(self) -> int | None:
        """Exit status of the process; below 0 if a signal ended it, null while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def was_pruned(self) -> bool:
        """Whether the training stopped because the study asked it to."""
        return self.status() == PRUNED_STATUS

    def attend(self, watch: str | None) -> None:
        """Give the study what was validated, the training its answers, and confirm now and then that it runs.

        Raises:
            UpdateFinishedTrialError: another process has given the trial up.
        """
        for number, row in trial_files.unanswered(self.folder / _VALIDATIONS):
            worth_it = True
            if watch is not None and watch in row:
                self.trial.report(row[watch], number)
                worth_it = not self.trial.should_prune()
            trial_files.answer(self.folder / _VALIDATIONS, number, worth_it=worth_it)
        if time.monotonic() - self._confirmed >= _CONFIRM_SECONDS:
            self.trial.set_user_attr(CONFIRMED, time.time())
            self._confirmed = time.monotonic()

    def end(self) -> None:
        """Kill what is left of the process and of those that it started."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def error(self) -> str:
        """Why the process failed, as far as it said."""
        error_file = self.folder / _ERROR
        if error_file.is_file():
            return error_file.read_text(encoding="utf-8")
        lines = (self.folder / _LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"exit status {self.status()}: {lines[-1] if lines else 'no output'}"
