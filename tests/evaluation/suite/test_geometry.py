"""Scale over time and surface normals, on depths whose answer is known."""

import numpy as np
import pytest
import torch

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.evaluation.suite.geometry import (
    log_scales,
    normal_error,
    scale_trend,
    static_log_scales,
    surface_normals,
)
from phys4d_kedro.evaluation.suite.objects import follow_pixels, lifting_camera, spread
from phys4d_kedro.geometry.camera import intrinsics_from_fov
from tests.factories import AnalyticScene, Plane, Sphere, make_clip, rotation, translation

FPS, FRAMES = 8.0, 9


def slope_per_second(scales: np.ndarray) -> float:
    trend = scale_trend(scales, FPS)
    assert trend is not None
    return trend.drift


@pytest.mark.parametrize("rate", [0.3, -0.2])
def test_a_scale_that_grows_steadily_drifts_at_its_rate_and_does_not_flicker(rate: float) -> None:
    true = make_clip(0, frames=FRAMES).arrays()["depth"].astype(np.float64)
    grown = 1.7 * true * np.exp(rate * np.arange(FRAMES) / FPS)[:, None, None]
    trend = scale_trend(log_scales(grown, true, np.ones(true.shape, bool)), FPS)
    assert trend is not None
    assert trend.drift == pytest.approx(abs(rate))
    assert trend.flicker == pytest.approx(0, abs=1e-9)


def test_a_scale_that_alternates_flickers_and_hardly_drifts() -> None:
    scales = 0.1 * (-1.0) ** np.arange(101)
    trend = scale_trend(scales, FPS)
    assert trend is not None
    assert trend.flicker == pytest.approx(0.1, rel=0.01)
    assert trend.drift < 0.001


def test_frames_without_a_scale_do_not_count_and_two_are_no_trend() -> None:
    scales = 0.25 * np.arange(5) / FPS
    assert slope_per_second(np.array([*scales[:2], np.nan, *scales[3:]])) == pytest.approx(0.25)
    assert scale_trend(np.array([0.0, 1.0, np.nan]), FPS) is None


def moving_ball_before_a_wall(cameras: np.ndarray) -> Clip:
    wall = translation(np.tile([0.0, 0.0, 5.0], (FRAMES, 1)))
    ball = translation([-0.4, 0, 3] + np.array([0.05, 0, -0.1]) * np.arange(FRAMES)[:, None])
    return AnalyticScene([Plane(wall), Sphere(ball, 0.4)], cameras).clip("ball", np.random.default_rng(0))


def static_drift(clip: Clip) -> float:
    camera = lifting_camera(clip, 50)
    start = spread(np.ones(clip.size, bool), 400)
    tracks = follow_pixels(clip, start, camera)
    return slope_per_second(static_log_scales(tracks, camera.world_from_camera))


def test_without_the_truth_drift_shows_on_what_stands_still_though_a_ball_and_the_camera_move() -> None:
    """The camera comes closer by 5 cm a frame: depth changes, and its scale does not."""
    clip = moving_ball_before_a_wall(translation(np.array([0.0, 0, 0.05]) * np.arange(FRAMES)[:, None]))
    assert static_drift(clip) < 0.002
    grown = clip.arrays()["depth"] * np.exp(0.2 * np.arange(FRAMES) / FPS)[:, None, None]
    assert static_drift(clip.with_(depth=grown.astype(np.float32))) == pytest.approx(0.2, rel=0.03)


@pytest.mark.parametrize(("axis", "degrees"), [((1, 0, 0), 35.0), ((0, 1, 0), -50.0)])
def test_normals_of_a_plane_are_the_planes(axis: tuple[int, int, int], degrees: float) -> None:
    wall = translation(np.tile([0.0, 0.0, 6.0], (1, 1))) @ rotation(axis, np.radians([degrees]))
    scene = AnalyticScene([Plane(wall)], translation(np.zeros((1, 3))))
    depth = torch.from_numpy(scene.annotate()["depth"])
    normals, known = surface_normals(depth, torch.from_numpy(scene.intrinsics))
    expected = -wall[0, :3, 2]  # towards the camera
    assert known[:, 1:-1, 1:-1].float().mean() > 0.8  # where it is steep, neighbours are too far apart
    np.testing.assert_allclose(normals[known].numpy(), np.broadcast_to(expected, normals[known].shape), atol=1e-9)


def test_normals_of_a_sphere_point_from_its_middle_and_are_unknown_at_its_silhouette() -> None:
    scene = AnalyticScene(
        [Plane(translation(np.array([[0.0, 0, 9]]))), Sphere(translation(np.array([[0.0, 0, 4]])), 1.0)],
        translation(np.zeros((1, 3))),
        128,
        128,
    )
    exact = scene.annotate()
    depth, matrix = torch.from_numpy(exact["depth"]), torch.from_numpy(scene.intrinsics)
    normals, known = surface_normals(depth, matrix)
    pixels = np.stack(np.meshgrid(np.arange(128) + 0.5, np.arange(128) + 0.5), -1)
    _, _, point = scene.cast(0, pixels)
    ball = known[0].numpy() & (exact["segmentation"][0] == 1)
    truly = point[ball] - [0, 0, 4]
    cosine = (normals[0].numpy()[ball] * truly).sum(-1)
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean() < 2
    edge = (exact["segmentation"][0, :, 1:] != exact["segmentation"][0, :, :-1])[:, 1:-1]
    assert not known[0, :, 1:-2].numpy()[edge[:, : known.shape[2] - 3]].any()


def test_two_planes_differ_by_the_angle_between_them_and_a_scale_turns_nothing() -> None:
    K = intrinsics_from_fov(60, 32, 40)

    def depth_of(degrees: float) -> np.ndarray:
        wall = translation(np.array([[0.0, 0.0, 6.0]])) @ rotation((0, 1, 0), np.radians([degrees]))
        return AnalyticScene([Plane(wall)], translation(np.zeros((1, 3)))).annotate()["depth"]

    everywhere = np.ones((1, 32, 40), bool)
    assert normal_error(depth_of(10), depth_of(40), K, everywhere) == pytest.approx(30, abs=1e-6)
    assert normal_error(2.5 * depth_of(40), depth_of(40), K, everywhere) == pytest.approx(0, abs=1e-5)
    assert normal_error(depth_of(10), depth_of(40), K, ~everywhere) is None
