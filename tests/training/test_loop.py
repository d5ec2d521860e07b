"""The loop: exact resume, micro-batches, validation, early stopping, averages."""

import logging
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.training import ranks
from phys4d_kedro.training.config import LoopConfig
from phys4d_kedro.training.task import Task
from tests.training.tasks import CONFIG, Regression, Slide, files_of, folder_of, names_in, run

SLIDE = LoopConfig(
    steps=10, batch_size=1, learning_rate=0.01, decay_share=0, validate_every=1, log_every=4, trackers=(), seed=0
)
MICRO_BATCHES = 2


@pytest.mark.parametrize("step", [1, 4, 5, 6, 9, 10, 11, 12])
@pytest.mark.parametrize("micro_batch", [0, 1])
def test_interrupted_run_ends_in_the_same_bytes(tmp_path: Path, step: int, micro_batch: int) -> None:
    """Cut in a step before, at and after checkpoints (4, 8), points of the curve (3, 6, 9) and validations (5, 10)."""
    undisturbed = run(Regression(), tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        run(Regression(stop_at=(step - 1) * MICRO_BATCHES + micro_batch + 1), tmp_path / "b")
    task = Regression()
    resumed = run(task, tmp_path / "b")
    assert resumed.resumed_from == (step - 1) // 4 * 4
    assert task.calls == (12 - resumed.resumed_from) * MICRO_BATCHES
    written = files_of(tmp_path / "a")
    assert files_of(tmp_path / "b") == written
    assert {"model.ema.safetensors", "optimizer.safetensors"} < {Path(name).name for name in written}
    pd.testing.assert_frame_equal(undisturbed.history, resumed.history, check_exact=True)
    pd.testing.assert_frame_equal(undisturbed.validations, resumed.validations, check_exact=True)
    assert undisturbed.history["step"].tolist() == [3, 6, 9, 12]
    assert undisturbed.validations["step"].tolist() == [0, 5, 10, 12]


class _OneLine(Task):
    """A line through points that have noise of their own each."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.Linear(1, 1)
        self.modules = {"model": self.model}
        self.sizes: set[int] = set()

    def loss(self, indices: list[int], generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        self.sizes.add(len(indices))
        x = torch.tensor([[index / 10] for index in indices])
        noise = torch.stack([torch.randn(1, generator=torch.Generator().manual_seed(index)) for index in indices])
        loss = (self.model(x) - 3 * x - noise).square().mean()
        return loss, {"mean_index": float(np.mean(indices))}


def test_micro_batches_add_up_to_the_batch(tmp_path: Path) -> None:
    histories, weights = [], []
    for size in (None, 4, 2, 1):
        task = _OneLine()
        config = CONFIG.model_copy(update={"micro_batch_size": size, "validate_every": None})
        histories.append(run(task, tmp_path / str(size), config).history)
        weights.append(torch.cat([value.flatten() for value in task.model.state_dict().values()]))
        assert task.sizes == {size or 4}
    for history, weight in zip(histories[1:], weights[1:], strict=True):
        pd.testing.assert_frame_equal(history, histories[0], rtol=1e-5)
        assert torch.allclose(weight, weights[0], rtol=1e-5)
    assert histories[0]["loss"].iloc[-1] < histories[0]["loss"].iloc[0]


def test_processes_that_cannot_share_are_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranks, "world_size", lambda: 3)
    task = Regression()
    with pytest.raises(ConfigurationError, match=r"3 processes cannot share 2 micro-batches.*batch_size \(4\)"):
        run(task, tmp_path)
    assert task.calls == 0
    assert not list(tmp_path.iterdir())


def test_sizes_and_rules_that_cannot_be_are_refused() -> None:
    values = CONFIG.model_dump()
    with pytest.raises(ValueError, match=r"micro_batch_size \(3\) must divide batch_size \(4\)"):
        LoopConfig(**values | {"micro_batch_size": 3})
    for rule in ({"patience": 1}, {"keep": "best"}):
        with pytest.raises(ValueError, match="set validate_every"):
            LoopConfig(**values | {"validate_every": None} | rule)


def test_the_best_weights_are_kept_and_left(tmp_path: Path) -> None:
    last, best = Slide(), Slide()
    result = run(last, tmp_path / "last", SLIDE)
    run(best, tmp_path / "best", SLIDE.model_copy(update={"keep": "best"}))
    steps = np.arange(11)
    assert result.validations["step"].tolist() == steps.tolist()
    assert np.allclose(result.validations["validation_loss"], (0.01 * steps - 0.05) ** 2, atol=1e-6)
    assert (last.weight, best.weight) == (pytest.approx(0.1, abs=1e-6), pytest.approx(0.05, abs=1e-6))
    assert names_in(tmp_path / "best") == ["best_00000005", "step_00000010"]
    again = Slide()
    run(again, tmp_path / "best", SLIDE.model_copy(update={"keep": "best"}))
    assert again.weight == best.weight
    assert again.calls == 0


def test_patience_stops_and_the_end_is_final(tmp_path: Path) -> None:
    config = SLIDE.model_copy(update={"patience": 2, "keep": "best", "checkpoint_every": 5})
    first, second = Slide(), Slide()
    result, again = run(first, tmp_path, config), run(second, tmp_path, config)
    assert result.steps == again.steps == 7
    assert result.stopped is not None
    assert re.search("of step 5, in 2 validations", result.stopped)
    assert again.stopped == result.stopped
    assert (first.calls, second.calls) == (7, 0)
    assert first.weight == second.weight == pytest.approx(0.05, abs=1e-6)
    pd.testing.assert_frame_equal(result.history, again.history)
    pd.testing.assert_frame_equal(result.validations, again.validations)
    assert result.history["step"].tolist() == [4, 7]


def test_a_task_stops_by_its_own_rule(tmp_path: Path) -> None:
    config = SLIDE.model_copy(update={"validate_every": 2})
    result = run(Slide(stop_after=4), tmp_path, config)
    assert (result.stopped, result.steps) == ("far enough", 6)
    # Where the rule holds only at the last step, nothing was stopped.
    assert run(Slide(stop_after=6), tmp_path / "whole", config).stopped is None


def test_validation_sees_averaged_weights_and_leaves_the_others_as_they_were(tmp_path: Path) -> None:
    averaging, validating = SLIDE.model_copy(update={"ema": 0.5}), Slide()
    run(validating, tmp_path / "validated", averaging)
    run(Slide(), tmp_path / "not", averaging.model_copy(update={"validate_every": None}))
    average, expected = 0.0, [0.0]
    for step in range(10):
        average += (1 - min(0.5, (1 + step) / (10 + step))) * (0.01 * (step + 1) - average)
        expected.append(average)
    assert np.allclose(validating.validated, expected, atol=1e-6)
    assert not np.allclose(validating.validated, 0.01 * np.arange(11), atol=1e-4)
    for name in ("model.safetensors", "model.ema.safetensors", "optimizer.safetensors"):
        paths = [folder_of(tmp_path / run_) / "step_00000010" / name for run_ in ("validated", "not")]
        assert paths[0].read_bytes() == paths[1].read_bytes()


def test_what_is_watched_must_be_there(tmp_path: Path) -> None:
    task = Slide()
    task.monitored = "reward"
    with pytest.raises(ConfigurationError, match=r"gave \['validation_loss'\], but 'reward' is watched"):
        run(task, tmp_path, SLIDE)
    with pytest.raises(ConfigurationError, match="_OneLine has no validation"):
        run(_OneLine(), tmp_path, SLIDE)


def test_figures_from_before_a_step_are_logged(tmp_path: Path) -> None:
    history = run(Regression(), tmp_path).history
    assert set(history.columns) == {"step", "learning_rate", "loss", "figure", "drawn"}
    assert history["drawn"].nunique() == len(history)
    assert history["figure"].tolist() == [2.0] * 4


def test_the_run_is_described_before_its_first_step(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    task = Regression(stop_at=1)
    task.model[0].requires_grad_(False)
    with caplog.at_level(logging.INFO, logger="phys4d_kedro.training.loop"), pytest.raises(KeyboardInterrupt):
        run(task, tmp_path)
    assert re.search(
        r"test: 1 process\(es\) x 2 micro-batch\(es\) x 2 = 4 items a step, 12 steps = 4\.8 epochs of 10 items; model: "
        r"9 trainable parameters, 16 frozen; 100 B of weights, 36 B of gradients, 72 B of optimiser moments, 100 B of "
        r"averages; on (cpu|cuda.*), [\d.]+ GB of memory free",
        caplog.text,
    )


def test_bf16_is_of_the_forward_pass_alone(tmp_path: Path) -> None:
    full, half = Regression(), Regression()
    config = CONFIG.model_copy(update={"precision": "bf16", "steps": 300, "checkpoint_every": 300})
    run(full, tmp_path / "full", CONFIG.model_copy(update={"validate_every": None}))
    result = run(half, tmp_path / "half", config.model_copy(update={"validate_every": None}))
    assert (full.activations, half.activations) == (torch.float32, torch.bfloat16)
    assert {value.dtype for value in half.model.state_dict().values()} == {torch.float32}
    assert result.history["loss"].iloc[-5:].mean() < 0.2 * result.history["loss"].iloc[:5].mean()


def test_complete_run_is_not_trained_again(tmp_path: Path) -> None:
    first = run(Regression(), tmp_path)
    before = files_of(tmp_path)
    task = Regression()
    again = run(task, tmp_path)
    assert task.calls == 0
    pd.testing.assert_frame_equal(again.history, first.history)
    pd.testing.assert_frame_equal(again.validations, first.validations)
    assert files_of(tmp_path) == before


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    first = run(Regression(), tmp_path / "a")
    other = run(Regression(), tmp_path / "b", CONFIG.model_copy(update={"seed": 4}))
    assert not np.allclose(first.history["loss"], other.history["loss"])
