"""Run a training job in this process, in several processes of this machine, or by a launcher outside of Kedro."""

import importlib
import json
import logging
import os
import shlex
import signal
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher import api as elastic

from phys4d_kedro.errors import ConfigurationError, LaunchError, Phys4DError
from phys4d_kedro.training import run_metadata, worker
from phys4d_kedro.training.job import Job, done_file
from phys4d_kedro.training.launch_config import LaunchConfig

__all__ = ["Job", "launch"]

logger = logging.getLogger(__name__)

_TOLD_HERE = ("torch.distributed.elastic", "torch.multiprocessing")
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


def launch(job: Job, config: LaunchConfig) -> Any:
    """Run a job as `config` says, and return what its function returns in this process.

    Where other processes do the work, the function is called here once more afterwards: it finds its checkpoints
    complete and loads them. So a node is written the same for one process and for many.

    Raises:
        ConfigurationError: the function is unknown, or there are fewer GPUs than processes.
        LaunchError: a process failed or was ended, its traceback in the message; or, with `external`, the job has not
            been run yet, and the message tells the command.
        Phys4DError: what the function raised, in whichever process.
    """
    job.resolve()
    if config.external:
        _require_external_run(job, config)
    elif config.processes > 1:
        _run_processes(job, config)
    return job.run()


def _require_external_run(job: Job, config: LaunchConfig) -> None:
    path = job.write(Path(str(config.job_dir)))
    done = done_file(path)
    if done.exists() and json.loads(done.read_text(encoding="utf-8")) == job.fingerprint:
        return
    options = ["--config_file", config.accelerate_config] if config.accelerate_config else []
    work = ["-m", "phys4d_kedro.training.worker", str(path), "--timeout-minutes", f"{config.timeout_minutes:g}"]
    command = shlex.join(["accelerate", "launch", *options, *work])
    raise LaunchError(
        f"{job.function} waits to be run by your launcher. Run\n\n    {command}\n\nin the folder of the project "
        f"(docs/launch.md has it for several nodes and for SLURM), then this again: it goes on from the result"
    )


def _run_processes(job: Job, config: LaunchConfig) -> None:
    """Run a job in several processes; start all of them again after one was lost, as often as `restarts`."""
    gpus = torch.cuda.device_count()
    if torch.cuda.is_available() and config.processes > gpus:
        raise ConfigurationError(f"launch.processes is {config.processes}, but there are {gpus} GPUs on this machine")
    for remaining in range(config.restarts, -1, -1):
        try:
            _run_processes_once(job, config)
            return
        except LaunchError as error:
            if remaining == 0:
                raise
            logger.warning("%s\nStarting again from the last checkpoint; %d restarts are left", error, remaining - 1)


def _run_processes_once(job: Job, config: LaunchConfig) -> None:
    with tempfile.TemporaryDirectory(prefix="phys4d_launch_") as name, _undisturbed():
        failures = Path(name) / "failures"
        settings = elastic.LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=config.processes,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",  # 0: a port that is free
            local_addr="localhost",
            max_restarts=0,
            start_method="spawn",
            signals_to_handle=_handled_signals(),
            logs_specs=DefaultLogsSpecs(log_dir=str(Path(name) / "logs")),
        )
        log_level = logging.getLogger("phys4d_kedro").getEffectiveLevel()
        run = elastic.elastic_launch(settings, worker.run_rank)
        try:
            with _threads_of_a_process(config.processes):
                run(job, config.timeout_minutes, log_level, failures)
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            raise _error_of(job, config, rank, failure, worker.failure_file(failures, rank)) from None


def _error_of(job: Job, config: LaunchConfig, rank: int, failure: ProcessFailure, path: Path) -> Phys4DError:
    """The error of the process that failed first, as the user should see it."""
    process = f"process {rank} of {config.processes} of {job.function}"
    if failure.exitcode < 0:
        hint = "; the system does this when memory runs out" if -failure.exitcode == signal.SIGKILL else ""
        return LaunchError(
            f"{process} (pid {failure.pid}) was ended by {failure.signal_name()}{hint}. The others were stopped; "
            f"checkpoints are kept, and running again resumes from the last"
        )
    if not path.exists():
        return LaunchError(
            f"{process} (pid {failure.pid}) ended with exit code {failure.exitcode} and no error of its own: it lost "
            f"the others, or something in it called exit; its last messages are above"
        )
    found = worker.Failure.read(path)
    if found.user_error is None:
        return LaunchError(f"{process} failed: {found.message}\n\n{found.traceback}")
    module, _, name = found.user_error.partition(":")
    kind: type[Phys4DError] = getattr(importlib.import_module(module), name)
    return kind(found.message)


@contextmanager
def _threads_of_a_process(processes: int) -> Iterator[None]:
    """Processes started within share the processors evenly, unless OMP_NUM_THREADS says how many each may use."""
    if "OMP_NUM_THREADS" in os.environ:
        yield
        return
    os.environ["OMP_NUM_THREADS"] = str(max(1, run_metadata.processors() // processes))
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Take back what torch's launcher does to this process: its handlers of signals and its own account of errors."""
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    loggers = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict) if name.startswith(_TOLD_HERE)]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.CRITICAL)
    stopped: signal.Signals | None = None
    try:
        yield
    except SignalException as error:
        stopped = error.sigval
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                signal.signal(number, handler)
    if stopped is not None:
        signal.raise_signal(stopped)  # to whom it would have gone: Ctrl-C is a KeyboardInterrupt again
        raise LaunchError(
            f"the processes were stopped by {stopped.name}; running again resumes from the last checkpoint"
        )


def _handled_signals() -> str:
    """The signals that end the processes: not those that this one ignores, as SIGHUP under nohup."""
    return ",".join(number.name for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN)
