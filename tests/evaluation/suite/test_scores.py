"""The suite on one clip: the truth has no error, worlds with a known fault have it, and what is lacking is said."""

import numpy as np
import pytest
import torch

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.errors import InvalidClipError, MissingAnnotationError
from phys4d_kedro.evaluation.suite import HORIZON_METRICS, SUITE_METRICS
from phys4d_kedro.evaluation.suite.scores import score_video, score_world
from phys4d_kedro.evaluation.suite.truth import SuiteTruth, prepare_truth
from tests.evaluation.suite.scenes import CONFIG, FRAMES, at_rest, two_balls, world_of

SPEED = 0.1


@pytest.fixture(scope="module")
def truth() -> SuiteTruth:
    return prepare_truth(two_balls(speed=SPEED), CONFIG)


def backward(clip: Clip) -> torch.Tensor:
    return torch.zeros(clip.frames - 1, 2, *clip.size)


def scores(clip: Clip, truth: SuiteTruth) -> dict[str, float]:
    return {s.metric: s.value for s in score_world(clip, backward(clip), truth, CONFIG) if s.horizon is None}


def test_the_truth_is_scored_by_every_metric_and_has_no_error(truth: SuiteTruth) -> None:
    found = scores(truth.clip, truth)
    assert set(found) == set(SUITE_METRICS)
    assert all(np.isfinite(value) for value in found.values())
    for name in ("depth_abs_rel", "scale_drift", "scale_flicker", "end_point_error", "area_error", "count_error"):
        assert found[name] == pytest.approx(0, abs=1e-6), name
    assert found["depth_delta_1"] == 1
    assert found["permanence"] == 1
    assert found["normal_error"] < 1e-3
    assert found["interpenetration"] == 0


def test_at_constant_velocity_little_energy_or_momentum_comes_or_goes(truth: SuiteTruth) -> None:
    found = scores(truth.clip, truth)
    speed = SPEED * truth.clip.fps
    for name in ("momentum_drift", "momentum_error"):
        assert found[name] < 0.05 * speed, name
    for name in ("energy_gain", "energy_error"):
        assert found[name] < 0.1 * speed**2 / 2 + 0.05, name


def test_a_world_at_rest_misses_all_momentum_and_contradicts_nothing(truth: SuiteTruth) -> None:
    found = scores(at_rest(truth.clip), truth)
    assert found["momentum_error"] == pytest.approx(SPEED * truth.clip.fps, rel=0.02)
    assert found["momentum_drift"] == pytest.approx(0, abs=1e-6)
    for name in ("warp_residual", "cycle_error", "photometric_error", "track_jitter", "energy_gain", "volume_drift"):
        assert found[name] == pytest.approx(0, abs=1e-6), name
    assert found["chamfer_4d"] > 3 * scores(truth.clip, truth)["chamfer_4d"]


def test_depth_that_drifts_is_found_from_its_first_frame_on(truth: SuiteTruth) -> None:
    rate = 0.2
    grown = truth.clip.arrays()["depth"] * np.exp(rate * np.arange(FRAMES) / truth.clip.fps)[:, None, None]
    found = scores(world_of(truth.clip, depth=(3 * grown).astype(np.float32)), truth)
    assert found["scale_drift"] == pytest.approx(rate, rel=1e-3)
    assert found["static_scale_drift"] == pytest.approx(rate, rel=0.05)
    mean = np.mean(np.exp(rate * np.arange(FRAMES) / truth.clip.fps) - 1)
    assert found["depth_abs_rel"] == pytest.approx(mean, rel=1e-3)
    assert found["normal_error"] < 0.01


def test_an_object_that_vanishes_is_counted_out(truth: SuiteTruth) -> None:
    """From frame 3 on the ball that rests has neither its colour nor its depth."""
    arrays = truth.clip.arrays()
    gone = arrays["segmentation"][0] == 2
    rgb, depth = truth.clip.rgb.copy(), arrays["depth"].copy()
    rgb[3:, gone], depth[3:, gone] = 255 - rgb[3:, gone], 6.0
    found = scores(world_of(truth.clip, rgb=rgb, depth=depth), truth)
    assert found["permanence"] == pytest.approx(6 / 8)
    assert found["count_error"] == pytest.approx(2 / 4 / 2)


def test_horizons_end_with_the_whole_clip_and_errors_of_a_world_at_rest_grow(truth: SuiteTruth) -> None:
    rest = at_rest(truth.clip)
    found = [*score_world(rest, backward(rest), truth, CONFIG)]
    for name in HORIZON_METRICS:
        curve = [(s.horizon, s.value) for s in found if s.metric == name and s.horizon is not None]
        (whole,) = [s.value for s in found if s.metric == name and s.horizon is None]
        assert [horizon for horizon, _ in curve] == [2 / 8, 4 / 8]
        assert curve[-1][1] == pytest.approx(whole)
    growing = [s.value for s in found if s.metric == "chamfer_4d" and s.horizon is not None]
    assert growing[0] < growing[1]


def test_any_video_is_scored_by_what_needs_no_truth_and_objects_where_they_are_known(truth: SuiteTruth) -> None:
    world = world_of(truth.clip, intrinsics=None, world_from_camera=None)

    def names(**known: np.ndarray) -> set[str]:
        return {score.metric for score in score_video(world, backward(world), CONFIG, **known)}

    alone = {name for name, metric in SUITE_METRICS.items() if metric.needs == "clip"}
    objects = {name for name, metric in SUITE_METRICS.items() if metric.needs == "objects"}
    assert names() == alone
    assert names(instances=truth.clip.arrays()["segmentation"][0]) == alone | objects


def test_its_own_segmentation_is_taken_and_its_own_validity_is_not(truth: SuiteTruth) -> None:
    clip = truth.clip
    nothing = clip.with_(motion_valid=np.zeros_like(clip.arrays()["motion_valid"]))
    expected, found = ([*score_video(c, backward(c), CONFIG)] for c in (clip, nothing))
    assert found == expected
    assert {"energy_gain", "permanence"} <= {score.metric for score in found}


def test_worlds_that_cannot_be_judged_are_named(truth: SuiteTruth) -> None:
    clip = truth.clip
    with pytest.raises(MissingAnnotationError, match=r"balls.*motion"):
        scores(clip.with_(motion=None, motion_valid=None), truth)
    depth = clip.arrays()["depth"].copy()
    depth[1, 2, 3] = np.inf
    with pytest.raises(InvalidClipError, match=r"balls.*1 pixels.*\(1, 2, 3\)"):
        scores(clip.with_(depth=depth), truth)
    with pytest.raises(InvalidClipError, match=r"generate as many frames"):
        scores(clip.window(0, 1), truth)
    with pytest.raises(MissingAnnotationError, match=r"balls.*segmentation"):
        prepare_truth(world_of(clip), CONFIG)
