"""Losses and gradients that are not finite: found, named, kept, and played again."""

import json
from pathlib import Path

import pytest
import torch

from phys4d_kedro.training import checkpoints
from phys4d_kedro.training.diverged import TrainingDivergedError, replay
from phys4d_kedro.training.optimizer import GuardedAdamW
from tests.training.tasks import CONFIG, Regression, files_of, folder_of, names_in, run

STEP = 6
QUIET = CONFIG.model_copy(update={"validate_every": None})


@pytest.mark.parametrize("micro_batch", [0, 1])
def test_nan_stops_with_step_and_items_and_keeps_checkpoints(tmp_path: Path, micro_batch: int) -> None:
    call = (STEP - 1) * 2 + micro_batch
    task = Regression(nan_at=call + 1)
    with pytest.raises(TrainingDivergedError, match=f"loss is nan at step {STEP}, micro-batch {micro_batch}") as error:
        run(task, tmp_path, QUIET)
    folder = folder_of(tmp_path) / f"diverged_step_{STEP:08d}"
    assert str(folder) in str(error.value)
    assert all(f"item_{index}" in str(error.value) for index in task.seen[call])
    batch = json.loads((folder / "batch.json").read_text())
    assert (batch["step"], batch["seed"]) == (STEP, CONFIG.seed)
    (part,) = batch["micro_batches"]
    assert part["indices"] == task.seen[call]
    assert part["names"] == [f"item_{index}" for index in task.seen[call]]
    assert part["logs"] == {"figure": 2.0}
    assert names_in(tmp_path) == [folder.name, "step_00000004"]


def test_it_is_found_before_another_step_is_taken_though_nobody_logs(tmp_path: Path) -> None:
    task = Regression(nan_at=2 * STEP)
    config = QUIET.model_copy(update={"log_every": 1000, "steps": 1000, "checkpoint_every": 1000})
    with pytest.raises(TrainingDivergedError, match=f"at step {STEP}"):
        run(task, tmp_path, config)
    assert task.calls <= 2 * STEP + 1


def test_kept_weights_are_those_of_the_step_and_replay_gives_its_loss(tmp_path: Path) -> None:
    """The same run without the fault, cut at the same step, has the weights and the loss to compare with."""
    with pytest.raises(TrainingDivergedError):
        run(Regression(nan_at=2 * STEP), tmp_path / "nan", QUIET)
    folder = folder_of(tmp_path / "nan") / f"diverged_step_{STEP:08d}"

    class Kept(Regression):
        def loss(self, indices: list[int], generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
            value, logs = super().loss(indices, generator)
            if self.calls == 2 * STEP:
                self.at_step = {key: tensor.clone() for key, tensor in self.model.state_dict().items()}
                self.value = float(value.detach())
            return value, logs

    healthy = Kept()
    run(healthy, tmp_path / "healthy", QUIET)
    task = Regression()
    ((loss, _),) = replay(folder, task)
    assert float(loss.detach()) == healthy.value
    assert all(torch.equal(healthy.at_step[key], value) for key, value in task.model.state_dict().items())
    ((loss, _),) = replay(folder, Regression(nan_at=1))
    assert not torch.isfinite(loss)


def test_a_gradient_that_is_not_finite_counts_though_the_loss_is(tmp_path: Path) -> None:
    class Root(Regression):
        def loss(self, indices: list[int], generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
            value, logs = super().loss(indices, generator)
            return (value + (value - value).sqrt() if self.calls == 2 * STEP else value), logs

    with pytest.raises(TrainingDivergedError, match=f"gradient's norm is nan at step {STEP}"):
        run(Root(), tmp_path, QUIET)
    folder = folder_of(tmp_path) / f"diverged_step_{STEP:08d}"
    assert len(json.loads((folder / "batch.json").read_text())["micro_batches"]) == 2


def test_a_run_that_diverged_diverges_again_from_its_last_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(TrainingDivergedError):
        run(Regression(nan_at=2 * STEP), tmp_path, QUIET)
    before = files_of(tmp_path)
    with pytest.raises(TrainingDivergedError):
        run(Regression(nan_at=2 * (STEP - 4)), tmp_path, QUIET)
    assert files_of(tmp_path) == before
    assert run(Regression(), tmp_path, QUIET).resumed_from == 4


@pytest.mark.parametrize("loss", [torch.inf, -torch.inf, torch.nan])
def test_the_optimizer_stands_still_from_the_first_fault_on(loss: float) -> None:
    parameters = [torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(()))]
    optimizer = GuardedAdamW(parameters, CONFIG, torch.device("cpu"))

    def step(value: float) -> None:
        total = (parameters[0].sum() + parameters[1]) * 1.0
        total.backward()
        optimizer.mark(torch.tensor(value))
        optimizer.update(0.1)

    step(1.0)
    moved = [parameter.detach().clone() for parameter in parameters]
    assert all((parameter < 1).all() for parameter in moved)
    assert not optimizer.diverged
    state = checkpoints._optimizer_tensors({"m": torch.nn.ParameterList(parameters)}, optimizer)
    for value in (loss, 1.0):
        step(value)
        assert optimizer.diverged
        assert all(torch.equal(a, b) for a, b in zip(parameters, moved, strict=True))
    after = checkpoints._optimizer_tensors({"m": torch.nn.ParameterList(parameters)}, optimizer)
    assert all(torch.equal(state[key], after[key]) for key in state)
