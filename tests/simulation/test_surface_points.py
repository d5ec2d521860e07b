"""Points followed on surfaces that deform, against closed forms."""

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.simulation.rendering.scene import Surface
from phys4d_kedro.simulation.surface_points import follow, locate


def sheet(cells: int, stretch: float, lift: float, shift: float = 0.0) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """A square sheet on [-1, 1]^2, stretched along x and tilted; its grid is moved by `shift` along x."""
    u, v = np.meshgrid(np.linspace(-1, 1, cells + 1) + shift, np.linspace(-1, 1, cells + 1), indexing="ij")
    vertices = np.stack([stretch * u, v, lift * u], -1).reshape(-1, 3).astype(np.float32)
    i, j = np.meshgrid(np.arange(cells), np.arange(cells), indexing="ij")
    a = (i * (cells + 1) + j).ravel()
    b, c, d = a + cells + 1, a + cells + 2, a + 1
    faces = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)]).astype(np.int32)
    return vertices, faces


def test_points_of_a_stretching_sheet() -> None:
    """A linear map takes every point along, not the vertices alone."""
    frames = [sheet(7, 1 + 0.2 * t, 0.1 * t) for t in range(5)]
    surface = Surface(vertices=[v for v, _ in frames], faces=[frames[0][1]] * 5)
    points = np.random.default_rng(0).uniform(-0.9, 0.9, (40, 3)) * [1, 1, 0]
    ways = follow(surface, points)
    for t in range(5):
        expected = np.stack([(1 + 0.2 * t) * points[:, 0], points[:, 1], 0.1 * t * points[:, 0]], -1)
        np.testing.assert_allclose(ways[t], expected, atol=1e-6)


def test_points_of_a_surface_found_anew() -> None:
    """Other triangles in every frame, and another number of them: `moved` carries the points."""
    cells = (6, 9, 5, 8)
    frames = [sheet(n, 1.0, 0.0, shift=0.02 * k) for k, n in enumerate(cells)]
    moved = [v + np.float32([0, 0.05, 0]) for v, _ in frames[:-1]]
    surface = Surface(vertices=[v for v, _ in frames], faces=[f for _, f in frames], moved=moved, slack=0.1)
    points = np.random.default_rng(1).uniform(-0.7, 0.7, (30, 3)) * [1, 1, 0]
    ways = follow(surface, points)
    for t in range(4):
        np.testing.assert_allclose(ways[t], points + np.array([0, 0.05 * t, 0]), atol=1e-6)


def test_a_surface_that_is_gone_leaves_points_where_they_were() -> None:
    vertices, faces = sheet(3, 1.0, 0.0)
    none = np.zeros((0, 3), np.float32)
    surface = Surface(
        vertices=[vertices, none, vertices], faces=[faces, np.zeros((0, 3), np.int32), faces], moved=[vertices, none]
    )
    points = np.array([[0.1, 0.2, 0.0]])
    np.testing.assert_allclose(follow(surface, points), np.broadcast_to(points, (3, 1, 3)), atol=1e-6)


def test_the_nearest_triangle() -> None:
    vertices, faces = sheet(4, 1.0, 0.0)
    surface = Surface(vertices=[vertices], faces=[faces])
    points = np.array([[0.3, -0.2, 0.05], [5.0, 0.0, 0.0]])
    face, weights = locate(surface, 0, points)
    foot = (vertices[faces[face]] * weights[..., None]).sum(1)
    np.testing.assert_allclose(foot[0], (0.3, -0.2, 0), atol=1e-6)
    assert foot[1, 0] > 0.99  # the border nearest to a point far outside
    np.testing.assert_allclose(weights.sum(1), 1)
    assert (weights >= 0).all()
