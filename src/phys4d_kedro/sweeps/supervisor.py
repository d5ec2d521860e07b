"""Makes the trials of a study, several at a time, each in a process of its own.

Any number of supervisors may work on one study, on any number of machines. Each signs its trials with its machine and
process and confirms now and then that they run, so that the trials of one that was killed are found, and made again.
"""

import logging
import os
import socket
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from phys4d_kedro.errors import ConfigurationError, Phys4DError
from phys4d_kedro.sweeps.config import SweepConfig
from phys4d_kedro.sweeps.objectives import read_objectives
from phys4d_kedro.sweeps.running import CONFIRMED, Preparation, RunningTrial
from phys4d_kedro.sweeps.space import Choice, grid
from phys4d_kedro.sweeps.studies import begin, counted, end, fail, give_up

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.2
LOST_SECONDS = 180.0
"""A trial that nobody has confirmed for so long is lost. Clocks of the machines must agree better than that."""

_MACHINE, _PROCESS = "machine", "process"
_THIS_MACHINE = f"{socket.gethostname()} {uuid.getnode():x}"


@dataclass
class Supervisor:
    """Makes trials of `study` in subfolders of `folder`."""

    study: Study
    sweep: SweepConfig
    folder: Path
    prepare: Preparation
    _said_to_wait: bool = field(default=False, init=False)

    def run(self, *, trials: int, jobs: int) -> None:
        """Until `trials` trials of the study have ended; `jobs` at a time. A grid has no more than its combinations.

        Raises:
            ConfigurationError: the folder has trials of another study.
        """
        if any(self.folder.glob("trial_*")) and not self.study.get_trials(deepcopy=False):
            raise ConfigurationError(
                f"{self.folder} has trials of a study '{self.study.study_name}' that this storage does not know; "
                f"remove the folder, or begin another study with --study=<name>"
            )
        if self.sweep.sampler.kind == "grid":
            trials = min(trials, len(grid(self.sweep.parameters)))
        running: list[RunningTrial] = []
        try:
            while True:
                if len(running) < jobs:
                    self._find_lost(running)
                    while len(running) < jobs and len(counted(self.study)) < trials:
                        self._start(running)
                    if not running and not self._others_run():
                        return
                time.sleep(POLL_SECONDS)
                running = [one for one in running if self._goes_on(one)]
        finally:
            for one in running:
                one.end()
            for one in running:
                give_up(self.study, one.trial, "the sweep was interrupted", retries=None)

    def _start(self, running: list[RunningTrial]) -> None:
        """The next trial; one that cannot begin has failed."""
        trial = self.study.ask()
        one = RunningTrial(trial, self.folder / f"trial_{trial.number:04d}")
        running.append(one)
        trial.set_user_attr(_MACHINE, _THIS_MACHINE)
        trial.set_user_attr(_PROCESS, os.getpid())
        values = begin(self.study, self.sweep, trial)
        shown = ", ".join(f"{key}={_text(value)}" for key, value in values.items())
        logger.info("trial %d, in %s: %s", trial.number, one.folder, shown)
        try:
            one.start(values, self.prepare)
        except (Phys4DError, OSError) as error:
            running.remove(one)
            self._fail(one, f"{type(error).__name__}: {error}")

    def _goes_on(self, one: RunningTrial) -> bool:
        """Whether the trial's process still runs; its result is recorded otherwise."""
        if one.status() is not None:
            one.end()
            self._record(one)
            return False
        try:
            one.attend(None if self.sweep.pruner is None else self.sweep.pruner.watch)
        except UpdateFinishedTrialError:
            logger.warning("trial %d was given up by another process, which took it for lost", one.trial.number)
            one.end()
            return False
        return True

    def _record(self, one: RunningTrial) -> None:
        number, status = one.trial.number, one.status() or 0
        if status < 0:
            again = give_up(self.study, one.trial, f"killed by signal {-status}", retries=self.sweep.retries)
            logger.warning("trial %d was killed by signal %d%s", number, -status, "; it is made again" if again else "")
        elif one.was_pruned:
            end(self.study, one.trial, TrialState.PRUNED)
            logger.info("trial %d ended early", number)
        elif status:
            self._fail(one, one.error())
        else:
            try:
                values = read_objectives(self.sweep.objectives, one.folder)
            except (Phys4DError, OSError, ValueError) as error:
                self._fail(one, f"{type(error).__name__}: {error}")
                return
            end(self.study, one.trial, TrialState.COMPLETE, values=values)
            shown = zip(self.sweep.objectives, values, strict=True)
            logger.info("trial %d: %s", number, ", ".join(f"{o.name} {_text(value)}" for o, value in shown))

    def _fail(self, one: RunningTrial, error: str) -> None:
        fail(self.study, one.trial, error)
        logger.warning("trial %d failed: %s", one.trial.number, error)

    def _others_run(self) -> bool:
        """Whether other processes still make trials; says so once, as they are waited for."""
        others = [trial.number for trial in counted(self.study) if trial.state == TrialState.RUNNING]
        if others and not self._said_to_wait:
            logger.info("waiting for trials of other processes: %s; Ctrl-C leaves them alone", others)
            self._said_to_wait = True
        return bool(others)

    def _find_lost(self, running: list[RunningTrial]) -> None:
        """Give up trials whose supervisor is no more."""
        own = {one.trial.number for one in running}
        for trial in self.study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
            if trial.number not in own and _is_lost(trial):
                again = give_up(self.study, trial, "its sweep was killed", retries=self.sweep.retries)
                logger.warning(
                    "trial %d was lost with its sweep%s", trial.number, "; it is made again" if again else ""
                )


def _is_lost(trial: FrozenTrial) -> bool:
    """Whether a trial that is none of this process' has nobody who makes it."""
    attributes = trial.user_attrs
    if attributes.get(_MACHINE) == _THIS_MACHINE and _PROCESS in attributes:
        if attributes[_PROCESS] == os.getpid():  # of one before, as in containers, whose processes have few numbers
            return True
        try:
            os.kill(attributes[_PROCESS], 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
    began = trial.datetime_start.timestamp() if trial.datetime_start is not None else 0.0
    return time.time() - attributes.get(CONFIRMED, began) > LOST_SECONDS


def _text(value: Choice) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
