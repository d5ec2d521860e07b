"""Depth, motion, visibility and segmentation of the renderer against closed forms and independent references."""

from dataclasses import replace

import numpy as np
import pytest
from rendering_scenes import (
    box_mesh,
    expected_motion,
    look_at,
    pixel_rays,
    playground,
    pose,
    scene,
    torus,
    transform,
)

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.rendering.renderer import RenderOutput, render, visibility
from phys4d_kedro.simulation.rendering.scene import Box, Cylinder, Mesh, Plane, RenderScene, Sphere


def annotations(made: RenderScene, size: int = 33) -> RenderOutput:
    return render(made, size, size, samples=1, seed=0)


def test_depth_of_a_sphere() -> None:
    made = scene((Sphere(radius=0.5), pose((0, 0, 3))))
    out = annotations(made)
    rays = pixel_rays(made, 33)
    a, b, c = (rays**2).sum(-1), -2 * 3 * rays[..., 2], 9 - 0.25
    inside = b**2 - 4 * a * c > 0
    expected = (-b - np.sqrt(np.where(inside, b**2 - 4 * a * c, 0))) / (2 * a)
    assert out.depth[0, 16, 16] == pytest.approx(2.5, abs=1e-6)
    assert np.array_equal(out.segmentation[0] == 1, inside)
    np.testing.assert_allclose(out.depth[0][inside], expected[inside], rtol=1e-5)


def test_depth_of_a_slanted_plane() -> None:
    made = scene((Plane(half_size=(50, 50)), pose((0.2, 0.1, 4), (1, 1, 0), 0.9)))
    normal = made.poses[0, 0, :3, 2]
    expected = normal @ (0.2, 0.1, 4) / (pixel_rays(made, 33) @ normal)
    np.testing.assert_allclose(annotations(made).depth[0], expected, rtol=1e-5)


def test_depth_of_a_cylinder() -> None:
    # Its axis along the camera's y: the side is a circle in x and z, the caps are out of sight.
    made = scene((Cylinder(radius=0.4, half_height=5), pose((0, 0, 3), (1, 0, 0), np.pi / 2)))
    slope = pixel_rays(made, 33)[16, 12, 0]
    a, b, c = 1 + slope**2, -6, 9 - 0.16
    assert annotations(made).depth[0, :, 12] == pytest.approx((-b - np.sqrt(b * b - 4 * a * c)) / (2 * a), rel=1e-5)


@pytest.mark.parametrize("samples", [1, 8])
def test_mesh_and_exact_box_agree(samples: int) -> None:
    half = (0.3, 0.2, 0.5)
    poses = [pose((0.1 * t, 0.05, 2.5 + 0.1 * t), (1, 2, 3), 0.7 + 0.4 * t) for t in range(3)]
    exact, mesh = (
        render(scene((shape, poses), frames=3), 33, 33, samples=samples, seed=0)
        for shape in (Box(half_extents=half), box_mesh(half))
    )
    assert np.array_equal(exact.segmentation, mesh.segmentation)
    np.testing.assert_allclose(exact.depth, mesh.depth, rtol=1e-5)
    np.testing.assert_allclose(exact.motion, mesh.motion, atol=2e-4)
    assert (exact.motion_valid != mesh.motion_valid).mean() < 1e-3
    assert np.abs(exact.rgb.astype(int) - mesh.rgb).mean() < 0.5


def test_motion_of_a_translating_box() -> None:
    # Its front face lies at depth 2 and moves by (0.1, -0.05, 0.2): x / z changes in closed form.
    made = scene((Box(half_extents=(1, 1, 0.5)), [pose((0, 0, 2.5)), pose((0.1, -0.05, 2.7))]), frames=2)
    out = annotations(made)
    x, y = pixel_rays(made, 33)[..., 0], pixel_rays(made, 33)[..., 1]
    face = (out.segmentation[0] == 1) & np.isclose(out.depth[0], 2)
    assert face.sum() > 500
    for channel, expected in enumerate((33 * ((2 * x + 0.1) / 2.2 - x), 33 * ((2 * y - 0.05) / 2.2 - y), 0 * x + 0.2)):
        np.testing.assert_allclose(out.motion[0, ..., channel][face], expected[face], atol=1e-4)


def test_motion_of_a_rotating_box() -> None:
    # Turned about the optical axis, the image turns about its centre and keeps its depth.
    angle = 0.3
    made = scene((Box(half_extents=(0.5, 0.5, 0.5)), [pose((0, 0, 3)), pose((0, 0, 3), angle=angle)]), frames=2)
    out = annotations(made)
    x, y = np.meshgrid(np.arange(33) - 16, np.arange(33) - 16)
    face = out.segmentation[0] == 1
    turned = np.stack((np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y), axis=-1)
    np.testing.assert_allclose(out.motion[0, ..., :2][face], (turned - np.stack((x, y), -1))[face], atol=1e-4)
    np.testing.assert_allclose(out.motion[0, ..., 2], 0, atol=1e-6)


def test_motion_under_a_moving_camera() -> None:
    # A camera that approaches a wall by 0.5 of 4 metres magnifies the image by 4 / 3.5.
    made = scene((Plane(), pose((0, 0, 4))), frames=2, camera=[pose(), pose((0, 0, 0.5))])
    out = annotations(made)
    x, y = np.meshgrid(np.arange(33) - 16, np.arange(33) - 16)
    np.testing.assert_allclose(out.motion[0, ..., 0], x * (4 / 3.5 - 1), atol=1e-4)
    np.testing.assert_allclose(out.motion[0, ..., 1], y * (4 / 3.5 - 1), atol=1e-4)
    np.testing.assert_allclose(out.motion[0, ..., 2], -0.5, atol=1e-6)
    inside = (np.abs(x * 4 / 3.5) <= 16.5) & (np.abs(y * 4 / 3.5) <= 16.5)
    assert np.array_equal(out.motion_valid[0], inside)


def test_motion_of_everything_at_once() -> None:
    made = playground()
    out = annotations(made, 96)
    for t in range(4):
        expected = expected_motion(made, out.depth, out.segmentation, t)
        np.testing.assert_allclose(out.motion[t], expected, atol=5e-4)
    assert set(np.unique(out.segmentation)) == {0, 1, 2, 3, 4, 5}


def test_nothing_moves_exactly() -> None:
    made = playground(frames=3, size=48)
    still = replace(
        made,
        poses=made.poses[[1, 1, 1]],
        camera=replace(made.camera, world_from_camera=made.camera.world_from_camera[[1, 1, 1]]),
    )
    out = annotations(still, 48)
    assert not out.motion.any()
    assert np.array_equal(out.motion_valid[0], out.segmentation[0] > 0)
    assert np.array_equal(out.rgb[0], out.rgb[2])


def test_occlusion_and_disocclusion() -> None:
    # A screen before a wall moves right by 6 pixels: the wall's points it covers get lost, those it frees are there.
    wall, screen = Plane(half_size=(50, 50)), Box(half_extents=(4 / 33, 6 / 33, 1e-3))
    made = scene((wall, pose((0, 0, 4))), (screen, [pose((0, 0, 1)), pose((6 / 33, 0, 1))]), frames=2)
    out = annotations(made)
    before, after = out.segmentation == 2
    covered = after & ~before
    assert covered.any()
    assert np.array_equal(out.motion_valid[0], ~covered)


def test_a_turning_sphere_hides_its_own_back() -> None:
    made = scene((Sphere(radius=0.5), [pose((0, 0, 3)), pose((0, 0, 3), (0, 1, 0), 0.8)]), frames=2)
    out = annotations(made)
    ball = out.segmentation[0] == 1
    there = transform(
        made.poses[1, 0],
        transform(np.linalg.inv(made.poses[0, 0]), out.depth[0][ball][:, None] * pixel_rays(made, 33)[ball]),
    )
    facing = ((there - (0, 0, 3)) * there).sum(-1)
    clear = np.abs(facing) > 1e-3
    assert np.array_equal(out.motion_valid[0][ball][clear], facing[clear] < 0)


def test_a_point_that_passes_behind_the_camera() -> None:
    made = scene((Plane(half_size=(50, 50)), [pose((0, 0, 1)), pose((0, 0, -1))]), frames=2)
    out = annotations(made)
    assert not out.motion_valid.any()
    assert not out.motion.any()


def test_sky() -> None:
    out = annotations(scene((Sphere(radius=0.2), [pose((0, 0, 3)), pose((0.1, 0, 3))]), frames=2))
    sky = out.segmentation[0] == 0
    assert sky.any()
    assert np.isinf(out.depth[0][sky]).all()
    assert not out.motion[0][sky].any()
    assert not out.motion_valid[0][sky].any()


def test_clip_invariant() -> None:
    """A valid point moved by its motion lies on the surface that frame t + 1 shows where it lands."""
    size = 96
    made = playground(size=size)
    out = annotations(made, size)
    y, x = np.mgrid[:size, :size] + 0.5
    errors = []
    for t in range(4):
        landing = np.stack((x, y), -1) + out.motion[t, ..., :2]
        corner = np.floor(landing - 0.5).astype(int)
        whole = out.motion_valid[t] & ((corner >= 0) & (corner < size - 1)).all(-1)
        column, row = corner[whole].T
        fraction = landing[whole] - 0.5 - corner[whole]
        depths = np.stack([out.depth[t + 1][row + i, column + j] for i in (0, 1) for j in (0, 1)], -1)
        ids = np.stack([out.segmentation[t + 1][row + i, column + j] for i in (0, 1) for j in (0, 1)], -1)
        weights = np.stack(
            [abs(1 - i - fraction[:, 1]) * abs(1 - j - fraction[:, 0]) for i in (0, 1) for j in (0, 1)], -1
        )
        one_surface = (ids == out.segmentation[t][whole][:, None]).all(-1)
        # The depth of a plane is not linear over the image, its inverse is.
        found = 1 / (weights / depths).sum(-1)
        moved = out.depth[t][whole] + out.motion[t, ..., 2][whole]
        errors.append((np.abs(found - moved) / moved)[one_surface])
        assert one_surface.mean() > 0.9
    error = np.concatenate(errors)
    assert np.median(error) < 1e-6
    assert np.quantile(error, 0.99) < 0.01


def test_visible_points() -> None:
    ball, screen = Sphere(radius=0.5), Box(half_extents=(0.1, 0.1, 0.01))
    made = scene((ball, pose((0, 0, 3))), (screen, [pose((5, 5, 2)), pose((0, 0, 1))]), frames=2)
    front, side, back, outside, behind = (0, 0, 2.5), (0.3, 0, 2.6), (0, 0, 3.5), (9, 0, 3), (0, 0, -1)
    points = np.array([[front, side, back, outside, behind]] * 2, dtype=float)
    expected = [[True, True, False, False, False], [False, False, False, False, False]]
    expected[1][1] = True  # past the screen, which covers the middle only
    points[:, 1] = (0.35, 0, 3 - np.sqrt(0.25 - 0.35**2))
    assert np.array_equal(visibility(made, points, 33, 33), expected)


def test_visible_points_agree_with_the_image() -> None:
    made = playground(frames=2)
    out = annotations(made, 96)
    seen = out.segmentation[0] > 0
    here = transform(made.camera.world_from_camera[0], (out.depth[0][..., None] * pixel_rays(made, 96))[seen])
    assert visibility(made, np.stack((here, here)), 96, 96)[0].all()


def test_one_frame_and_another_aspect() -> None:
    made = scene((Sphere(radius=0.5), pose((0, 0, 3))), size=40)
    out = render(made, 20, 50, samples=4, seed=0)
    assert out.rgb.shape == (1, 20, 50, 3)
    assert out.motion.shape == (0, 20, 50, 3)
    assert out.motion_valid.shape == (0, 20, 50)


def test_concave_mesh_hides_itself() -> None:
    # Edge-on, the far part of the ring is behind the near one.
    made = scene((torus(), pose((0, 0, 2), (1, 0, 0), np.pi / 2)))
    depth = annotations(made).depth[0, 16, 16]
    assert depth == pytest.approx(2 - 0.27, abs=2e-3)
    points = np.array([[[0, 0, 2 - 0.27], [0, 0, 2 + 0.13]]])
    assert visibility(made, points, 33, 33).tolist() == [[True, False]]


def test_wrong_input_is_refused() -> None:
    made = scene((Sphere(radius=0.5), pose((0, 0, 3))))
    with pytest.raises(ConfigurationError, match="samples 0"):
        render(made, 8, 8, samples=0, seed=0)
    with pytest.raises(ConfigurationError, match="points"):
        visibility(made, np.zeros((2, 4, 3)), 8, 8)
    with pytest.raises(ConfigurationError, match="poses"):
        replace(made, poses=made.poses[:, [0, 0]])
    with pytest.raises(ConfigurationError, match="rotation"):
        replace(made, poses=2 * made.poses)
    with pytest.raises(ConfigurationError, match="radius"):
        Sphere(radius=-1)
    with pytest.raises(ConfigurationError, match="vertices"):
        Mesh(vertices=np.zeros((3, 3), np.float32), faces=np.array([[0, 1, 3]], np.int32))


def test_looking_down_on_the_ground() -> None:
    """World axes with z up and OpenCV's camera: what lies to the left, and far, shows left, and high."""
    camera = look_at((0, -3, 2), (0, 0, 0))
    balls = [(Sphere(radius=0.2), pose(p)) for p in ((-0.8, 0, 0.2), (0, 1.5, 0.2))]
    out = annotations(scene((Plane(), pose()), *balls, camera=camera))
    left, far = (np.argwhere(out.segmentation[0] == i).mean(0) for i in (2, 3))
    assert left[1] < 16 < left[0] + 8
    assert far[0] < left[0]
