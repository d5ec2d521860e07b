"""What processes of a training share: means of gradients, values, barriers. Real gloo processes."""

from typing import Any

import pytest
import torch

from phys4d_kedro.training import ranks
from phys4d_kedro.training.launch import Job, launch
from phys4d_kedro.training.launch_config import LaunchConfig
from tests.training import launch_jobs

PROCESSES = 3


Found = dict[str, Any]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    """What each of three processes found."""
    folder = tmp_path_factory.mktemp("ranks")
    launch(Job("tests.training.launch_jobs:share", {"folder": str(folder)}), LaunchConfig(processes=PROCESSES))
    return [torch.load(folder / f"{rank}_of_{PROCESSES}.pt") for rank in range(PROCESSES)]


@pytest.mark.parametrize("buckets", ["one bucket", "several buckets"])
def test_gradients_are_the_mean_of_all_ranks_in_float32(shared: list[Found], buckets: str) -> None:
    of_ranks = [launch_jobs.gradients_of(rank) for rank in range(PROCESSES)]
    for found in shared:
        gradients = found["gradients"][buckets]
        for index, parameter in enumerate(launch_jobs.parameters()):
            present = [g[index] for g in of_ranks if g[index] is not None]
            if not present:
                assert gradients[index] is None
                continue
            mean = torch.stack([g.double() for g in present]).sum(0) / PROCESSES
            assert gradients[index].dtype == parameter.dtype
            tolerance = 1e-6 if parameter.dtype == torch.float32 else 2**-8
            torch.testing.assert_close(gradients[index].double(), mean, rtol=tolerance, atol=1e-7)


def test_all_ranks_hold_the_same_bytes(shared: list[Found]) -> None:
    for buckets, first in shared[0]["gradients"].items():
        for found in shared[1:]:
            for mine, theirs in zip(first, found["gradients"][buckets], strict=True):
                assert mine is theirs is None or torch.equal(mine, theirs)


def test_values_are_gathered_in_the_order_of_ranks(shared: list[Found]) -> None:
    expected = [{"rank": rank, "text": "x" * (10 * rank)} for rank in range(PROCESSES)]
    assert all(found["gathered"] == expected for found in shared)
    assert [found["is_main"] for found in shared] == [True, False, False]


def test_nobody_passes_a_barrier_before_the_last_has_come(shared: list[Found]) -> None:
    assert all(found["came"] == ["came_0", "came_1", "came_2"] for found in shared)


def test_alone_everything_is_as_it_was() -> None:
    parameter = torch.nn.Parameter(torch.zeros(2))
    gradient = torch.tensor([1.0, 2.0])
    parameter.grad = gradient
    ranks.mean_gradients([parameter, torch.nn.Parameter(torch.zeros(1))])
    ranks.barrier()
    assert parameter.grad is gradient
    assert torch.equal(gradient, torch.tensor([1.0, 2.0]))
    assert (ranks.rank(), ranks.world_size(), ranks.is_main()) == (0, 1, True)
    assert ranks.gather("x") == ["x"]
