import numpy as np
import pytest
import torch
from factories import AnalyticScene, Plane, Sphere, make_clip, rotation, translation

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.errors import InvalidClipError, MissingAnnotationError
from phys4d_kedro.evaluation.metrics import (
    TrackReference,
    abs_rel,
    delta_1,
    end_point_error,
    make_reference,
    median_scale,
    score_clip,
    track_distance,
)


def scores(truth: Clip, predicted: Clip) -> dict[tuple[str, str], float]:
    reference = make_reference(truth, moving_threshold=0.01, tracks=256)
    return {(s.region, s.metric): s.value for s in score_clip(reference, predicted)}


def still_wall(cameras: np.ndarray | None = None, frames: int = 5) -> AnalyticScene:
    wall = translation(np.tile([0.0, 0.0, 4.0], (frames, 1)))
    still = translation(np.zeros((frames, 3)))
    return AnalyticScene([Plane(wall), Sphere(wall, 0.8)], still if cameras is None else cameras)


def test_formulas_on_numbers_done_by_hand():
    predicted, true = np.array([1.0, 3.0, 2.4]), np.array([2.0, 2.0, 2.0])
    assert abs_rel(predicted, true) == pytest.approx((0.5 + 0.5 + 0.2) / 3)
    assert delta_1(predicted, true) == pytest.approx(1 / 3)
    assert delta_1(np.array([1.25, 1.24, 0.81]), np.ones(3)) == pytest.approx(2 / 3)  # strictly below
    assert median_scale(predicted, true, np.array([True, True, False])) == pytest.approx(1.0)
    assert end_point_error(np.array([[3.0, 4, 9]]), np.array([[0.0, 0, 0]])) == 5


def test_the_truth_scores_what_sampling_and_interpolation_leave():
    clip = make_clip(0, frames=9, height=48, width=48)
    got = scores(clip, clip)
    assert set(got) == {
        (region, metric)
        for region in ("image", "objects")
        for metric in ("abs_rel", "abs_rel_raw", "delta_1", "delta_1_raw", "epe", "warp_residual", "chamfer_4d")
    }
    for region in ("image", "objects"):
        assert got[region, "abs_rel"] == got[region, "abs_rel_raw"] == got[region, "epe"] == 0
        assert got[region, "delta_1"] == 1
        assert got[region, "warp_residual"] < 0.05  # silhouettes, where a sample mixes two surfaces
    assert got["image", "chamfer_4d"] == pytest.approx(0, abs=1e-6)
    assert got["objects", "chamfer_4d"] < 0.15  # the pixels and the simulator's points are different points


def test_a_wrong_scale_shows_in_raw_depth_only():
    clip = make_clip(1)
    right, tripled = scores(clip, clip), scores(clip, clip.with_(depth=clip.depth * 3))
    for region in ("image", "objects"):
        assert tripled[region, "abs_rel"] == pytest.approx(right[region, "abs_rel"], abs=1e-6)
        assert tripled[region, "delta_1"] == right[region, "delta_1"]
        assert tripled[region, "abs_rel_raw"] == pytest.approx(2, rel=1e-5)
        assert tripled[region, "delta_1_raw"] == 0


def test_scale_alignment_is_invariant_for_any_prediction():
    clip = make_clip(2)
    rough = clip.depth * np.random.default_rng(0).uniform(0.5, 1.5, clip.depth.shape).astype(np.float32)
    one, other = scores(clip, clip.with_(depth=rough)), scores(clip, clip.with_(depth=rough * 0.37))
    for region in ("image", "objects"):
        for metric in ("abs_rel", "delta_1"):
            assert one[region, metric] == pytest.approx(other[region, metric], rel=1e-4)


def test_errors_on_moving_objects_are_told_apart_from_the_image():
    clip = make_clip(3)
    on_object = clip.segmentation == 1
    depth = np.where(on_object, clip.depth * 1.1, clip.depth)
    motion = clip.motion.copy()
    motion[on_object[:-1]] += np.array([3, 4, 0], np.float32)
    got = scores(clip, clip.with_(depth=depth, motion=motion))
    assert got["objects", "abs_rel_raw"] == pytest.approx(0.1, rel=1e-4)
    assert got["image", "abs_rel_raw"] == pytest.approx(0.1 * on_object.mean(), rel=1e-4)
    visible = clip.motion_valid
    assert got["objects", "epe"] == pytest.approx(5, rel=1e-5)
    assert got["image", "epe"] == pytest.approx(5 * on_object[:-1][visible].mean(), rel=1e-5)


def test_what_the_camera_alone_moves_is_no_moving_object():
    cameras = translation(np.array([0.1, 0, 0]) * np.arange(5)[:, None])
    clip = still_wall(cameras).clip("still", np.random.default_rng(0))
    assert {region for region, _ in scores(clip, clip)} == {"image"}


def test_motion_at_hidden_pixels_is_not_judged():
    clip = make_clip(4)
    hidden = ~clip.motion_valid
    assert hidden.any()
    motion = clip.motion.copy()
    motion[hidden] += 5
    right, wrong = scores(clip, clip), scores(clip, clip.with_(motion=motion))
    for region in ("image", "objects"):
        for metric in ("epe", "warp_residual"):
            assert right[region, metric] == wrong[region, metric]


def test_warp_residual_is_the_contradiction_between_depth_and_motion():
    clip = still_wall().clip("still", np.random.default_rng(0))
    growing = np.full(clip.depth.shape, 2, np.float32) * 1.1 ** np.arange(5, dtype=np.float32)[:, None, None]
    zero = np.zeros_like(clip.motion)
    assert scores(clip, clip.with_(depth=growing, motion=zero))["image", "warp_residual"] == pytest.approx(np.log(1.1))
    followed = zero.copy()
    followed[..., 2] = growing[1:] - growing[:-1]
    assert scores(clip, clip.with_(depth=growing, motion=followed))["image", "warp_residual"] < 1e-6


def test_track_distance_is_the_chamfer_of_the_lifted_tracks():
    scene = still_wall()
    clip = scene.clip("still", np.random.default_rng(0))
    flat = clip.with_(depth=np.full_like(clip.depth, 2), motion=np.zeros_like(clip.motion))
    start = torch.tensor([[20.0, 16.0]])  # the principal point: the lifted point is (0, 0, 2)
    true = torch.tensor([[0.3, 0.0, 2.4]]).expand(5, 1, 3)
    assert track_distance(flat, clip, TrackReference(start, true)) == pytest.approx(2 * 0.5)


def test_zero_motion_costs_the_way_the_object_goes():
    frames = 5
    wall = translation(np.tile([0.0, 0.0, 6.0], (frames, 1)))
    ball = translation([0, 0, 3] + np.array([0.5, 0, 0]) * np.arange(frames)[:, None])
    still = translation(np.zeros((frames, 3)))
    scene = AnalyticScene([Plane(wall), Sphere(ball, 0.3)], still, 64, 64)
    clip = scene.clip("fast", np.random.default_rng(0))
    frozen = clip.with_(depth=np.repeat(clip.depth[:1], frames, 0), motion=np.zeros_like(clip.motion))
    reference = make_reference(clip, moving_threshold=0.01, tracks=256)
    judged = len(reference.tracks["objects"].points)
    got = {s.metric: s.value for s in score_clip(reference, frozen) if s.region == "objects"}
    way = np.mean([0.5 * t for t in range(judged)])
    assert got["chamfer_4d"] == pytest.approx(2 * way, rel=0.2)


def test_tracks_are_judged_while_half_of_the_points_are_visible():
    frames = 9
    wall = translation(np.tile([0.0, 0.0, 6.0], (frames, 1)))
    ball = translation([0, 0, 3] + np.array([0.5, 0, 0]) * np.arange(frames)[:, None])  # leaves the frame at x = 1.7
    scene = AnalyticScene([Plane(wall), Sphere(ball, 0.3)], translation(np.zeros((frames, 3))), 64, 64)
    reference = make_reference(scene.clip("leaving", np.random.default_rng(0)), moving_threshold=0.01, tracks=50)
    tracks = reference.tracks["objects"]
    assert 3 <= len(tracks.points) <= 4
    assert len(tracks.start) <= 50
    assert torch.isfinite(tracks.points).all()
    assert len(reference.tracks["image"].points) == frames


def test_turning_in_place_is_motion():
    frames = 5
    wall = translation(np.tile([0.0, 0.0, 6.0], (frames, 1)))
    plate = translation(np.tile([0.0, 0, 3], (frames, 1))) @ rotation([0, 0, 1], 0.1 * np.arange(frames))
    scene = AnalyticScene([Plane(wall), Plane(plate, (0.8, 0.8))], translation(np.zeros((frames, 3))))
    clip = scene.clip("turning", np.random.default_rng(0))
    frozen = clip.with_(motion=np.zeros_like(clip.motion))
    assert scores(clip, clip)["objects", "chamfer_4d"] < 0.12  # pixels are 0.11 m apart there
    assert scores(clip, frozen)["objects", "chamfer_4d"] > 0.15


def test_bad_clips_are_refused_by_name():
    clip = make_clip(5)
    depth = clip.depth.copy()
    depth[1, 2, 3] = np.inf
    with pytest.raises(InvalidClipError, match=r"sphere-0005.*1 pixels.*\(1, 2, 3\)"):
        scores(clip, clip.with_(depth=depth))
    with pytest.raises(MissingAnnotationError, match=r"sphere-0005.*motion"):
        scores(clip, clip.with_(motion=None, motion_valid=None))
    with pytest.raises(MissingAnnotationError, match=r"sphere-0005.*segmentation"):
        scores(clip.with_(segmentation=None), clip)


def test_pixels_that_hit_nothing_are_left_out():
    clip = make_clip(6)
    depth, guess = clip.depth.copy(), clip.depth.copy()
    depth[:, :4] = np.inf
    guess[:, :4] = 1e6
    got = scores(clip.with_(depth=depth), clip.with_(depth=guess))
    assert got["image", "abs_rel_raw"] == 0
