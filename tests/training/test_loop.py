"""The loop: exact resume, data order, schedule, averages, and what happens when things go wrong."""

import errno
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from phys4d_kedro.errors import CheckpointError, StorageFullError
from phys4d_kedro.training import checkpoints
from phys4d_kedro.training.config import LoopConfig
from phys4d_kedro.training.loop import FitResult, TrainingDivergedError, batches, fit, learning_rate

ITEMS = 10
CONFIG = LoopConfig(
    steps=12, batch_size=3, learning_rate=0.05, warmup_steps=3, ema=0.9, checkpoint_every=4, log_every=3, seed=3
)


class Regression:
    """y = 2 x - 1 with noise and dropout; stops with an exception at a given step."""

    def __init__(self, stop_at: int | None = None, nan_at: int | None = None) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(
            torch.nn.Linear(1, 8), torch.nn.Tanh(), torch.nn.Dropout(0.1), torch.nn.Linear(8, 1)
        )
        self.modules: dict[str, torch.nn.Module] = {"model": self.model}
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
        return (loss * torch.nan if self.calls == self.nan_at else loss), {"figure": float(len(indices))}


def run(task: Regression, workdir: Path, config: LoopConfig = CONFIG, fingerprint: str = "f" * 64) -> FitResult:
    return fit(task, items=ITEMS, config=config, workdir=workdir, fingerprint=fingerprint, description="test")


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("stop_at", [1, 4, 5, 9, 12])
def test_interrupted_run_ends_in_the_same_bytes(tmp_path: Path, stop_at: int) -> None:
    undisturbed = run(Regression(), tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        run(Regression(stop_at=stop_at), tmp_path / "b")
    resumed_task = Regression()
    resumed = run(resumed_task, tmp_path / "b")
    assert resumed.resumed_from == (stop_at - 1) // 4 * 4
    assert resumed_task.calls == 12 - resumed.resumed_from
    last_a = checkpoints.list_checkpoints(tmp_path / "a" / ("f" * 12))[-1]
    last_b = checkpoints.list_checkpoints(tmp_path / "b" / ("f" * 12))[-1]
    assert files_of(last_a) == files_of(last_b)
    assert "model.ema.safetensors" in files_of(last_a)
    assert undisturbed.history.equals(resumed.history)


def test_bf16_is_of_the_forward_pass_alone(tmp_path: Path) -> None:
    full, half = Regression(), Regression()
    config = CONFIG.model_copy(update={"precision": "bf16", "steps": 300, "checkpoint_every": 300})
    run(full, tmp_path / "full")
    result = run(half, tmp_path / "half", config)
    assert (full.activations, half.activations) == (torch.float32, torch.bfloat16)
    assert {value.dtype for value in half.model.state_dict().values()} == {torch.float32}
    assert result.history["loss"].iloc[-5:].mean() < 0.2 * result.history["loss"].iloc[:5].mean()


def test_complete_run_is_not_trained_again(tmp_path: Path) -> None:
    first = run(Regression(), tmp_path)
    task = Regression()
    again = run(task, tmp_path)
    assert task.calls == 0
    assert again.history.equals(first.history)


def test_training_learns_and_leaves_the_average(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"steps": 300, "checkpoint_every": 300})
    task = Regression()
    result = run(task, tmp_path, config)
    assert result.history["loss"].iloc[-5:].mean() < 0.2 * result.history["loss"].iloc[:5].mean()
    saved = checkpoints._read_tensors(checkpoints.list_checkpoints(tmp_path / ("f" * 12))[-1] / "model.ema.safetensors")
    assert all(torch.equal(saved[key], value) for key, value in task.model.state_dict().items())


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    first = run(Regression(), tmp_path / "a")
    other = run(Regression(), tmp_path / "b", CONFIG.model_copy(update={"seed": 4}))
    assert not np.allclose(first.history["loss"], other.history["loss"])


def test_changed_fingerprint_starts_beside_the_old_run(tmp_path: Path) -> None:
    run(Regression(), tmp_path)
    task = Regression()
    run(task, tmp_path, fingerprint="e" * 64)
    assert task.calls == 12
    assert {path.name for path in tmp_path.iterdir()} == {"f" * 12, "e" * 12}


def test_every_epoch_is_a_permutation_whatever_step_it_starts_from() -> None:
    whole = list(batches(ITEMS, CONFIG, 0))
    flat = [index for batch in whole for index in batch]
    assert sorted(flat[:10]) == list(range(10))
    assert sorted(flat[10:20]) == list(range(10))
    assert flat[:10] != flat[10:20]
    assert list(batches(ITEMS, CONFIG, 7)) == whole[7:]


def test_learning_rate_warms_up_holds_and_falls_to_nothing() -> None:
    config = LoopConfig(steps=100, batch_size=1, learning_rate=2.0, warmup_steps=10, decay_share=0.5, seed=0)
    assert learning_rate(0, config) == pytest.approx(0.2)
    assert learning_rate(9, config) == 2.0
    assert learning_rate(50, config) == 2.0
    assert learning_rate(75, config) == pytest.approx(1.0)
    assert learning_rate(99, config) == pytest.approx(2.0 / 50)


def test_nan_stops_with_step_and_items_and_keeps_checkpoints(tmp_path: Path) -> None:
    task = Regression(nan_at=7)
    with pytest.raises(TrainingDivergedError, match=r"step 7, items \[") as error:
        run(task, tmp_path)
    assert str(task.seen[-1]) in str(error.value)
    assert [path.name for path in checkpoints.list_checkpoints(tmp_path / ("f" * 12))] == ["step_00000004"]


def test_only_the_newest_checkpoints_stay(tmp_path: Path) -> None:
    run(Regression(), tmp_path, CONFIG.model_copy(update={"keep_checkpoints": 1}))
    assert [path.name for path in checkpoints.list_checkpoints(tmp_path / ("f" * 12))] == ["step_00000012"]


@pytest.mark.parametrize(
    "fault",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_full_disk_is_named_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(Regression(stop_at=6), tmp_path)
    before = files_of(tmp_path / ("f" * 12) / "step_00000004")

    def full(*_: object) -> None:
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save_file", full)
        with pytest.raises(StorageFullError, match="step 8"):
            run(Regression(), tmp_path)
    assert [path.name for path in (tmp_path / ("f" * 12)).iterdir()] == ["step_00000004"]
    assert files_of(tmp_path / ("f" * 12) / "step_00000004") == before
    assert run(Regression(), tmp_path).resumed_from == 4


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
def test_damaged_checkpoint_is_named(tmp_path: Path, name: str) -> None:
    run(Regression(), tmp_path)
    path = tmp_path / ("f" * 12) / "step_00000012" / name
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(CheckpointError, match=name):
        run(Regression(), tmp_path)


def test_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    run(Regression(), tmp_path)
    (tmp_path / ("f" * 12)).rename(tmp_path / ("a" * 12))
    with pytest.raises(CheckpointError, match="another model, data set or configuration"):
        run(Regression(), tmp_path, fingerprint="a" * 64)


def test_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    run(Regression(), tmp_path)
    task = Regression()
    task.model = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.Tanh(), torch.nn.Dropout(0), torch.nn.Linear(4, 1))
    task.modules = {"model": task.model}
    with pytest.raises(CheckpointError, match="shape"):
        run(task, tmp_path)
