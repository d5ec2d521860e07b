"""Functions that the tests of ranks and of launching run as jobs, each in one process or several."""

import json
import logging
import os
import signal
import sys
import time
from pathlib import Path

import torch
from tqdm import tqdm

from phys4d_kedro.errors import MissingAnnotationError
from phys4d_kedro.training import ranks

logger = logging.getLogger("phys4d_kedro.tests")


def gradients_of(rank: int) -> list[torch.Tensor | None]:
    """A rank's gradients of five parameters: shapes, precisions and absences of several kinds."""
    generator = torch.Generator().manual_seed(rank)
    return [
        torch.randn(3, 4, generator=generator),
        None,  # absent everywhere
        torch.randn(5, generator=generator) if rank else None,  # absent in the first alone
        torch.randn(2, 2, generator=generator).to(torch.bfloat16),
        torch.randn(7, generator=generator) * 1e-4,
    ]


def parameters() -> list[torch.nn.Parameter]:
    """The parameters of `gradients_of`, without gradients."""
    shapes = [((3, 4), torch.float32), ((2,), torch.float32), ((5,), torch.float32)]
    shapes += [((2, 2), torch.bfloat16), ((7,), torch.float32)]
    return [torch.nn.Parameter(torch.zeros(shape, dtype=dtype)) for shape, dtype in shapes]


def share(folder: str) -> None:
    """Use all of `ranks`, and leave what it gave in `<folder>/<rank>_of_<processes>.pt`."""
    whole = ranks.BUCKET_ELEMENTS
    gradients = {}
    for name, ranks.BUCKET_ELEMENTS in (("one bucket", whole), ("several buckets", 8)):
        kept = parameters()
        for parameter, gradient in zip(kept, gradients_of(ranks.rank()), strict=True):
            parameter.grad = gradient
        ranks.mean_gradients(kept)
        gradients[name] = [parameter.grad for parameter in kept]
    ranks.BUCKET_ELEMENTS = whole
    ranks.mean_gradients([])
    time.sleep(0.2 * ranks.rank())
    Path(folder, f"came_{ranks.rank()}").touch()
    ranks.barrier()
    found = {
        "gradients": gradients,
        "gathered": ranks.gather({"rank": ranks.rank(), "text": "x" * (10 * ranks.rank())}),
        "is_main": ranks.is_main(),
        "came": sorted(path.name for path in Path(folder).glob("came_*")),
    }
    torch.save(found, Path(folder, f"{ranks.rank()}_of_{ranks.world_size()}.pt"))


def report(folder: str, values: list[float]) -> dict[str, object]:
    """Log, show progress, and leave and return the circumstances of this process."""
    logger.info("told by rank %d", ranks.rank())
    logger.warning("warned by rank %d", ranks.rank())
    list(tqdm(range(3), desc=f"bar of rank {ranks.rank()}"))
    found: dict[str, object] = {
        "rank": ranks.rank(),
        "processes": ranks.world_size(),
        "threads": torch.get_num_threads(),
        "pid": os.getpid(),
        "values": values,
    }
    Path(folder, f"{ranks.rank()}_of_{ranks.world_size()}.json").write_text(json.dumps(found))
    return found


def fail(how: str, rank: int, folder: str) -> None:
    """Count the calls; then fail on one rank while the others wait for it. Alone, do nothing."""
    Path(folder, f"call_{time.monotonic_ns()}_{ranks.rank()}").touch()
    if ranks.world_size() == 1:
        return
    if ranks.rank() == rank:
        if how == "user":
            raise MissingAnnotationError("clip 7 has no depth")
        if how == "code":
            raise ZeroDivisionError("one by zero")
        if how == "once" and len(list(Path(folder).glob(f"call_*_{rank}"))) == 1:
            how = "kill"
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "exit":
            sys.exit(3)
    ranks.barrier()


def hang_up(folder: str) -> None:
    """Tell what started the processes that its terminal is gone, then go on for a while."""
    if ranks.world_size() > 1:
        if ranks.is_main():
            os.kill(os.getppid(), signal.SIGHUP)
        time.sleep(1)
        ranks.barrier()
        Path(folder, f"done_{ranks.rank()}").touch()


def wait_for_ever(folder: str) -> None:
    """Say that the process is there, then never end."""
    Path(folder, f"pid_{ranks.rank()}").write_text(str(os.getpid()))
    while True:
        time.sleep(0.05)
