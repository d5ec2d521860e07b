"""A small training by `fit` that the tests run as a job, in one process or several."""

import os
import signal
from pathlib import Path

import torch

from phys4d_kedro.training import ranks
from phys4d_kedro.training.config import LoopConfig
from phys4d_kedro.training.loop import fit
from phys4d_kedro.training.task import Task

LOOP = LoopConfig(
    steps=12,
    batch_size=8,
    micro_batch_size=2,
    learning_rate=0.05,
    ema=0.9,
    checkpoint_every=4,
    log_every=1,
    trackers=(),
    seed=3,
)


class Regression(Task):
    """y = 2 x - 1 with noise and dropout; one process is killed as it begins a given step, if it is one of several."""

    def __init__(self, workdir: Path, kill_at: int | None) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(
            torch.nn.Linear(1, 16), torch.nn.Tanh(), torch.nn.Dropout(0.2), torch.nn.Linear(16, 1)
        )
        self.modules = {"model": self.model}
        self.workdir, self.kill_at = workdir, kill_at

    def before_step(self, step: int) -> dict[str, float]:
        if ranks.world_size() > 1:
            with Path(self.workdir, f"steps_{ranks.rank()}.txt").open("a") as file:
                file.write(f"{step}\n")
            if step == self.kill_at and ranks.rank() == 1:
                os.kill(os.getpid(), signal.SIGKILL)
        return {}

    def loss(self, indices: list[int], generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        x = torch.tensor(indices, dtype=torch.float32)[:, None] / 12 - 1
        target = 2 * x - 1 + 0.1 * torch.randn(x.shape, generator=generator)
        loss = (self.model(x) - target).square().mean()
        return loss, {"mean_index": sum(indices) / len(indices)}


def train(workdir: str, kill_at: int | None) -> dict[str, object]:
    """Train by `fit`; return where it resumed and its loss curve."""
    folder = Path(workdir)
    task = Regression(folder, kill_at)
    result = fit(task, items=24, config=LOOP, workdir=folder, fingerprint="f" * 64, description="test")
    return {"resumed_from": result.resumed_from, "history": result.history}
