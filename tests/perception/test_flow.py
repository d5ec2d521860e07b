"""Flow estimators on motion that is known, and what clip flow derives from them."""

import importlib.util
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.perception.config import FlowConfig
from phys4d_kedro.perception.flow import DisFlow, RaftFlow, estimate_clip_flow, load_flow_estimator


def shifted_frames(shifts: list[tuple[float, float]], size: int = 64) -> NDArray[np.uint8]:
    """Frames of one smooth texture, its content moved by `shifts` (right, down) in pixels."""
    rng = np.random.default_rng(0)
    octaves = [cv2.GaussianBlur(rng.normal(0, s, (2 * size, 2 * size, 3)), (0, 0), s) for s in (1, 2, 4)]
    canvas = np.sum(octaves, 0)
    canvas = 255 * (canvas - canvas.min()) / np.ptp(canvas)
    frames = [
        cv2.warpAffine(
            canvas, np.array([[1, 0, x - size / 2], [0, 1, y - size / 2]]), (size, size), flags=cv2.INTER_CUBIC
        )
        for x, y in shifts
    ]
    return np.clip(np.round(frames), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.5, 0.25), (2.6, -1.3), (5.0, 3.0)])
def test_dis_measures_a_known_translation(shift: tuple[float, float]) -> None:
    frames = shifted_frames([(0, 0), shift])
    error = np.linalg.norm(DisFlow().predict(*frames) - shift, axis=-1)
    assert error.mean() < 0.1
    assert error[8:-8, 8:-8].mean() < 0.05


def test_clip_flow_runs_both_ways_and_trusts_itself_where_it_returns() -> None:
    rgb = shifted_frames([(0, 0), (3, 0), (6, 1)])
    flow = estimate_clip_flow(rgb, DisFlow(), FlowConfig())
    inner = (..., slice(10, -10), slice(10, -10))
    for field, expected in (("forward", [(3, 0), (3, 1)]), ("backward", [(-3, 0), (-3, -1)])):
        found = getattr(flow, field)[inner].median(-1)[0].median(-1)[0]
        torch.testing.assert_close(found, torch.tensor(expected).float(), atol=0.05, rtol=0)
    assert flow.forward_valid[inner].float().mean() > 0.99
    assert not flow.forward_valid[:, :, -2:].any(), "what leaves the frame is not visible"
    assert flow.confidence[inner].min() > 0.9
    assert flow.confidence.min() >= 0
    assert flow.confidence.max() <= 1


class ExactFlow:
    """Flow of known frames, as if an estimator had found it."""

    def __init__(self, frames: NDArray[np.uint8], flows: dict[tuple[int, int], NDArray[np.float32]]) -> None:
        self._flows = {(frames[a].tobytes(), frames[b].tobytes()): flow for (a, b), flow in flows.items()}

    def predict(self, frame_a: NDArray[np.uint8], frame_b: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._flows[frame_a.tobytes(), frame_b.tobytes()]


def test_what_a_moving_square_uncovers_is_occluded_backwards_and_what_it_covers_forwards() -> None:
    frames = np.stack([np.full((16, 24, 3), t, np.uint8) for t in range(2)])
    forward, backward = (np.zeros((16, 24, 2), np.float32) for _ in range(2))
    forward[4:12, 4:12, 0] = 4
    backward[4:12, 8:16, 0] = -4
    exact = ExactFlow(frames, {(0, 1): forward, (1, 0): backward})
    flow = estimate_clip_flow(frames, exact, FlowConfig())
    covered, uncovered = (np.zeros((16, 24), bool) for _ in range(2))
    covered[4:12, 12:16] = True
    uncovered[4:12, 4:8] = True
    assert np.array_equal(~flow.forward_valid[0].numpy(), covered)
    assert np.array_equal(~flow.backward_valid[0].numpy(), uncovered)
    assert np.allclose(flow.confidence[0].numpy(), np.where(covered, 1 / (1 + (4 / 0.5) ** 2), 1))


class ConstantNetwork(torch.nn.Module):
    """Finds the same displacement everywhere, in pixels of the images it is given; refuses what RAFT refuses."""

    def forward(self, image_a: torch.Tensor, image_b: torch.Tensor) -> list[torch.Tensor]:
        height, width = image_a.shape[-2:]
        assert height >= 128
        assert width >= 128
        assert height % 8 == width % 8 == 0
        assert image_a.min() >= -1
        assert image_a.max() <= 1
        coarse = torch.zeros(1, 2, height, width)
        return [coarse, coarse + torch.tensor([4.0, 2.0])[:, None, None]]


@pytest.mark.parametrize(
    ("size", "expected"), [((64, 64), (2.0, 1.0)), ((128, 256), (4.0, 2.0)), ((60, 131), (4 * 131 / 136, 2 * 60 / 128))]
)
def test_raft_gets_large_enough_frames_and_its_flow_comes_back_in_the_pixels_of_the_frames(
    size: tuple[int, int], expected: tuple[float, float]
) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    flow = RaftFlow(ConstantNetwork(), torch.device("cpu")).predict(frame, frame)
    assert flow.shape == (*size, 2)
    assert np.allclose(flow, expected)


@pytest.mark.skipif(importlib.util.find_spec("torchvision") is not None, reason="torchvision is installed")
def test_raft_without_torchvision_names_the_extra() -> None:
    with pytest.raises(ConfigurationError, match=r"phys4d-kedro\[raft\]"):
        load_flow_estimator(FlowConfig(estimator="raft_small"))


def test_dis_gives_the_same_flow_again() -> None:
    frames = shifted_frames([(0, 0), (2, 1), (5, 0)])
    first, second = ([DisFlow().predict(a, b) for a, b in pairwise(frames)] for _ in range(2))
    assert np.array_equal(first, second)
