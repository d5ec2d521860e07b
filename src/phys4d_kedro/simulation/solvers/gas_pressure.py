"""Pressure of the gas: what keeps its volume, around obstacles.

The box has a floor and is open to air at rest pressure at its sides and top. Without obstacles the discrete Poisson
equation is solved exactly by sine and cosine transforms; with obstacles, whose cells take no part, by conjugate
gradients with that solution as the preconditioner (a fictitious domain: the number of steps does not grow with the
grid). Lengths are in cells.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from phys4d_kedro.simulation.rendering.scene import Box, Cylinder, Sphere

# Conjugate gradients end when the residual has fallen by this factor, or after so many steps.
_TOLERANCE = 1e-4
_MOST_STEPS = 40

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Obstacle:
    """A solid in the gas: its shape and its `poses` (T, 4, 4), world_from_shape, one a frame. It must be a few cells
    thick: a cell is solid where its centre is."""

    shape: Sphere | Box | Cylinder
    poses: NDArray[np.float64]

    def covers(self, points: NDArray[np.float64], frame: int) -> NDArray[np.bool_]:
        """Which points (..., 3) of the world lie in it."""
        pose = self.poses[frame]
        local = (points - pose[:3, 3]) @ pose[:3, :3]
        match self.shape:
            case Sphere(radius=radius):
                return np.asarray((local**2).sum(axis=-1) < radius**2)
            case Box(half_extents=half_extents):
                return np.asarray((np.abs(local) < half_extents).all(axis=-1))
            case Cylinder(radius=radius, half_height=half_height):
                across = (local[..., :2] ** 2).sum(axis=-1) < radius**2
                return np.asarray(across & (np.abs(local[..., 2]) < half_height))


@dataclass(frozen=True, kw_only=True, eq=False)
class Solids:
    """The cells of obstacles: `cells` (X, Y, Z) int32, 1 in them. Of the faces across each axis: `open_shares`, 0 where
    a cell at the face is solid, else 1, and `held`, the solid's velocity there (m/s)."""

    cells: NDArray[np.int32]
    open_shares: list[Floats]
    held: list[Floats]

    @property
    def present(self) -> bool:
        """Whether there are any."""
        return bool(self.cells.any())


def find_solids(obstacles: Sequence[Obstacle], *, centres: NDArray[np.float64], frame: int, fps: float) -> Solids:
    """Solids where the obstacles are in `frame`, moving as they have since the frame before.

    `centres` (X, Y, Z, 3) are those of the cells in the world.
    """
    cells = np.zeros(centres.shape[:3], bool)
    velocity = np.zeros(centres.shape)
    for obstacle in obstacles:
        inside = obstacle.covers(centres, frame)
        cells |= inside
        if frame:
            back = obstacle.poses[frame - 1] @ np.linalg.inv(obstacle.poses[frame])
            points = centres[inside]
            velocity[inside] = (points - points @ back[:3, :3].T - back[:3, 3]) * fps
    open_shares, held = [], []
    for axis in range(3):
        ends = [(int(a == axis), int(a == axis)) for a in range(3)]
        solid = np.pad(cells, ends).astype(np.float32)
        moving = np.pad(np.where(cells, velocity[..., axis], 0.0), ends)
        low = np.moveaxis(solid, axis, 0)[:-1] + np.moveaxis(solid, axis, 0)[1:]
        speed = np.moveaxis(moving, axis, 0)[:-1] + np.moveaxis(moving, axis, 0)[1:]
        open_shares.append(np.ascontiguousarray(np.moveaxis(low == 0, 0, axis), np.float32))
        held.append(np.ascontiguousarray(np.moveaxis(speed / np.maximum(low, 1), 0, axis), np.float32))
    return Solids(cells=cells.astype(np.int32), open_shares=open_shares, held=held)


class Pressure:
    """Finds the potential whose gradient, taken off the velocities, leaves no divergence."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        eigenvalues = np.zeros(shape)
        for axis, count in enumerate(shape):
            # The sides: 0 on both faces (sine transform); the floor: no gradient, the top 0 (quarter-wave cosine).
            number = np.arange(count) + (0.5 if axis == 2 else 1.0)
            values = (2 * np.sin(np.pi * number / (2 * count))) ** 2
            eigenvalues += values.reshape([-1 if a == axis else 1 for a in range(3)])
        self._inverse = (1 / eigenvalues).astype(np.float32)
        self._previous = np.zeros(shape, np.float32)

    def solve(self, outflow: Floats, solids: Solids) -> Floats:
        """The potential (X, Y, Z), Laplacian `outflow` (X, Y, Z), with no flow through the faces of solids."""
        if not solids.present:
            return self._solve_free(-outflow)
        free = solids.cells == 0
        # The last potential is near this one; values at cells that were solid do no harm as a start.
        potential = np.where(free, self._previous, np.float32(0))
        residual = -outflow - _negative_laplacian(potential, solids)
        goal = _TOLERANCE * _norm(outflow)
        direction, weight = np.zeros_like(potential), 1.0
        for _ in range(_MOST_STEPS):
            if _norm(residual) <= goal:
                break
            better = np.where(free, self._solve_free(residual), np.float32(0))
            new_weight = _dot(residual, better)
            direction = better + np.float32(new_weight / weight) * direction
            weight = new_weight
            image = _negative_laplacian(direction, solids)
            length = np.float32(weight / _dot(direction, image))
            potential += length * direction
            residual -= length * image
        self._previous = potential
        return potential

    def _solve_free(self, source: Floats) -> Floats:
        modes = fft.dct(fft.dstn(source, type=2, axes=(0, 1), norm="ortho"), type=4, axis=2, norm="ortho")
        modes *= self._inverse
        return np.asarray(fft.idstn(fft.idct(modes, type=4, axis=2, norm="ortho"), type=2, axes=(0, 1), norm="ortho"))


def _negative_laplacian(potential: Floats, solids: Solids) -> Floats:
    result = np.zeros_like(potential)
    for axis, open_share in enumerate(solids.open_shares):
        p, share = np.moveaxis(potential, axis, 0), np.moveaxis(open_share, axis, 0)
        end = 0.0 if axis == 2 else 2.0
        gradient = np.concatenate([end * p[:1], p[1:] - p[:-1], -2.0 * p[-1:]]) * share
        np.moveaxis(result, axis, 0)[...] -= gradient[1:] - gradient[:-1]
    return result


def _dot(a: Floats, b: Floats) -> float:
    return float((a * b).sum(dtype=np.float64))


def _norm(a: Floats) -> float:
    return _dot(a, a) ** 0.5
