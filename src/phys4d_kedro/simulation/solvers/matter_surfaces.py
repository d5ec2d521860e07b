"""Particles as surfaces for the renderer: a liquid's smooth skin, found anew in every frame, and grains as pebbles."""

from collections.abc import Sequence

import numpy as np
import warp as wp
import warp.geometry
from numpy.typing import NDArray

from phys4d_kedro.simulation.rendering.scene import Surface
from phys4d_kedro.simulation.solvers import matter_skin as skin

# In units of the distance between particles: cells of the skin's grid, reach of a particle, its radius. The radius is
# the one with which the skin of a settled liquid holds the volume of its particles.
_CELL = 1.0
_REACH = 2.0
_RADIUS = 0.75
_SLACK_CELLS = 1.5
# Where grains are that are not there (metres).
_AWAY = (0.0, 0.0, -1000.0)

_OCTAHEDRON = np.array([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)], dtype=np.float64)
_OCTAHEDRON_FACES = np.array(
    [(0, 2, 4), (2, 1, 4), (1, 3, 4), (3, 0, 4), (2, 0, 5), (1, 2, 5), (3, 1, 5), (0, 3, 5)], dtype=np.int32
)


def liquid_surface(
    positions: Sequence[NDArray[np.float32]], active: Sequence[NDArray[np.bool_]], *, distance: float
) -> Surface:
    """The skin around particles that are `distance` metres apart (half the spacing of their simulation's grid).

    `positions` (N, 3) and `active` (N,), one entry a frame, the same particle at the same place in every frame. The
    surface is that of Zhu and Bridson 2005 (Animating Sand as a Fluid, section 5), smoothed once, by marching cubes:
    closed, and empty in a frame without particles. `moved` carries each vertex with the mean motion of the particles
    around it; one without any that lives on stays.
    """
    vertices, faces, moved = [], [], []
    for t, (points, here) in enumerate(zip(positions, active, strict=True)):
        follows = t + 1 < len(positions)
        both = here & active[t + 1] if follows else np.zeros_like(here)
        motion = np.where(both[:, None], positions[t + 1] - points, 0) if follows else np.zeros_like(points)
        found = _skin(points[here], motion[here], both[here], distance)
        vertices.append(found[0])
        faces.append(found[1])
        if follows:
            moved.append(found[0] + found[2])
    return Surface(vertices=vertices, faces=faces, moved=moved, slack=_SLACK_CELLS * _CELL * distance)


def _skin(
    points: NDArray[np.float32], motion: NDArray[np.float32], both: NDArray[np.bool_], distance: float
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
    """Vertices, faces and the motion of the vertices."""
    if len(points) == 0:
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32), np.zeros((0, 3), np.float32)
    cell, reach = _CELL * distance, _REACH * distance
    # On whole cells of the world, so that a liquid at rest keeps its skin.
    first = np.floor((points.min(axis=0) - reach) / cell).astype(int) - 2
    shape = tuple(np.ceil((points.max(axis=0) + reach) / cell).astype(int) + 3 - first)
    lower = wp.vec3(*(first * cell).tolist())
    with wp.ScopedDevice("cpu"):
        centres = wp.zeros(shape, dtype=wp.vec4)
        motions = wp.zeros(shape, dtype=wp.vec4)
        carried = np.concatenate([motion, both[:, None]], axis=1)
        particles = [wp.array(points, dtype=wp.vec3), wp.array(carried, dtype=wp.vec4)]
        wp.launch(skin.spread, len(points), inputs=[*particles, lower, cell, reach], outputs=[centres, motions])
        rough, smooth = wp.empty(shape, dtype=float), wp.empty(shape, dtype=float)
        wp.launch(skin.measure, shape, inputs=[centres, _RADIUS * distance, reach], outputs=[rough])
        wp.launch(skin.blur, shape, inputs=[rough], outputs=[smooth])
        upper = wp.vec3(*((first + np.array(shape) - 1) * cell).tolist())
        vertices, corners = warp.geometry.IsoSurfaceMarchingCubes.extract(smooth, 0.0, lower=lower, upper=upper)
        moves = wp.empty(vertices.shape, dtype=wp.vec3)
        wp.launch(skin.carry, vertices.shape, inputs=[vertices, motions, lower, cell], outputs=[moves])
        return vertices.numpy(), corners.numpy().reshape(-1, 3), moves.numpy()


def grain_surface(
    positions: Sequence[NDArray[np.float32]], active: Sequence[NDArray[np.bool_]], *, radius: float, seed: int
) -> Surface:
    """A pebble of eight faces around every particle, of random size (0.7 to 1.3 `radius` along each axis) and turn.

    `positions` (N, 3) and `active` (N,), one entry a frame. Grains do not turn; what is not active shrinks to a point
    far below the ground. `rest` is where each grain is when it first is there.
    """
    count = positions[0].shape[0]
    rng = np.random.default_rng(seed)
    sizes = rng.uniform(0.7, 1.3, (count, 1, 3)) * radius
    corners = (_OCTAHEDRON * sizes) @ _rotations(rng.normal(size=(count, 4)))
    faces = (_OCTAHEDRON_FACES + 6 * np.arange(count)[:, None, None]).reshape(-1, 3).astype(np.int32)
    vertices = []
    for points, here in zip(positions, active, strict=True):
        placed = np.where(here[:, None, None], points[:, None].astype(np.float64) + corners, _AWAY)
        vertices.append(placed.reshape(-1, 3).astype(np.float32))
    first = np.argmax(np.stack(active), axis=0)
    rest = np.stack(positions)[first, np.arange(count)][:, None] + corners
    return Surface(
        vertices=vertices,
        faces=[faces] * len(vertices),
        smooth=False,
        rest=rest.reshape(-1, 3).astype(np.float32),
    )


def _rotations(quaternions: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 3, 3) of quaternions (N, 4) of any length: normal deviates give every turn the same chance."""
    w, x, y, z = (quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.array(rows).transpose(2, 0, 1)
