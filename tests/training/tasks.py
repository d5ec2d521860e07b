"""Tiny tasks for the training loop, whose course is known or can be cut."""

from pathlib import Path

import torch

from phys4d_kedro.training.config import LoopConfig
from phys4d_kedro.training.loop import FitResult, fit
from phys4d_kedro.training.task import Task

ITEMS = 10
FINGERPRINT = "f" * 64
CONFIG = LoopConfig(
    steps=12,
    batch_size=4,
    micro_batch_size=2,
    learning_rate=0.05,
    warmup_steps=3,
    ema=0.9,
    checkpoint_every=4,
    log_every=3,
    validate_every=5,
    trackers=(),
    seed=3,
)


class Regression(Task):
    """y = 2 x - 1 with noise and dropout; the call of `loss` number `stop_at` is cut, that of `nan_at` not a number."""

    def __init__(self, stop_at: int | None = None, nan_at: int | None = None) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(
            torch.nn.Linear(1, 8), torch.nn.Tanh(), torch.nn.Dropout(0.1), torch.nn.Linear(8, 1)
        )
        self.modules = {"model": self.model}
        self.x = torch.linspace(-1, 1, ITEMS)[:, None]
        self.calls = 0
        self.stop_at = stop_at
        self.nan_at = nan_at
        self.seen: list[list[int]] = []
        self.activations = torch.float32

    def loss(self, indices: list[int], generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        self.calls += 1
        self.seen.append(indices)
        if self.calls == self.stop_at:
            raise KeyboardInterrupt
        x = self.x[indices]
        target = 2 * x - 1 + 0.1 * torch.randn(x.shape, generator=generator)
        predicted = self.model(x)
        self.activations = predicted.dtype
        loss = (predicted - target).square().mean()
        return (loss + torch.nan if self.calls == self.nan_at else loss), {"figure": float(len(indices))}

    def before_step(self, step: int) -> dict[str, float]:
        """Draws from the global generator, as library code may."""
        return {"drawn": float(torch.rand(()))}

    def validate(self) -> dict[str, float]:
        with torch.no_grad():
            return {"validation_loss": float((self.model(self.x) - 2 * self.x + 1).square().mean())}

    def describe(self, indices: list[int]) -> list[str]:
        return [f"item_{index}" for index in indices]


class Slide(Task):
    """The loss -w, whose gradient Adam turns into steps of the learning rate: after n steps w is n times that.

    Validation is the squared distance of w to `goal`, so it falls, then rises.
    """

    def __init__(self, goal: float = 0.05, stop_after: int | None = None) -> None:
        self.model = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(self.model.weight)
        self.modules = {"model": self.model}
        self.goal = goal
        self.stop_after = stop_after
        self.validated: list[float] = []
        self.calls = 0

    @property
    def weight(self) -> float:
        return float(self.model.weight.detach())

    def loss(self, indices: list[int], generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        self.calls += 1
        return -self.model.weight.sum(), {}

    def validate(self) -> dict[str, float]:
        assert not self.model.training
        assert not torch.is_grad_enabled()
        self.validated.append(self.weight)
        return {"validation_loss": (self.weight - self.goal) ** 2}

    def stop_reason(self, validations: list[dict[str, float]]) -> str | None:
        return "far enough" if len(validations) == self.stop_after else None


def run(task: Task, workdir: Path, config: LoopConfig = CONFIG, fingerprint: str = FINGERPRINT) -> FitResult:
    """`fit` on the ten items."""
    return fit(task, items=ITEMS, config=config, workdir=workdir, fingerprint=fingerprint, description="test")


def folder_of(workdir: Path) -> Path:
    """Where `run` leaves its files."""
    return workdir / FINGERPRINT[:12]


def names_in(workdir: Path) -> list[str]:
    """Names in that folder, hidden ones too."""
    return sorted(path.name for path in folder_of(workdir).iterdir())


def files_of(folder: Path) -> dict[str, bytes]:
    """Contents of all files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
