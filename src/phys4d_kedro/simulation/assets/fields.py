"""Signed distance fields: negative inside, positive outside, in metres, for points (..., 3).

Distances are exact for sphere-like shapes and bounds for the rest, but the zero set is always exact. Sources: the
distances to an ellipsoid, a box and a torus and the polynomial smooth minimum are Inigo Quilez's
(https://iquilezles.org/articles/distfunctions, /smin).
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phys4d_kedro.simulation.description import Vector, rotation_matrix

Array = NDArray[np.floating[Any]]
Field = Callable[[Array], Array]


def ellipsoid(radii: Vector) -> Field:
    """Around the origin; the distance is right to first order near the surface, and exact for a sphere."""
    r = np.asarray(radii)

    def distance(points: Array) -> Array:
        k0 = _norm(points / r)
        k1 = _norm(points / r**2)
        # Both vanish at the centre, where the distance is about the least radius.
        return np.where(k1 > 1e-12, k0 * (k0 - 1.0) / np.maximum(k1, 1e-12), -r.min())

    return distance


def sphere(radius: float) -> Field:
    """Around the origin."""
    return lambda points: _norm(points) - radius


def capsule(start: Vector, end: Vector, radius: float) -> Field:
    """All points within `radius` of a segment."""
    return tapered_capsule(start, end, radius, radius)


def tapered_capsule(start: Vector, end: Vector, start_radius: float, end_radius: float) -> Field:
    """A capsule whose radius changes linearly along its axis; a bound of the distance where the radii differ."""
    a, axis = np.asarray(start), np.subtract(end, start)
    squared = float(axis @ axis)

    def distance(points: Array) -> Array:
        along = np.clip((points - a) @ axis / squared, 0.0, 1.0)
        return _norm(points - a - along[..., None] * axis) - start_radius - along * (end_radius - start_radius)

    return distance


def tube(points: Sequence[Vector], radii: Sequence[float]) -> Field:
    """Along a polyline, with a radius at each of its points."""
    pieces = zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True)
    return union(*(tapered_capsule(a, b, ra, rb) for a, b, ra, rb in pieces))


def rounded_box(half_extents: Vector, rounding: float) -> Field:
    """Around the origin; `rounding` is the radius of the edges, which lie inside the half extents."""
    half = np.asarray(half_extents) - rounding

    def distance(points: Array) -> Array:
        beyond = np.abs(points) - half
        return _norm(np.maximum(beyond, 0.0)) + np.minimum(beyond.max(axis=-1), 0.0) - rounding

    return distance


def torus(radius: float, tube_radius: float) -> Field:
    """Around the z axis."""

    def distance(points: Array) -> Array:
        return np.hypot(_norm(points[..., :2]) - radius, points[..., 2]) - tube_radius

    return distance


def revolution(profile: ArrayLike, rounding: float = 0.0) -> Field:
    """A surface of revolution about the z axis.

    `profile` (P, 2), pairs of radius and height, is a polyline from the axis to the axis, or a polygon if it touches it
    nowhere. `rounding` grows the shape by as much, which rounds its corners.
    """
    corners = np.asarray(profile, dtype=np.float64)
    edges = [(a, b) for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True) if a[0] > 0 or b[0] > 0]

    def distance(points: Array) -> Array:
        q = np.stack((_norm(points[..., :2]), points[..., 2]), axis=-1)
        nearest = np.full(q.shape[:-1], np.inf)
        inside = np.zeros(q.shape[:-1], dtype=bool)
        for a, b in edges:
            edge, offset = b - a, q - a
            along = np.clip(offset @ edge / (edge @ edge), 0.0, 1.0)
            nearest = np.minimum(nearest, ((offset - along[..., None] * edge) ** 2).sum(axis=-1))
            if a[1] != b[1]:  # A ray from the point away from the axis crosses the edge.
                beyond = (q[..., 0] < a[0] + offset[..., 1] * edge[0] / edge[1]) & (
                    (q[..., 1] < a[1]) != (q[..., 1] < b[1])
                )
                inside ^= beyond
        return np.where(inside, -1.0, 1.0) * np.sqrt(nearest) - rounding

    return distance


def union(*fields: Field) -> Field:
    """What is in any of them."""
    return lambda points: reduce(np.minimum, (field(points) for field in fields))


def smooth_union(*fields: Field, blend: float) -> Field:
    """Their union with a fillet about `blend` metres wide; the quadratic smooth minimum, taken in their order."""

    def smooth_minimum(a: Array, b: Array) -> Array:
        return np.minimum(a, b) - np.maximum(blend - np.abs(a - b), 0.0) ** 2 / (4.0 * blend)

    return lambda points: reduce(smooth_minimum, (field(points) for field in fields))


def difference(field: Field, *cut: Field, blend: float) -> Field:
    """What is in `field` but in none of `cut`, with edges rounded over about `blend` metres."""
    inside_out = smooth_union(lambda points: -field(points), *cut, blend=blend)
    return lambda points: -inside_out(points)


def placed(field: Field, position: Vector, rotation: Vector = (0.0, 0.0, 0.0)) -> Field:
    """The field moved to `position` (metres) after turns about x, then y, then z (degrees)."""
    turn = rotation_matrix(rotation)
    return lambda points: field((points - np.asarray(position)) @ turn)


def _norm(vectors: Array) -> Array:
    """Euclidean, of the last axis; much faster than numpy.linalg.norm on short vectors."""
    return np.sqrt(np.einsum("...i,...i->...", vectors, vectors))
