"""Shapes that keep their form: exact ones, and triangles. Letters: V vertices, F triangles."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Plane:
    """Rectangle |x| <= half_size[0], |y| <= half_size[1] at z = 0 of the body frame; seen from both sides."""

    half_size: tuple[float, float] = (20.0, 20.0)

    def __post_init__(self) -> None:
        check_lengths("plane", half_size=self.half_size)


@dataclass(frozen=True, kw_only=True)
class Sphere:
    """Exact sphere around the body's origin."""

    radius: float

    def __post_init__(self) -> None:
        check_lengths("sphere", radius=(self.radius,))


@dataclass(frozen=True, kw_only=True)
class Box:
    """Exact box around the body's origin, edges along the body's axes; the same sizes as MuJoCo's."""

    half_extents: tuple[float, float, float]

    def __post_init__(self) -> None:
        check_lengths("box", half_extents=self.half_extents)


@dataclass(frozen=True, kw_only=True)
class Cylinder:
    """Exact capped cylinder around the body's origin, axis along the body's z; the same sizes as MuJoCo's."""

    radius: float
    half_height: float

    def __post_init__(self) -> None:
        check_lengths("cylinder", radius=(self.radius,), half_height=(self.half_height,))


@dataclass(frozen=True, kw_only=True, eq=False)
class Mesh:
    """Triangles in the body frame, for every shape that is not one of the above (basket, ramp, cone, torus).

    `vertices` (V, 3) float32, metres; `faces` (F, 3) int32, counter-clockwise seen from outside. With `normals` (V, 3),
    the unit vertex normals, the surface is shaded smoothly; without, each triangle is flat. Bodies that share one Mesh
    object share its acceleration structure.

    Raises:
        ConfigurationError: shapes, indices or values are wrong.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    normals: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if self.vertices.ndim != 2 or self.vertices.shape[1] != 3 or not np.isfinite(self.vertices).all():
            raise ConfigurationError(f"mesh: vertices {self.vertices.shape} must be finite, of shape (V, 3)")
        if self.faces.ndim != 2 or self.faces.shape[1] != 3 or len(self.faces) == 0:
            raise ConfigurationError(f"mesh: faces {self.faces.shape} must be of shape (F, 3), at least one")
        if self.faces.min() < 0 or self.faces.max() >= len(self.vertices):
            raise ConfigurationError(f"mesh: faces index outside the {len(self.vertices)} vertices")
        if self.normals is not None and self.normals.shape != self.vertices.shape:
            raise ConfigurationError(f"mesh: normals {self.normals.shape} must have the shape of vertices")


def check_lengths(what: str, **lengths: Sequence[float]) -> None:
    """Raise ConfigurationError unless all are positive and finite."""
    for name, values in lengths.items():
        if not all(np.isfinite(value) and value > 0 for value in values):
            raise ConfigurationError(f"{what}: {name} {tuple(values)} must be positive lengths in metres")
