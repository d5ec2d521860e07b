"""Checkpoints: whole or absent wherever a run is cut, resumed from, named when damaged; the best kept apart."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from phys4d_kedro.errors import CheckpointError, StorageFullError
from phys4d_kedro.training import checkpoints
from tests.training.tasks import CONFIG, Regression, Slide, files_of, folder_of, names_in, run

SLIDE = CONFIG.model_copy(
    update={"learning_rate": 0.01, "warmup_steps": 0, "decay_share": 0, "ema": 0, "validate_every": 1, "keep": "best"}
)


def test_training_leaves_the_average(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"steps": 300, "checkpoint_every": 300, "validate_every": None})
    task = Regression()
    result = run(task, tmp_path, config)
    assert result.history["loss"].iloc[-5:].mean() < 0.2 * result.history["loss"].iloc[:5].mean()
    path = folder_of(tmp_path) / "step_00000300" / "model.ema.safetensors"
    saved = checkpoints._read_tensors(path, "")
    assert all(torch.equal(saved[key], value) for key, value in task.model.state_dict().items())


def test_changed_fingerprint_starts_beside_the_old_run(tmp_path: Path) -> None:
    run(Regression(), tmp_path)
    task = Regression()
    run(task, tmp_path, fingerprint="e" * 64)
    assert task.calls == 24
    assert {path.name for path in tmp_path.iterdir()} == {"f" * 12, "e" * 12}


def test_only_the_newest_checkpoints_and_the_best_stay(tmp_path: Path) -> None:
    config = SLIDE.model_copy(update={"keep_checkpoints": 1, "checkpoint_every": 2})
    task = Slide(goal=0.03)
    run(task, tmp_path, config)
    assert names_in(tmp_path) == ["best_00000003", "step_00000012"]
    assert task.weight == pytest.approx(0.03, abs=1e-6)


@pytest.mark.parametrize("call", range(1, 14))
def test_cut_while_writing_leaves_what_resumes_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """At every file that a run writes, best weights among them: half of it is there, then nothing more."""
    whole = Slide(goal=0.064)
    run(whole, tmp_path / "a", SLIDE)
    real, calls = checkpoints.save_file, 0

    def cut(tensors: dict[str, torch.Tensor], path: Path) -> None:
        nonlocal calls
        calls += 1
        real(tensors, path)
        if calls == call:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save_file", cut)
        # As after kill -9, nobody tidies up.
        patch.setattr(checkpoints.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            run(Slide(goal=0.064), tmp_path / "b", SLIDE)
    resumed = Slide(goal=0.064)
    run(resumed, tmp_path / "b", SLIDE)
    assert resumed.weight == whole.weight == pytest.approx(0.06, abs=1e-6)
    assert files_of(tmp_path / "b") == files_of(tmp_path / "a")


def test_a_checkpoint_finds_its_own_best_though_a_better_one_was_written_after(tmp_path: Path) -> None:
    task = Slide(goal=0.064)
    task.stop_after = 7  # validations, from before step 1: the run ends with the best of step 6, after checkpoint 4
    run(task, tmp_path, SLIDE)
    folder = folder_of(tmp_path)
    assert names_in(tmp_path) == ["best_00000006", "step_00000004", "step_00000006"]
    checkpoints.save_best(folder, task.modules, 4)
    checkpoints.list_checkpoints(folder)[-1].rename(tmp_path / "cut")
    resumed = Slide(goal=0.0)  # now no later one is better, as may be where arithmetic is not exact
    run(resumed, tmp_path, SLIDE)
    assert names_in(tmp_path) == ["best_00000004", "step_00000008", "step_00000012"]


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
    config = CONFIG.model_copy(update={"validate_every": None})
    with pytest.raises(KeyboardInterrupt):
        run(Regression(stop_at=11), tmp_path, config)
    before = files_of(folder_of(tmp_path))

    def full(*_: object) -> None:
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save_file", full)
        with pytest.raises(StorageFullError, match="step 8"):
            run(Regression(), tmp_path, config)
    assert names_in(tmp_path) == ["step_00000004"]
    assert files_of(folder_of(tmp_path)) == before
    assert run(Regression(), tmp_path, config).resumed_from == 4


@pytest.mark.parametrize("name", ["model.safetensors", "model.ema.safetensors", "optimizer.safetensors", "state.json"])
def test_damaged_checkpoint_is_named(tmp_path: Path, name: str) -> None:
    run(Regression(), tmp_path)
    path = folder_of(tmp_path) / "step_00000012" / name
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(CheckpointError, match=name):
        run(Regression(), tmp_path)


def test_missing_best_weights_are_named(tmp_path: Path) -> None:
    run(Slide(), tmp_path, SLIDE)
    (folder_of(tmp_path) / "best_00000005" / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"best_00000005.*train again"):
        run(Slide(), tmp_path, SLIDE)


def test_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    run(Regression(), tmp_path)
    folder_of(tmp_path).rename(tmp_path / ("a" * 12))
    with pytest.raises(CheckpointError, match="another model, data set or configuration"):
        run(Regression(), tmp_path, fingerprint="a" * 64)


def test_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    run(Regression(), tmp_path)
    task = Regression()
    task.model = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.Tanh(), torch.nn.Dropout(0), torch.nn.Linear(4, 1))
    task.modules = {"model": task.model}
    with pytest.raises(CheckpointError, match="shape"):
        run(task, tmp_path)


# Writing nearly all the time, so that kills fall into every part of it.
WRITING = CONFIG.model_copy(update={"steps": 60, "checkpoint_every": 1, "validate_every": 1, "keep": "best"})
SCRIPT = """
import sys
from pathlib import Path
from tests.training.tasks import Regression, run
from tests.training.test_checkpoints import WRITING

run(Regression(), Path(sys.argv[1]), WRITING)
"""


@pytest.mark.slow
def test_killed_process_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    """Killed twice; the undisturbed run, and the one that ends the killed, are of this process."""
    run(Regression(), tmp_path / "a", WRITING)
    for least in (8, 33):
        with subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(tmp_path / "b")],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            deadline = time.monotonic() + 300
            while not any(folder_of(tmp_path / "b").glob(f"step_*{least}")):
                assert process.poll() is None, "the run ended before it could be killed"
                assert time.monotonic() < deadline
                time.sleep(0.002)
            os.kill(process.pid, signal.SIGKILL)
    assert run(Regression(), tmp_path / "b", WRITING).resumed_from >= 33
    assert files_of(tmp_path / "b") == files_of(tmp_path / "a")
