"""Consistency of depth and motion: zero on exact geometry, positive on anything else, silent where nothing is seen."""

import numpy as np
import pytest
import torch
from factories import AnalyticScene, Plane, make_clip, rotation, translation

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.training.warp_loss import photometric_consistency, warp_consistency
from phys4d_kedro.world_model.heads import encode_depth, encode_motion

Values = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]

TIME = np.arange(5)[:, None]
STILL = translation(np.zeros((5, 3)))
TURNING = translation(np.tile([0.0, 0.0, 4.0], (5, 1))) @ rotation([1, 0.4, 0], 0.3 + 0.1 * TIME[:, 0])
SCENES = {  # of one plane, whose samples between pixels are exact: a plane in the world, and the camera
    "approaching_plane": (translation([0, 0, 4] + np.array([0.1, 0.05, -0.2]) * TIME), STILL),
    "turning_plane": (TURNING, STILL),
    "moving_camera": (TURNING, translation(np.array([0.06, -0.04, 0.1]) * TIME)),
}


def values_of(clip: Clip) -> Values:
    """What heads that make no error predict of a clip, and the weights of its labels; with a batch dimension."""
    assert clip.depth is not None
    depth, motion = torch.from_numpy(clip.depth), torch.from_numpy(clip.motion)
    weight = torch.from_numpy(clip.motion_valid).float()
    return encode_depth(depth)[None], encode_motion(motion, depth)[None], torch.ones_like(depth)[None], weight[None]


def plane(name: str) -> Values:
    body, camera = SCENES[name]
    return values_of(AnalyticScene([Plane(body)], camera).clip(name, np.random.default_rng(0)))


@pytest.fixture
def sphere() -> Values:
    """A sphere that hides parts of a wall."""
    values = values_of(make_clip(0))
    assert (values[3] == 0).any()
    return values


@pytest.mark.parametrize("name", SCENES)
def test_exact_planes_are_consistent_to_rounding(name: str) -> None:
    depth, motion, depth_weight, motion_weight = plane(name)
    assert float(warp_consistency(depth, motion, depth_weight, motion_weight)) < 1e-5
    assert float(motion[..., 2].abs().mean()) > 0.005  # depth does change


def test_an_exact_sphere_is_consistent_up_to_its_rim(sphere: Values) -> None:
    exact = float(warp_consistency(*sphere))
    depth, motion, depth_weight, motion_weight = sphere
    still = float(warp_consistency(depth, torch.zeros_like(motion), depth_weight, motion_weight))
    assert exact < 0.02
    assert exact < 0.7 * still


@pytest.mark.parametrize("name", SCENES)
def test_perturbed_depth_or_motion_is_inconsistent(name: str) -> None:
    depth, motion, *weights = plane(name)
    farther, sideways, level = depth.clone(), motion.clone(), motion.clone()
    farther[:, 1] += 0.1
    sideways[..., 0] += 0.1
    level[..., 2] += 0.05
    # Two of the four steps touch the frame that is 10 % farther.
    assert float(warp_consistency(farther, motion, *weights)) == pytest.approx(0.1 * 2 / 4, rel=0.1)
    assert float(warp_consistency(depth, level, *weights)) == pytest.approx(0.05, rel=0.01)
    if name != "approaching_plane":  # which looks the same beside itself
        assert float(warp_consistency(depth, sideways, *weights)) > 1e-3


def test_gradients_reach_depth_and_motion(sphere: Values) -> None:
    depth, motion, *weights = (value.clone() for value in sphere)
    depth, motion = (depth + 0.01 * torch.sin(37 * depth)).requires_grad_(), (motion + 0.01).requires_grad_()
    warp_consistency(depth, motion, *weights).sum().backward()
    assert depth.grad is not None
    assert motion.grad is not None
    assert torch.isfinite(depth.grad).all()
    assert (depth.grad[:, 1:-1].flatten(2) != 0).any(-1).all()  # of every frame, as it is carried and landed on
    assert (motion.grad.flatten(0, -2) != 0).any(0).all()  # of dx, dy and dz


def test_hidden_pixels_are_silent(sphere: Values) -> None:
    depth, motion, depth_weight, motion_weight = (
        value[:, :2] if value.shape[1] == 5 else value[:, :1] for value in sphere
    )
    hidden = motion_weight == 0
    other_depth, other_motion = depth.clone(), motion.clone()
    other_depth[:, :1][hidden] += 3.0  # of frame 0, which is only carried, not landed on
    other_motion[hidden] -= 0.4
    losses = []
    for values in ((depth, motion), (other_depth, other_motion)):
        leaves = [value.clone().requires_grad_() for value in values]
        loss = warp_consistency(*leaves, depth_weight, motion_weight)
        loss.sum().backward()
        assert (leaves[1].grad[hidden] == 0).all()
        assert (leaves[0].grad[:, :1][hidden] == 0).all()
        losses.append(loss)
    assert torch.equal(*losses)


def test_pixels_without_a_surface_are_silent(sphere: Values) -> None:
    depth, motion, depth_weight, motion_weight = sphere
    depth_weight = depth_weight.clone()
    depth_weight[:, :, 3:9, 5:11] = 0
    motion_weight = motion_weight * depth_weight[:, :-1]
    hole = (depth_weight == 0)[..., None]
    losses = [
        warp_consistency(depth.masked_fill(hole, value), motion, depth_weight, motion_weight) for value in (0.0, 50.0)
    ]
    assert torch.equal(*losses)
    assert torch.isfinite(losses[0]).all()
    assert float(losses[0]) < 0.02


def test_each_clip_counts_by_itself() -> None:
    clips = [values_of(make_clip(index)) for index in (0, 1)]
    noisy = [(depth + 0.05 * torch.sin(17 * depth), *rest) for depth, *rest in clips]
    both = warp_consistency(*(torch.cat(pair) for pair in zip(*noisy, strict=True)))
    assert torch.allclose(both, torch.cat([warp_consistency(*values) for values in noisy]))


def test_a_clip_of_which_nothing_is_seen_costs_nothing(sphere: Values) -> None:
    depth, motion, depth_weight, motion_weight = sphere
    depth = depth.clone().requires_grad_()
    loss = warp_consistency(depth, motion, depth_weight, torch.zeros_like(motion_weight))
    loss.sum().backward()
    assert float(loss.detach()) == 0
    assert (depth.grad == 0).all()


class TestPhotometric:
    """A texture that moves by whole pixels, three to the right and one down a frame."""

    @pytest.fixture
    def video(self) -> torch.Tensor:
        texture = torch.rand(1, 3, 16, 20, generator=torch.Generator().manual_seed(0)) * 2 - 1
        return torch.stack([texture.roll((t, 3 * t), (-2, -1)) for t in range(3)], 2)

    @pytest.fixture
    def motion(self) -> torch.Tensor:
        return torch.tensor([3 / 20, 1 / 16, 0.0]).expand(1, 2, 16, 20, 3).clone()

    def test_zero_where_the_motion_is_right(self, video: torch.Tensor, motion: torch.Tensor) -> None:
        weight = torch.ones(1, 2, 16, 20)
        assert float(photometric_consistency(video, motion, weight)) < 1e-5
        assert float(photometric_consistency(video, 0 * motion, weight)) > 0.3

    def test_gradients_reach_pixels_and_motion_where_it_is_seen(
        self, video: torch.Tensor, motion: torch.Tensor
    ) -> None:
        weight = torch.ones(1, 2, 16, 20)
        weight[:, :, :8] = 0
        pixels, moves = video.clone().requires_grad_(), (motion + 0.02).requires_grad_()
        photometric_consistency(pixels, moves, weight).sum().backward()
        assert (moves.grad[:, :, :8] == 0).all()
        assert (moves.grad[:, :, 8:12, :12, :2] != 0).any()
        assert (pixels.grad[:, :, 0, 8:12] != 0).any()
        assert (pixels.grad[:, :, 0, :8] == 0).all()
