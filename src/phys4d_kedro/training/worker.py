"""What runs in every process of a job, whoever started it: `launch`, `accelerate launch`, or `torchrun` under SLURM.

    accelerate launch --config_file <config.yaml> -m phys4d_kedro.training.worker <job.json>
    torchrun --nproc_per_node 8 -m phys4d_kedro.training.worker <job.json>

The launcher tells each process its place by RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT.
"""

import argparse
import json
import logging
import os
import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partialmethod
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.elastic.multiprocessing.errors import record
from tqdm import tqdm

from phys4d_kedro.errors import ConfigurationError, Phys4DError
from phys4d_kedro.training import ranks
from phys4d_kedro.training.job import Job, done_file, write_json
from phys4d_kedro.training.launch_config import LaunchConfig

logger = logging.getLogger(__name__)

# A process that lost another waits this long before it fails, so that whoever watches sees the cause fail first.
_SECONDS_BEHIND_THE_CAUSE = 5.0


@dataclass(frozen=True)
class Failure:
    """The error that ended a process; `user_error` is its class as "module:name" if it is one of this project's."""

    user_error: str | None
    message: str
    traceback: str

    @classmethod
    def of(cls, error: Exception) -> "Failure":
        """The failure of an error that is being handled."""
        kind = type(error)
        if isinstance(error, Phys4DError):
            return cls(f"{kind.__module__}:{kind.__qualname__}", str(error), traceback.format_exc())
        return cls(None, f"{kind.__name__}: {error}", traceback.format_exc())

    @classmethod
    def read(cls, path: Path) -> "Failure":
        """The failure that a process left in a file."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def run_rank(job: Job, timeout_minutes: float, log_level: int, failures: Path) -> None:
    """Run a job as one of several processes; an error is left as `failures/<rank>.json`, then raised."""
    # torch sends SIGINT when the launcher dies, which has to end this process even where a shell's `&` ignores it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _quiet_beside_main(log_level)
    try:
        with process_group(timeout_minutes):
            job.run()
    except Exception as error:
        if not _lost_another(error):
            _leave(Failure.of(error), failure_file(failures, int(os.environ["RANK"])))
        raise


def _leave(failure: Failure, path: Path) -> None:
    try:
        write_json(path, asdict(failure))
    except OSError:  # the disk may be full of what failed
        logger.error("%s\n%s", failure.message, failure.traceback)


def failure_file(folder: Path, rank: int) -> Path:
    """Where `run_rank` leaves the error of a rank."""
    return folder / f"{rank}.json"


@contextmanager
def process_group(timeout_minutes: float) -> Iterator[None]:
    """Be one of the processes that the environment names; alone, if it names none.

    Between GPUs they talk by NCCL, each with the GPU of its LOCAL_RANK, otherwise by gloo.

    Raises:
        ConfigurationError: there are more processes on this machine than GPUs, or SLURM started several processes
            without telling them of each other.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        if "WORLD_SIZE" not in os.environ and int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
            raise ConfigurationError(
                "srun started several workers that do not know of each other; have it start one torchrun or "
                "accelerate launch a node (docs/launch.md)"
            )
        yield
        return
    timeout = timedelta(minutes=timeout_minutes)
    if torch.cuda.is_available():
        local_rank = int(os.environ["LOCAL_RANK"])
        if local_rank >= torch.cuda.device_count():
            raise ConfigurationError(
                f"process {local_rank} of this machine has no GPU of its own: there are {torch.cuda.device_count()}; "
                f"start at most one process a GPU"
            )
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
        dist.init_process_group("nccl", timeout=timeout, device_id=device)
    else:
        dist.init_process_group("gloo", timeout=timeout)
    try:
        yield
        # Without this, one that is early would take the connection from those that still need it.
        ranks.barrier()
    except Exception as error:
        # The group is not destroyed: that can wait for processes that no longer answer.
        if _lost_another(error):
            time.sleep(_SECONDS_BEHIND_THE_CAUSE)
        raise
    dist.destroy_process_group()


def _lost_another(error: Exception) -> bool:
    """Whether an error only says that another process is gone. gloo has no class of its own for it."""
    return isinstance(error, dist.DistError) or "gloo/transport" in str(error)


def _quiet_beside_main(log_level: int) -> None:
    """Only the first process logs below WARNING and shows progress."""
    main = os.environ.get("RANK", "0") == "0"
    logging.basicConfig(format="%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S", level=logging.WARNING)
    logging.getLogger("phys4d_kedro").setLevel(log_level if main else logging.WARNING)
    if not main:
        # Bars of libraries too; TQDM_DISABLE is read when tqdm is first imported, long ago.
        setattr(tqdm, "__init__", partialmethod(tqdm.__init__, disable=True))  # noqa: B010


@record
def main() -> None:
    """Run the job of a file, and leave a file beside it that says so."""
    parser = argparse.ArgumentParser(prog="python -m phys4d_kedro.training.worker", description=main.__doc__)
    parser.add_argument("job", type=Path, help="file that the Kedro node wrote")
    parser.add_argument(
        "--timeout-minutes",
        type=float,
        default=LaunchConfig.model_fields["timeout_minutes"].default,
        help="how long a process waits for the others (default: %(default)s)",
    )
    options = parser.parse_args()
    _quiet_beside_main(logging.INFO)
    job = Job.read(options.job)
    with process_group(options.timeout_minutes):
        job.run()
        ranks.barrier()
        if ranks.is_main():
            write_json(done_file(options.job), job.fingerprint)


if __name__ == "__main__":
    main()
