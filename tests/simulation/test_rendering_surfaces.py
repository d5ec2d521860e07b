"""Surfaces that deform, or are found anew in every frame: images and annotations against rigid and closed forms."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from rendering_scenes import box_mesh, look_at, pixel_rays, pose, scene, sphere, transform

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.rendering.renderer import RenderOutput, render, visibility
from phys4d_kedro.simulation.rendering.scene import Box, Material, Plane, RenderScene, Sky, Sun, Surface
from phys4d_kedro.simulation.rendering.stretches import part, stretches

Vertices = NDArray[np.float32]
Faces = NDArray[np.int32]


def grid(cells: int) -> tuple[Vertices, Faces]:
    """A square sheet from -1 to 1 at z = 0."""
    x, y = np.meshgrid(np.linspace(-1, 1, cells + 1), np.linspace(-1, 1, cells + 1), indexing="ij")
    corner = (np.arange(cells)[:, None] * (cells + 1) + np.arange(cells)).reshape(-1)
    near, far = np.array((0, cells + 1, cells + 2)), np.array((0, cells + 2, 1))
    faces = np.concatenate((corner[:, None] + near, corner[:, None] + far))
    return np.stack((x, y, 0 * x), axis=-1).reshape(-1, 3).astype(np.float32), faces.astype(np.int32)


def shifted(vertices: Vertices, *by: float) -> Vertices:
    return vertices + np.array(by, dtype=np.float32)


def depth_at_landing(out: RenderOutput, t: int, instance: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Depth carried along valid motion, and inverse-bilinear depth found where it lands, on one instance."""
    size = out.depth.shape[1]
    y, x = np.mgrid[:size, :size] + 0.5
    landing = np.stack((x, y), -1) + out.motion[t, ..., :2]
    corner = np.floor(landing - 0.5).astype(int)
    inside = ((corner >= 0) & (corner < size - 1)).all(-1)
    whole = out.motion_valid[t] & inside & (out.segmentation[t] == instance)
    column, row = corner[whole].T
    fraction = landing[whole] - 0.5 - corner[whole]
    pairs = [(i, j) for i in (0, 1) for j in (0, 1)]
    depths = np.stack([out.depth[t + 1][row + i, column + j] for i, j in pairs], -1)
    one = np.all([out.segmentation[t + 1][row + i, column + j] == instance for i, j in pairs], axis=0)
    weights = np.stack([abs(1 - i - fraction[:, 1]) * abs(1 - j - fraction[:, 0]) for i, j in pairs], -1)
    moved = (out.depth[t] + out.motion[t, ..., 2])[whole]
    return moved[one], (1 / (weights / depths).sum(-1))[one]


def test_surface_and_rigid_mesh_agree() -> None:
    mesh = box_mesh((0.3, 0.2, 0.5))
    poses = [pose((0.1 * t, 0.05, 2.5 + 0.1 * t), (1, 2, 3), 0.7 + 0.4 * t) for t in range(3)]
    surface = Surface(
        vertices=[transform(p, mesh.vertices).astype(np.float32) for p in poses],
        faces=[mesh.faces] * 3,
        smooth=False,
        rest=mesh.vertices,
    )
    materials = [Material(texture="checker", scale=0.15)]
    rigid, free = (
        render(scene(body, frames=3, materials=materials), 33, 33, samples=8, seed=0)
        for body in ((mesh, poses), (surface, pose()))
    )
    assert np.array_equal(rigid.segmentation, free.segmentation)
    np.testing.assert_allclose(rigid.depth, free.depth, rtol=1e-5)
    np.testing.assert_allclose(rigid.motion, free.motion, atol=2e-4)
    # A rigid mesh knows which side is outside, a surface does not need to.
    assert (rigid.motion_valid != free.motion_valid).mean() < 2e-3
    assert np.abs(rigid.rgb.astype(int) - free.rgb).mean() < 0.5


def test_surface_moves_with_its_body() -> None:
    mesh = box_mesh((0.3, 0.2, 0.5))
    poses = [pose((0.1 * t, 0.05, 2.5), (1, 2, 3), 0.4 * t) for t in range(2)]
    camera = [pose(), pose((0.1, 0, -0.2), (1, 1, 0), 0.1)]
    rigid, free = (
        render(scene((shape, poses), frames=2, camera=camera), 33, 33, samples=1, seed=0)
        for shape in (mesh, Surface(vertices=[mesh.vertices] * 2, faces=[mesh.faces] * 2, smooth=False))
    )
    np.testing.assert_allclose(rigid.depth, free.depth, rtol=1e-5)
    np.testing.assert_allclose(rigid.motion, free.motion, atol=2e-4)


def test_motion_of_a_stretching_sheet() -> None:
    """A sheet at depth 3 that grows along x by 20 % and comes nearer by 0.5: x / z changes in closed form."""
    vertices, faces = grid(8)
    later = (vertices * (1.2, 1, 1) - (0, 0, 0.5)).astype(np.float32)
    made = scene((Surface(vertices=[vertices, later], faces=[faces] * 2), pose((0, 0, 3))), frames=2)
    out = render(made, 33, 33, samples=1, seed=0)
    seen = out.segmentation[0] == 1
    x, y = pixel_rays(made, 33)[..., 0], pixel_rays(made, 33)[..., 1]
    assert seen.sum() > 400
    for channel, expected in enumerate((33 * x * (3 * 1.2 / 2.5 - 1), 33 * y * (3 / 2.5 - 1), 0 * x - 0.5)):
        np.testing.assert_allclose(out.motion[0, ..., channel][seen], expected[seen], atol=1e-4)
    assert out.motion_valid[0][seen].all()


def test_still_surface_has_no_motion() -> None:
    vertices, faces = sphere(12)
    camera = [look_at((0.3, -3, 1), (0, 0, 0))] * 2
    made = scene((Surface(vertices=[vertices] * 2, faces=[faces] * 2), pose()), frames=2, camera=camera)
    out = render(made, 33, 33, samples=4, seed=0)
    assert np.abs(out.motion).max() < 1e-12
    assert np.array_equal(out.motion_valid[0], out.segmentation[0] == 1)
    assert np.array_equal(out.rgb[0], out.rgb[1])


def test_folding_sheet_hides_itself() -> None:
    """The right half of a sheet folds over towards the camera and comes to lie before the left half."""
    vertices, faces = grid(8)
    folded = vertices.copy()
    folded[:, 0] = -np.abs(vertices[:, 0])
    folded[:, 2] = np.where(vertices[:, 0] > 0, -0.3 * vertices[:, 0], 0)
    made = scene((Surface(vertices=[vertices, folded], faces=[faces] * 2), pose((0, 0, 3))), frames=2)
    out = render(made, 33, 33, samples=1, seed=0)
    seen = out.segmentation[0] == 1
    column = np.broadcast_to(np.arange(33), (33, 33))
    assert out.motion_valid[0][seen & (column > 17)].all()
    hidden = ~out.motion_valid[0][seen & (column < 15) & (column > 7)]
    assert hidden.all()


def liquid(frames: int, slack: float, moved_by: float = 0.04) -> RenderScene:
    """A ball triangulated anew in every frame, moving to the side, before a wall."""
    shapes = [sphere(40, seed=t) for t in range(frames)]
    offset = np.array((moved_by, 0.01, -0.05))
    vertices = [(v + t * offset + (0, 0, 3)).astype(np.float32) for t, (v, _) in enumerate(shapes)]
    surface = Surface(
        vertices=vertices,
        faces=[f for _, f in shapes],
        moved=[(v + offset).astype(np.float32) for v in vertices[:-1]],
        slack=slack,
    )
    return scene((Plane(half_size=(50, 50)), pose((0, 0, 5))), (surface, pose()), frames=frames, size=64)


def test_surface_found_anew_keeps_the_invariant() -> None:
    out = render(liquid(3, 0.01), 64, 64, samples=1, seed=0)
    for t in range(2):
        moved, found = depth_at_landing(out, t, 2)
        ball = out.segmentation[t] == 2
        assert out.motion_valid[t][ball].mean() > 0.9
        error = np.abs(moved - found) / found
        # What lies between samples of a curved surface differs by its curvature.
        assert np.median(error) < 5e-4
        assert np.quantile(error, 0.9) < 5e-3


def test_landing_is_on_the_surface_exactly() -> None:
    """Where a surface found anew is flat, depth carried along motion is the depth there, whatever `moved` said."""
    vertices, faces = grid(6)
    other, other_faces = grid(7)
    here, there = shifted(vertices, 0, 0, 3), shifted(1.1 * other, 0, 0, 3.2)
    wrong = shifted(here, 0.02, 0.01, 0.19)  # 0.01 before the surface
    for slack, known in ((0.02, True), (0.005, False)):
        surface = Surface(vertices=[here, there], faces=[faces, other_faces], moved=[wrong], slack=slack)
        out = render(scene((surface, pose()), frames=2), 33, 33, samples=1, seed=0)
        seen = out.segmentation[0] == 1
        assert out.motion_valid[0][seen].all() == known
        assert out.motion_valid[0][seen].any() == known
        if known:
            np.testing.assert_allclose((out.depth[0] + out.motion[0, ..., 2])[seen], 3.2, rtol=1e-6)
        rays = pixel_rays(scene((surface, pose()), frames=2), 33)[seen]
        expected = 33 * ((3 * rays[:, 0] + 0.02) / 3.19 - rays[:, 0])
        np.testing.assert_allclose(out.motion[0, ..., 0][seen], expected, atol=1e-4)


def test_frames_without_triangles() -> None:
    vertices, faces = grid(4)
    nothing, no_faces = np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32)
    surface = Surface(
        vertices=[nothing, vertices, nothing],
        faces=[no_faces, faces, no_faces],
        moved=[nothing, vertices],
        slack=0.1,
    )
    wall = (Plane(half_size=(50, 50)), pose((0, 0, 4)))
    made = scene(wall, (surface, pose((0, 0, 3))), frames=3)
    out = render(made, 33, 33, samples=4, seed=0)
    without = render(scene(wall, frames=3), 33, 33, samples=4, seed=0)
    assert (out.segmentation[1] == 2).any()
    covered = out.segmentation[1] == 2
    assert not out.motion_valid[0][covered].any()
    assert not out.motion_valid[1][covered].any()
    for t in (0, 2):
        assert np.array_equal(out.rgb[t], without.rgb[t])
        assert np.array_equal(out.depth[t], without.depth[t])


def test_visible_points_of_a_surface() -> None:
    vertices, faces = grid(4)
    later = shifted(vertices, 5, 0, 0)
    made = scene((Surface(vertices=[vertices, later], faces=[faces] * 2), pose((0, 0, 3))), frames=2)
    points = np.array([[[0, 0, 2], [0, 0, 3], [0, 0, 4]]] * 2, dtype=float)
    assert visibility(made, points, 33, 33).tolist() == [[True, True, False], [True, True, True]]


def test_shades_mix_the_two_colours() -> None:
    vertices, faces = grid(8)
    looks = Material(colour=(0, 0, 0), second_colour=(1, 0, 0), roughness=1, specular=0)
    surface = Surface(vertices=[vertices], faces=[faces], shades=[(0.5 + 0.5 * vertices[:, 0]).astype(np.float32)])
    out = render(
        scene((surface, pose((0, 0, 1.5))), materials=[looks], sky=Sky(haze=float("inf"))), 33, 33, samples=1, seed=0
    )
    line = out.rgb[0, 16, :, 0].astype(int)
    assert line[2] < 60
    assert (np.diff(line) > 0).all()
    assert out.rgb[0, ..., 1].max() == 0


def test_texture_stays_on_what_it_was_painted_on() -> None:
    """A sheet stretched to twice its width shows the same stripes twice as wide."""
    vertices, faces = grid(8)
    wide = (vertices * (2, 1, 1)).astype(np.float32)
    surface = Surface(vertices=[vertices, wide], faces=[faces] * 2)
    looks = [Material(texture="stripes", scale=0.6, roughness=1, specular=0)]
    made = scene((surface, pose((0, 0, 3))), frames=2, size=64, focal=80, materials=looks)
    line, stretched = render(made, 64, 64, samples=1, seed=0).rgb[:, 32, :, 0].astype(float)
    sampled = np.interp(31.5 + (np.arange(64) - 31.5) / 2, np.arange(64), line)
    inside = slice(4, 60)
    assert np.abs(stretched - sampled)[inside].mean() < 0.1 * np.ptp(line[20:44])


def test_sun_moves() -> None:
    """The shadow of a floating box turns with the direction of the lamp."""
    down = np.diag([1.0, -1, -1, 1])
    down[2, 3] = 4
    made = scene(
        (Plane(), pose()),
        (Box(half_extents=(0.2, 0.2, 0.02)), pose((0, 0, 1))),
        frames=2,
        size=65,
        camera=down,
        sun=Sun(direction=[(1, 0, 1), (-1, 0, 1)]),
    )
    out = render(made, 65, 65, samples=4, seed=0)
    dark = np.where(out.segmentation == 1, out.rgb[..., 1].astype(int), 999)[:, 32]
    # The shadow lies 1 m from the middle, 65 / 4 pixels a metre.
    assert dark[0].argmin() == pytest.approx(32 - 16, abs=4)
    assert dark[1].argmin() == pytest.approx(32 + 16, abs=4)


def test_long_clips_are_rendered_in_stretches() -> None:
    """A clip with too many triangles for one stretch is the same as its halves, where they overlap."""
    vertices, faces = grid(160)
    frames = 48
    wave = [(vertices + 0.1 * np.sin(4 * vertices[:, :1] + t) * (0, 0, 1)).astype(np.float32) for t in range(frames)]
    surface = Surface(vertices=wave, faces=[faces] * frames, smooth=False)
    sun = Sun(direction=[(0.1 * t, -1, 1) for t in range(frames)])
    looks = [Material(texture="checker")]
    made = scene((surface, pose((0, 0, 2), (1, 0, 0), 0.5)), frames=frames, size=12, materials=looks, sun=sun)
    assert [*stretches(made)] == [(0, 40), (40, 48)]
    whole = render(made, 12, 12, samples=2, seed=0)
    points = np.broadcast_to(np.random.default_rng(0).normal((0, 0, 2), 0.3, (20, 3)), (frames, 20, 3))
    seen = visibility(made, points, 12, 12)
    for start, stop in ((36, 40), (39, 42)):
        half = part(made, start, stop)
        alone = render(half, 12, 12, samples=2, seed=0)
        for key in ("rgb", "depth", "segmentation"):
            assert np.array_equal(getattr(alone, key), getattr(whole, key)[start:stop]), key
        assert np.array_equal(alone.motion, whole.motion[start : stop - 1])
        assert np.array_equal(alone.motion_valid, whole.motion_valid[start : stop - 1])
        assert np.array_equal(visibility(half, points[start:stop], 12, 12), seen[start:stop])


def test_wrong_surfaces_are_refused() -> None:
    vertices, faces = grid(2)
    with pytest.raises(ConfigurationError, match="moved"):
        Surface(vertices=[vertices, vertices[:4]], faces=[faces, faces[:0]])
    surface = Surface(vertices=[vertices], faces=[faces])
    with pytest.raises(ConfigurationError, match="surface of 1 frames"):
        scene((surface, pose()), frames=2)
    made = scene((surface, pose()))
    with pytest.raises(ConfigurationError, match="directions of the sun"):
        replace(made, sun=Sun(direction=[(0, 0, 1)] * 3))
