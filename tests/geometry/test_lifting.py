import numpy as np
import pytest
import torch
from factories import AnalyticScene, Plane, Sphere, make_clip, rotation, translation

from phys4d_kedro.errors import MissingAnnotationError
from phys4d_kedro.geometry.lifting import clip_tracks, lift, moving_instances

FRAMES = 9
TIME = np.arange(FRAMES)[:, None]
DRIFT = translation(np.array([0.03, -0.02, 0.05]) * TIME) @ rotation([0, 1, 0.2], 0.01 * TIME[:, 0])


def lifted(scene: AnalyticScene, start: torch.Tensor | None = None):
    exact = scene.annotate()
    mask = torch.from_numpy(exact["segmentation"][0] == len(scene.bodies) - 1) if start is None else start
    arguments = [torch.from_numpy(exact[k]) for k in ("depth", "motion", "motion_valid")]
    return lift(
        *arguments,
        intrinsics=torch.from_numpy(scene.intrinsics),
        world_from_camera=torch.from_numpy(scene.cameras),
        start=mask,
        instance=torch.from_numpy(exact["segmentation"][0].astype(np.int64)),
    )


def followed(scene: AnalyticScene, pixels: np.ndarray, body: int) -> np.ndarray:
    """The true world path (T, N, 3) of what is seen at pixels (N, 2) of frame 0."""
    start = scene.cast(0, pixels)[2]
    poses = scene.bodies[body].poses @ np.linalg.inv(scene.bodies[body].poses[0])
    return np.einsum("tij,nj->tni", poses[:, :3, :3], start) + poses[:, None, :3, 3]


@pytest.mark.parametrize("camera", [translation(np.zeros((FRAMES, 3))), DRIFT], ids=["static", "moving"])
def test_points_of_a_turning_plane_are_followed_exactly(camera):
    wall = translation(np.tile([0.0, 0.0, 4.0], (FRAMES, 1))) @ rotation([1, 0.4, 0], 0.3 + 0.05 * TIME[:, 0])
    scene = AnalyticScene([Plane(wall)], camera)
    tracks = lifted(scene)
    assert tracks.points.shape == (FRAMES, 32 * 40, 3)
    truth = followed(scene, tracks.pixels[0].numpy(), 0)
    error = np.linalg.norm(tracks.points.numpy() - truth, axis=-1)
    assert tracks.valid[-1].float().mean() > 0.5
    assert np.median(error[tracks.valid.numpy()]) < 1e-3
    pixels = tracks.pixels
    amid = tracks.valid & ((pixels >= 0.5) & (pixels <= pixels.new_tensor([39.5, 31.5]))).all(-1).cummin(0).values
    # Not zero: motion of a turning plane is not linear in the image.
    assert np.quantile(error[amid.numpy()], 0.99) < 1e-3


def test_points_of_a_sphere_stay_on_it_and_static_points_stay_put():
    wall = translation(np.tile([0.0, 0.0, 5.0], (FRAMES, 1)))
    sphere = translation([-0.4, 0, 3] + np.array([0.06, 0.02, -0.05]) * TIME)
    scene = AnalyticScene([Plane(wall), Sphere(sphere, 0.7)], DRIFT, 64, 80)
    tracks = lifted(scene)
    error = np.linalg.norm(tracks.points.numpy() - followed(scene, tracks.pixels[0].numpy(), 1), axis=-1)
    valid = tracks.valid.numpy()
    assert valid.mean() > 0.8
    assert np.median(error[valid]) < 2e-3
    assert np.quantile(error[valid], 0.95) < 0.05
    assert (tracks.instance == 1).all()
    background = torch.from_numpy(scene.annotate()["segmentation"][0] == 0)
    still = lifted(scene, background)
    moved = (still.points - still.points[0]).norm(dim=-1)[still.valid]
    assert moved.quantile(0.99) < 1e-3


def test_validity_ends_at_occlusion_and_at_the_frame_and_never_returns():
    wall = translation(np.tile([0.0, 0.0, 5.0], (FRAMES, 1)))
    sphere = translation([-2.0, 0, 3] + np.array([0.5, 0, 0]) * TIME)
    scene = AnalyticScene([Plane(wall), Sphere(sphere, 0.5)], translation(np.zeros((FRAMES, 3))))
    behind = torch.tensor([[20.0, 16.5]])  # on the wall, passed by the sphere
    tracks = lifted(scene, behind)
    valid = tracks.valid[:, 0]
    assert valid[0]
    assert not valid[-1]
    assert (valid[1:] <= valid[:-1]).all()
    leaving = AnalyticScene(
        [Plane(wall + translation(np.zeros((1, 3))) * 0), Sphere(sphere, 0.5)],
        translation(np.array([0.6, 0, 0]) * TIME),
    )
    gone = lifted(leaving, torch.tensor([[2.5, 4.5]]))
    assert gone.valid[0, 0]
    assert not gone.valid[-1, 0]
    assert (gone.pixels >= 0).all()
    assert torch.isfinite(gone.points).all()


def test_lifting_is_differentiable_in_depth_and_motion():
    wall = translation(np.tile([0.0, 0.0, 4.0], (5, 1)))
    scene = AnalyticScene([Plane(wall)], DRIFT[:5], 6, 7)
    exact = scene.annotate()
    depth = torch.from_numpy(exact["depth"]).requires_grad_()
    motion = torch.from_numpy(exact["motion"]).requires_grad_()
    start = torch.tensor([[3.2, 2.9], [4.4, 3.1]], dtype=torch.float64)

    def points(d: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
        valid = torch.ones(m.shape[:3], dtype=torch.bool)
        camera = {"intrinsics": torch.from_numpy(scene.intrinsics)}
        return lift(d, m, valid, **camera, world_from_camera=torch.from_numpy(scene.cameras), start=start).points

    assert torch.autograd.gradcheck(points, (depth, motion))


def test_only_what_moves_in_the_world_counts_as_moving():
    frames = 5
    wall = translation(np.tile([0.0, 0.0, 5.0], (frames, 1)))
    still = translation(np.tile([0.8, 0.0, 4.0], (frames, 1)))
    rolling = translation([-0.8, 0, 4] + np.array([0.05, 0, 0]) * np.arange(frames)[:, None])
    scene = AnalyticScene([Plane(wall), Sphere(still, 0.4), Sphere(rolling, 0.4)], DRIFT[:frames])
    clip = scene.clip("two", np.random.default_rng(0))
    assert moving_instances(clip).tolist() == [2]
    tracks = clip_tracks(clip)
    assert len(tracks.instance) == (clip.segmentation[0] == 2).sum()
    assert (tracks.instance == 2).all()


def test_a_clip_without_tracks_is_named():
    clip = make_clip(3).with_(tracks=None, track_instance=None, track_visible=None)
    with pytest.raises(MissingAnnotationError, match=r"sphere-0003.*tracks"):
        clip_tracks(clip)
