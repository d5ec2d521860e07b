"""What an asset is, and how one is put together and kept."""

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.simulation.assets.meshing import volume_and_centroid
from phys4d_kedro.simulation.description import Part, Vector
from phys4d_kedro.simulation.rendering.scene import Box, Cylinder, Mesh, Sphere

P = ParamSpec("P")
R = TypeVar("R")
KEPT = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Asset:
    """A shape to be seen, with the simpler ones that collide in its place.

    The origin of both is the centre of the mesh's volume; the mesh stands on z = -`height` (metres), so a thing made
    of it stands on the ground when its position has z = `height`; the colliders do so to within 3 % of the extent in z.
    `filling` is the sum of the colliders' volumes over the mesh's volume. Colliders overlap, so it may exceed 1: a
    solver that gives each of them the density of the substance divided by it has the mass of the mesh.
    """

    mesh: Mesh
    colliders: Sequence[Part]
    height: float
    filling: float


def kept(build: Callable[P, R]) -> Callable[P, R]:
    """Cache the last results of a function of lengths, which are first rounded to a tenth of a millimetre."""
    cached = functools.lru_cache(maxsize=KEPT)(build)
    signature = inspect.signature(build)

    @functools.wraps(build)
    def rounded(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return cached(*(round(value, 4) if isinstance(value, float) else value for value in bound.args))

    return rounded


def asset(mesh: Mesh, colliders: Sequence[Part], scale: float = 1.0) -> Asset:
    """Move both to the mesh's centre of volume, then scale them."""
    volume, centre = volume_and_centroid(mesh)
    vertices = (scale * (mesh.vertices - centre)).astype(np.float32)
    return Asset(
        mesh=replace(mesh, vertices=vertices),
        colliders=tuple(_moved(part, centre, scale) for part in colliders),
        height=-float(vertices[:, 2].min()),
        filling=sum(_volume(part) for part in colliders) / volume,
    )


def scaled(made: Asset, length: float, axis: int = 0) -> Asset:
    """The asset with an extent of `length` metres along `axis`."""
    return asset(made.mesh, made.colliders, length / float(np.ptp(made.mesh.vertices[:, axis])))


def ball(position: Vector, radius: float) -> Part:
    """A collider."""
    return Part(shape=Sphere(radius=radius), position=position)


def block(position: Vector, half_extents: Vector, rotation: Vector = (0.0, 0.0, 0.0)) -> Part:
    """A collider."""
    return Part(shape=Box(half_extents=half_extents), position=position, rotation=rotation)


def disc(low: float, high: float, radius: float) -> Part:
    """A collider: an upright cylinder about the z axis, from one height to another."""
    return Part(shape=Cylinder(radius=radius, half_height=(high - low) / 2), position=(0.0, 0.0, (low + high) / 2))


def rod(start: Vector, end: Vector, radius: float) -> Part:
    """A collider: a cylinder from one point to another."""
    axis = np.subtract(end, start)
    length = float(np.linalg.norm(axis))
    tilt = float(np.degrees(np.arccos(np.clip(axis[2] / length, -1.0, 1.0))))
    turn = float(np.degrees(np.arctan2(axis[1], axis[0])))
    x, y, z = (float(value) for value in np.add(start, end) / 2)
    return Part(shape=Cylinder(radius=radius, half_height=length / 2), position=(x, y, z), rotation=(0.0, tilt, turn))


def _volume(part: Part) -> float:
    match part.shape:
        case Sphere(radius=radius):
            return 4.0 / 3.0 * math.pi * radius**3
        case Box(half_extents=(x, y, z)):
            return 8.0 * x * y * z
        case Cylinder(radius=radius, half_height=half_height):
            return 2.0 * math.pi * radius**2 * half_height
    raise TypeError(f"{type(part.shape).__name__} is no collider of an asset")


def _moved(part: Part, centre: NDArray[np.float64], scale: float) -> Part:
    shape = part.shape
    match shape:
        case Sphere(radius=radius):
            shape = Sphere(radius=scale * radius)
        case Box(half_extents=(x, y, z)):
            shape = Box(half_extents=(scale * x, scale * y, scale * z))
        case Cylinder(radius=radius, half_height=half_height):
            shape = Cylinder(radius=scale * radius, half_height=scale * half_height)
    x, y, z = (float(value) for value in scale * (np.asarray(part.position) - centre))
    return replace(part, shape=shape, position=(x, y, z))
