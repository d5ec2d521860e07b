"""Energy, momentum, interpenetration and permanence, on objects that move as mechanics says, or not."""

import numpy as np
import pytest

from phys4d_kedro.evaluation.suite import plausibility
from phys4d_kedro.evaluation.suite.objects import FollowedObject
from phys4d_kedro.evaluation.suite.plausibility import GRAVITY

FPS = 8.0
UP = np.array([0.0, 0.0, 1.0])
RNG = np.random.default_rng(0)
SURFACE = RNG.normal(size=(400, 3))
SURFACE /= np.linalg.norm(SURFACE, axis=1, keepdims=True)


def sphere(path: np.ndarray, radius: float | np.ndarray = 1.0, instance: int = 1) -> FollowedObject:
    """Points all over a sphere whose middle goes along path (T, 3)."""
    radii = np.broadcast_to(radius, len(path))
    points = path[:, None] + radii[:, None, None] * SURFACE
    return FollowedObject(instance, points, points[..., :2].copy(), np.ones(points.shape[:2], bool))


def along(
    velocity: tuple[float, float, float], frames: int = 9, start: tuple[float, float, float] = (0, 0, 0)
) -> np.ndarray:
    return np.array(start) + np.array(velocity) * np.arange(frames)[:, None] / FPS


def mechanics(*paths: np.ndarray, masses: tuple[float, ...] = (1.0,)) -> plausibility.Mechanics:
    return plausibility.mechanics(np.stack(paths), np.array(masses), fps=FPS, up=UP)


def test_constant_velocity_keeps_momentum_and_level_motion_energy() -> None:
    found = mechanics(along((0.7, -0.2, 0)))
    np.testing.assert_allclose(found.momentum, np.tile([0.7, -0.2, 0], (8, 1)), atol=1e-12)
    np.testing.assert_allclose(found.energy, 0.5 * (0.7**2 + 0.2**2), atol=1e-12)
    assert plausibility.momentum_drift(found.momentum, UP) == pytest.approx(0, abs=1e-12)
    assert plausibility.energy_gain(found.energy) == pytest.approx(0, abs=1e-12)


def test_free_fall_keeps_energy_and_level_momentum() -> None:
    t = np.arange(9)[:, None] / FPS
    found = mechanics(np.array([0, 0, 3.0]) + np.array([1.0, 0, 2.0]) * t - 0.5 * GRAVITY * UP * t**2)
    assert np.ptp(found.energy) < 1e-10
    assert plausibility.momentum_drift(found.momentum, UP) == pytest.approx(0, abs=1e-12)


def test_rising_without_a_cause_gains_the_energy_of_the_height() -> None:
    found = mechanics(along((0, 0, 1.0)))
    assert plausibility.energy_gain(found.energy) == pytest.approx(GRAVITY * 7 / FPS)


def test_a_bounce_loses_energy_and_gains_none() -> None:
    """A ball hits the floor between two frames and leaves with half of its speed; energy falls by 3/4 of kinetic."""
    down, up = along((0, 0, -2.0), 5, (0, 0, 1)), along((0, 0, 1.0), 5)
    energy = mechanics(np.concatenate([down, up[1:]])).energy
    free = energy - GRAVITY * (np.concatenate([down, up[1:]])[1:, 2] + np.concatenate([down, up[1:]])[:-1, 2]) / 2
    np.testing.assert_allclose(free, [2.0] * 4 + [0.5] * 4)
    real = 0.5 * np.array([4.0, 4, 4, 1, 1, 1])
    assert plausibility.energy_gain(real) == 0
    assert plausibility.energy_gain(real[::-1]) == pytest.approx(1.5)
    assert plausibility.energy_error(real, np.full(6, 2.0)) == pytest.approx(1.5 * 3 / 5)
    assert plausibility.energy_error(real + 5, real) == 0


def test_a_collision_of_equal_balls_keeps_momentum_and_stopping_one_does_not() -> None:
    incoming, outgoing = along((1.0, 0, 0), 5), along((1.0, 0, 0), 5)
    rests = np.zeros((4, 3))
    first = np.concatenate([incoming, rests + incoming[-1]])
    second = np.concatenate([np.zeros((5, 3)), outgoing[1:]])
    exchanged = mechanics(first, second, masses=(0.5, 0.5))
    assert plausibility.momentum_drift(exchanged.momentum, UP) == pytest.approx(0, abs=1e-12)
    stopped = mechanics(first, np.zeros_like(first), masses=(0.5, 0.5))
    assert plausibility.momentum_drift(stopped.momentum, UP) == pytest.approx(0.5 * 4 / 7)
    assert plausibility.momentum_error(stopped.momentum, exchanged.momentum) == pytest.approx(0.5 * 4 / 8)


def test_masses_go_with_the_cube_of_size() -> None:
    sizes = [plausibility.object_size(radius * SURFACE) for radius in (1.0, 2.0)]
    np.testing.assert_allclose(plausibility.relative_masses(sizes), [1 / 9, 8 / 9])


def test_the_middle_follows_most_points_and_not_those_that_slip() -> None:
    item = sphere(along((0.4, 0, 0)))
    item.points[4:, :60] += 7.0
    followed = item.followed.copy()
    followed[3:, 300:] = False
    moved = plausibility.middles(item.points, followed)
    np.testing.assert_allclose(moved - moved[0], along((0.4, 0, 0)), atol=1e-12)
    followed[6:], item.points[6:] = False, np.nan
    lost = plausibility.middles(item.points, followed)
    np.testing.assert_allclose(lost[6:] - lost[0], np.tile([0.4 * 5 / FPS, 0, 0], (3, 1)), atol=1e-12)


def test_penetration_of_two_spheres_is_how_far_their_surfaces_overlap() -> None:
    fine = RNG.normal(size=(6000, 3))
    ball = fine / np.linalg.norm(fine, axis=1, keepdims=True)
    assert plausibility.penetration_depth(ball + 1.5 * np.eye(3)[0], ball) == pytest.approx(0.5, abs=0.03)
    assert plausibility.penetration_depth(ball + 2.05 * np.eye(3)[0], ball) == 0
    assert plausibility.penetration_depth(np.zeros((1, 3)), ball) == pytest.approx(1, abs=0.03)
    assert plausibility.penetration_depth(ball, ball[:3]) == 0
    assert plausibility.penetration_depth(ball, ball * [1, 1, 0]) == 0
    assert plausibility.penetration_depth(ball[:0], ball) == 0


def test_balls_that_pass_through_each_other_interpenetrate_and_those_that_touch_do_not() -> None:
    still = sphere(along((0, 0, 0)), instance=2)
    into = plausibility.interpenetration([sphere(along((3.0, 0, 0), start=(-3, 0, 0))), still])
    beside = plausibility.interpenetration([sphere(along((3.0, 0, 0), start=(-3, 2.01, 0))), still])
    apart = np.abs(along((3.0, 0, 0), start=(-3, 0, 0))[1:, 0])
    assert into == pytest.approx(np.clip(1 - np.abs(apart - 1), 0, None).mean(), abs=0.03)
    assert beside == 0
    assert plausibility.interpenetration([still]) is None


def test_a_point_that_flies_off_makes_no_penetration() -> None:
    far = sphere(along((0, 0, 0), start=(5, 0, 0)))
    far.points[3:, :3] = 0.0
    assert plausibility.interpenetration([far, sphere(along((0, 0, 0)), 2.0, 2)]) == 0


def test_a_ball_that_grows_drifts_in_volume_by_its_logarithm() -> None:
    rigid, swollen = sphere(along((1, 0, 0))), sphere(along((1, 0, 0)), np.array([1.0] + [2.0] * 8))
    assert plausibility.volume_drift([rigid], 0.3) == pytest.approx(0, abs=1e-9)
    assert plausibility.volume_drift([swollen], 0.3) == pytest.approx(np.log(8))
    assert plausibility.volume_drift([rigid, swollen], 0.3) == pytest.approx(np.log(8) / 2)
    assert plausibility.area_error([swollen], [rigid], 0.3) == pytest.approx(np.log(4))
    gone = FollowedObject(1, swollen.points, swollen.pixels, np.eye(9, 1, dtype=bool) & np.ones((9, 400), bool))
    assert plausibility.volume_drift([gone], 0.3) is None


def test_permanence_is_the_share_that_is_there_and_counts_are_compared_with_the_truth() -> None:
    there = np.ones((2, 5), bool)
    there[1, 3:] = False
    assert plausibility.permanence(there) == pytest.approx(6 / 8)
    assert plausibility.count_error(there, np.ones((2, 5), bool)) == pytest.approx(2 / 4 / 2)
    assert plausibility.count_error(there, there) == 0
