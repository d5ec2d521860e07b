"""The one training loop. All randomness of a step depends on the seed and its number alone, so that a run cut anywhere
and resumed from its last checkpoint ends, on the same machine, in the same bytes as one that was never cut.

The unit of work is the micro-batch, with randomness of its own: one process that takes two and two processes that take
one each do the same sums. Process r of n takes micro-batches r, r + n, ...; process 0 writes all files.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pandas as pd
import torch
from accelerate import Accelerator
from tqdm import tqdm

from phys4d_kedro.errors import CheckpointError, ConfigurationError
from phys4d_kedro.training import checkpoints, diverged, ranks
from phys4d_kedro.training.averages import averaged, start_averages, update_averages
from phys4d_kedro.training.checkpoints import TrainingState
from phys4d_kedro.training.config import LoopConfig
from phys4d_kedro.training.optimizer import GuardedAdamW
from phys4d_kedro.training.records import MicroBatch, Row, StepRecord, mean_rows, settle
from phys4d_kedro.training.schedule import batches, learning_rate, step_generator
from phys4d_kedro.training.startup import describe_run
from phys4d_kedro.training.task import Task
from phys4d_kedro.training.trackers import Trackers, open_trackers
from phys4d_kedro.training.trial_files import TrialPrunedError, worth_going_on
from phys4d_kedro.training.validations import best_step, out_of_patience, validation_row

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FitResult:
    """How a training went.

    `history` has a row every `log_every` steps: step, learning_rate, loss and the task's own figures; `validations` one
    for every validation: step and figures. `steps` were taken in all, the first `resumed_from` of them by an earlier
    run; `stopped` says why there are fewer than asked for, if so.
    """

    steps: int
    history: pd.DataFrame
    validations: pd.DataFrame
    resumed_from: int
    stopped: str | None


def fit(task: Task, *, items: int, config: LoopConfig, workdir: Path, fingerprint: str, description: str) -> FitResult:
    """Train `task` over `items` items, resuming from the newest checkpoint; a run that is complete returns at once.

    Checkpoints and curves lie in `workdir/<first 12 digits of fingerprint>`: a changed configuration starts anew beside
    the old run and loses nothing. Afterwards the modules hold the weights that `config.keep` asks for, averaged if
    `config.ema` > 0, and are in evaluation mode.

    Args:
        items: number of items of the data set; batches are drawn without replacement, epoch by epoch.
        fingerprint: hash of all that decides the result beside `config`: data, frozen weights, parameters.
        description: shown beside the progress bar.

    Raises:
        ConfigurationError: processes cannot share the micro-batches evenly, or the task does not validate as asked.
        TrainingDivergedError: a loss or gradient is not finite; the batch and its weights are kept.
        CheckpointError: a checkpoint in the folder is damaged.
        StorageFullError: the disk is full; what was saved before is kept.
        TrialPrunedError: this is a trial of a sweep, which has seen enough of it.
    """
    device = Accelerator(cpu=not torch.cuda.is_available()).device  # joins the processes of a launch
    _check(task, config)
    run = _Run(
        task,
        items=items,
        config=config,
        directory=workdir / fingerprint[:12],
        fingerprint=fingerprint,
        description=description,
        device=device,
    )
    resumed_from = run.resume()
    if not run.complete:
        run.train()
    run.leave_weights()
    state = run.state
    return FitResult(
        steps=state.step,
        history=pd.DataFrame(state.history),
        validations=pd.DataFrame(state.validations) if state.validations else pd.DataFrame(columns=["step"]),
        resumed_from=resumed_from,
        stopped=state.stopped,
    )


def _check(task: Task, config: LoopConfig) -> None:
    if config.micro_batches % ranks.world_size():
        raise ConfigurationError(
            f"{ranks.world_size()} processes cannot share {config.micro_batches} micro-batches a step evenly; set "
            f"micro_batch_size so that batch_size ({config.batch_size}) holds a multiple of {ranks.world_size()}"
        )
    if config.validate_every is not None and type(task).validate is Task.validate:
        raise ConfigurationError(f"{type(task).__name__} has no validation: set validate_every to null")


class _Run:
    """One training: its modules, optimiser and averages, and how far it has come."""

    def __init__(
        self,
        task: Task,
        *,
        items: int,
        config: LoopConfig,
        directory: Path,
        fingerprint: str,
        description: str,
        device: torch.device,
    ) -> None:
        self.task, self.items, self.config, self.device = task, items, config, device
        self.directory, self.fingerprint, self.description = directory, fingerprint, description
        for module in task.modules.values():
            module.to(device).train()
        self.parameters = [p for module in task.modules.values() for p in module.parameters() if p.requires_grad]
        self.optimizer = GuardedAdamW(self.parameters, config, device)
        self.averages = start_averages(task.modules) if config.ema else {}
        self.state = TrainingState()
        self.unsettled: list[StepRecord] = []  # steps whose losses nobody has read yet

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.state.step == self.config.steps or self.state.stopped is not None

    @property
    def best(self) -> int | None:
        """Step of the best validation so far."""
        return best_step(self.state.validations, self.task.monitored)

    def resume(self) -> int:
        """Go to the newest checkpoint, if there is one. Returns its step."""
        saved = checkpoints.list_checkpoints(self.directory)
        newest = saved[-1] if saved else None
        if len(set(ranks.gather(newest and newest.name))) > 1:
            raise CheckpointError(f"processes see different checkpoints in {self.directory}; put it on a shared disk")
        if newest is not None:
            self.state = checkpoints.restore(
                newest,
                modules=self.task.modules,
                averages=self.averages,
                optimizer=self.optimizer,
                fingerprint=self.fingerprint,
            )
            self._say(f"resuming after step {self.state.step} of {self.config.steps} from {newest}")
        return self.state.step

    def train(self) -> None:
        """Take the steps that are left."""
        state, config = self.state, self.config
        self._say(describe_run(self.task.modules, self.averages, items=self.items, config=config, device=self.device))
        names = config.trackers if ranks.is_main() else ()
        with (
            open_trackers(names, self.directory, state) as trackers,
            tqdm(
                initial=state.step,
                total=config.steps,
                desc=self.description,
                unit="step",
                disable=not ranks.is_main(),
            ) as bar,
        ):
            if config.validate_every is not None and not state.validations:
                self._validate(trackers)  # where training starts from
            for indices in batches(self.items, config, state.step):
                self._step(indices)
                self._account(trackers)
                bar.update()
                if state.history:
                    bar.set_postfix({"loss": f"{state.history[-1]['loss']:.4g}"}, refresh=False)
                if state.stopped is not None:
                    self._say(f"stopped after step {state.step}: {state.stopped}")
                    break

    def leave_weights(self) -> None:
        """Put the weights that are asked for into the modules, ready for use; the last if no validation was finite."""
        if self.config.keep == "best" and self.best is not None:
            checkpoints.load_best(self.directory, self.task.modules, self.best)
        else:
            for name, average in self.averages.items():
                self.task.modules[name].load_state_dict(average)
        for module in self.task.modules.values():
            module.eval()

    def _step(self, indices: list[int]) -> None:
        """One optimiser step over this process' share of the batch."""
        step, config = self.state.step, self.config
        step_generator(config.seed, step, config.micro_batches)  # what comes before repeats on resume too
        before = self.task.before_step(step)
        size, processes = len(indices) // config.micro_batches, ranks.world_size()
        parts: list[MicroBatch] = []
        for number in range(ranks.rank(), config.micro_batches, processes):
            part = indices[number * size : (number + 1) * size]
            generator = step_generator(config.seed, step, number)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
                loss, logs = self.task.loss(part, generator)
            if not parts and self.optimizer.diverged:  # in the step before; the device is busy with this loss meanwhile
                self._settle()
            (loss * (processes / config.micro_batches)).backward()
            self.optimizer.mark(loss)
            parts.append(MicroBatch(number, part, loss.detach(), logs))
        ranks.mean_gradients(self.parameters)
        norm = self.optimizer.update(learning_rate(step, config))
        update_averages(self.task.modules, self.averages, config.ema, step)
        self.unsettled.append(StepRecord(step + 1, before, norm, parts))
        self.state.step += 1

    def _account(self, trackers: Trackers) -> None:
        """Log, validate and save, whatever is due after the step."""
        state, config = self.state, self.config
        log, validate, save = (self._due(n) for n in (config.log_every, config.validate_every, config.checkpoint_every))
        if not (log or validate or save):
            return
        self._settle()
        if validate:
            self._validate(trackers)
            self._consider_stopping()
        if log or state.stopped is not None:
            means = mean_rows(state.pending)
            state.history.append({"step": state.step, "learning_rate": learning_rate(state.step - 1, config), **means})
            state.pending.clear()
            trackers.log("train", state.history[-1])
        if save or state.stopped is not None:
            self._save(trackers)

    def _due(self, every: int | None) -> bool:
        return every is not None and (self.state.step % every == 0 or self.state.step == self.config.steps)

    def _settle(self) -> None:
        """Read the losses of the last steps. Raises TrainingDivergedError for the first that is not finite."""
        records, self.unsettled = settle(self.unsettled), []
        for record in records:
            if not record.finite:
                diverged.stop(self.task, record, self.directory, self.config, self.description)
            self.state.pending.append(record.row())

    def _validate(self, trackers: Trackers) -> None:
        """A validation of the averaged weights: a row, and the best weights if these are."""
        state, task = self.state, self.task
        for module in task.modules.values():
            module.eval()
        with averaged(task.modules, self.averages), torch.no_grad():
            figures = cast(Row, ranks.gather(task.validate())[0])
            state.validations.append(validation_row(state.step, figures, task.monitored))
            if self.best == state.step and ranks.is_main():
                checkpoints.save_best(self.directory, task.modules, state.step)
        for module in task.modules.values():
            module.train()
        trackers.log("validation", state.validations[-1])
        self._say(
            f"validation after step {state.step}: " + ", ".join(f"{key} {value:.4g}" for key, value in figures.items())
        )
        if not ranks.gather(not ranks.is_main() or worth_going_on(state.validations[-1]))[0]:
            raise TrialPrunedError(f"{self.description}: ended by its sweep after step {state.step}")

    def _consider_stopping(self) -> None:
        """By the task's own rule, or because validations get no better."""
        state, task = self.state, self.task
        if not self.complete:
            reason = task.stop_reason(state.validations) or out_of_patience(
                state.validations, task.monitored, self.config.patience
            )
            state.stopped = cast(str | None, ranks.gather(reason)[0])

    def _save(self, trackers: Trackers) -> None:
        if ranks.is_main():
            trackers.flush()  # a resumed run does not log again what the checkpoint has
            checkpoints.save(
                self.directory,
                modules=self.task.modules,
                averages=self.averages,
                optimizer=self.optimizer,
                state=self.state,
                fingerprint=self.fingerprint,
                keep=self.config.keep_checkpoints,
                best=self.best,
            )
        ranks.barrier()

    def _say(self, text: str) -> None:
        if ranks.is_main():
            logger.info("%s: %s", self.description, text)
