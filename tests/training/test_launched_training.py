"""A training by `fit` in two real processes: the same sums as in one, killed and resumed to the same bytes."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from safetensors.torch import load_file
from torch.testing import assert_close

from phys4d_kedro.errors import LaunchError
from phys4d_kedro.training.checkpoints import list_checkpoints
from phys4d_kedro.training.launch import Job, launch
from phys4d_kedro.training.launch_config import LaunchConfig
from tests.training.launch_training import LOOP

pytestmark = pytest.mark.slow

TWO = LaunchConfig(processes=2)


def train(workdir: Path, config: LaunchConfig, kill_at: int | None = None) -> dict[str, Any]:
    workdir.mkdir(exist_ok=True)
    job = Job("tests.training.launch_training:train", {"workdir": str(workdir), "kill_at": kill_at})
    found: dict[str, Any] = launch(job, config)
    return found


def last_checkpoint(workdir: Path) -> Path:
    return list_checkpoints(workdir / ("f" * 12))[-1]


def steps_of(workdir: Path, rank: int) -> list[int]:
    return [int(line) for line in (workdir / f"steps_{rank}.txt").read_text().split()]


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder and the result of an undisturbed training in two processes."""
    workdir = tmp_path_factory.mktemp("two_ranks")
    return workdir, train(workdir, TWO)


def test_two_ranks_train_as_one_process_does(two_ranks: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    workdir, found = two_ranks
    alone = train(tmp_path / "alone", LaunchConfig())
    assert [steps_of(workdir, rank) for rank in range(2)] == [list(range(LOOP.steps))] * 2
    assert (alone["resumed_from"], found["resumed_from"]) == (0, LOOP.steps)
    assert alone["history"]["loss"].nunique() == LOOP.steps
    pd.testing.assert_frame_equal(found["history"], alone["history"], check_exact=False, rtol=1e-5)
    files = {path.name for path in last_checkpoint(workdir).glob("*.safetensors")}
    assert files == {"model.safetensors", "model.ema.safetensors", "optimizer.safetensors"}
    for name in files:
        of_two, of_one = (load_file(last_checkpoint(folder) / name) for folder in (workdir, tmp_path / "alone"))
        assert_close(of_two, of_one, rtol=1e-4, atol=1e-7)


def test_killed_rank_ends_the_launch_and_the_next_resumes(
    two_ranks: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    undisturbed, _ = two_ranks
    with pytest.raises(LaunchError, match=r"process 1 of 2 .* was ended by SIGKILL.*running again resumes"):
        train(tmp_path, TWO, kill_at=6)
    assert steps_of(tmp_path, 1) == list(range(7))
    assert last_checkpoint(tmp_path).name == "step_00000004"

    train(tmp_path, TWO)
    assert steps_of(tmp_path, 1) == [*range(7), *range(4, LOOP.steps)]
    for path in last_checkpoint(undisturbed).iterdir():
        assert (last_checkpoint(tmp_path) / path.name).read_bytes() == path.read_bytes(), path.name
