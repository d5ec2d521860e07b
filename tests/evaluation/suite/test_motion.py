"""Cycle error, photometric error and jitter, on motion whose answer is known."""

import numpy as np
import pytest
import torch

from phys4d_kedro.evaluation.suite.motion import cycle_error, photometric_error, track_jitter
from tests.factories import make_clip

RNG = np.random.default_rng(0)
EVERYWHERE = torch.ones(2, 12, 16, dtype=torch.bool)


def uniform(x: float, y: float) -> torch.Tensor:
    return torch.tensor([x, y], dtype=torch.float32).reshape(1, 2, 1, 1).expand(2, 2, 12, 16).contiguous()


def test_motion_that_leads_back_has_no_cycle_error_and_else_it_is_the_distance_missed() -> None:
    assert cycle_error(uniform(1.5, -2), uniform(-1.5, 2), EVERYWHERE) == pytest.approx(0)
    assert cycle_error(uniform(1.5, -2), uniform(1.5, 2), EVERYWHERE) == pytest.approx(3)
    assert cycle_error(uniform(1, 0), uniform(2, 4), EVERYWHERE) == pytest.approx(5)
    assert cycle_error(uniform(1, 0), uniform(2, 4), ~EVERYWHERE) is None


def test_motion_out_of_the_frame_does_not_count() -> None:
    forward, backward = uniform(0, 0), uniform(0, 0)
    forward[:, 0, :, 8:] = 100
    assert cycle_error(forward, backward, EVERYWHERE) == pytest.approx(0)
    forward[:, 0, :, 8:] = 1
    assert cycle_error(forward, backward, EVERYWHERE) == pytest.approx(7 / 15)  # the last column leaves the frame


def test_colours_that_move_along_have_no_photometric_error() -> None:
    picture = RNG.integers(0, 255, (12, 30, 3), dtype=np.uint8)
    rgb = np.stack([picture[:, 10 - 2 * t : 26 - 2 * t] for t in range(3)])  # content moves right by 2
    assert photometric_error(rgb, uniform(2, 0), EVERYWHERE) == pytest.approx(0, abs=1e-6)
    assert photometric_error(rgb, uniform(-2, 0), EVERYWHERE) > 0.2


def test_a_step_of_brightness_is_the_photometric_error() -> None:
    rgb = np.zeros((3, 12, 16, 3), np.uint8) + np.array([0, 51, 0], np.uint8).reshape(3, 1, 1, 1)
    assert photometric_error(rgb, uniform(0, 0), EVERYWHERE) == pytest.approx(0.2)
    assert photometric_error(rgb, uniform(100, 0), EVERYWHERE) is None


def test_exact_motion_of_a_clip_is_better_than_none() -> None:
    clip = make_clip(2)
    motion = torch.from_numpy(clip.arrays()["motion"][..., :2]).movedim(-1, 1)
    visible = torch.from_numpy(clip.arrays()["motion_valid"])
    tint = np.sin(clip.arrays()["depth"] * 6)[..., None]  # a colour that is the surface's alone would move along
    rgb = (127 + 100 * tint * [1, 1, 1]).astype(np.uint8)
    assert photometric_error(rgb, motion, visible) < photometric_error(rgb, 4 + motion, visible)


def thrown(frames: int, count: int) -> np.ndarray:
    """Points in free fall, each with a start and velocity of its own."""
    t = np.arange(frames)[:, None, None] / 8
    start, speed = RNG.normal(size=(2, 1, count, 3))
    return start + speed * t + 0.5 * np.array([0, 0, -9.81]) * t**2


def test_free_fall_does_not_tremble_and_noise_trembles_by_its_standard_deviation() -> None:
    points = thrown(40, 300)
    followed = np.ones(points.shape[:2], bool)
    assert track_jitter(points, followed) == pytest.approx(0, abs=1e-9)
    noisy = points + RNG.normal(0, 0.02, points.shape)
    assert track_jitter(noisy, followed) == pytest.approx(0.02, rel=0.05)


def test_points_that_slip_away_or_are_lost_do_not_decide() -> None:
    points, followed = thrown(12, 20), np.ones((12, 20), bool)
    points[6:, :5] += 50
    assert track_jitter(points, followed) == pytest.approx(0, abs=1e-9)
    points[6:], followed[6:] = np.inf, False
    assert track_jitter(points, followed) == pytest.approx(0, abs=1e-9)
    followed[3:] = False
    assert track_jitter(points, followed) is None
    assert track_jitter(points[:3], followed[:3]) is None
