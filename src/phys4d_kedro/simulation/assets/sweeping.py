"""Closed meshes made directly, where walls are too thin for a grid: lathes, tubes, open boxes; and their colliders.

A profile is (P, 2): pairs of radius and height in metres.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phys4d_kedro.simulation.assets.fields import Array
from phys4d_kedro.simulation.description import Part, Vector
from phys4d_kedro.simulation.rendering.scene import Box, Mesh


def filleted(corners: Sequence[tuple[float, float, float]], steps: int = 4) -> NDArray[np.float64]:
    """A profile (P, 2) from (radius, height, fillet): each corner becomes an arc of `steps` chords, tangent to both of
    its edges. A fillet of 0 keeps the corner; the first and the last are ends. Fillets must leave each other room."""
    points = np.array([corner[:2] for corner in corners])
    profile = [points[0]]
    for k in range(1, len(points) - 1):
        back, ahead = points[k - 1] - points[k], points[k + 1] - points[k]
        back, ahead = back / np.linalg.norm(back), ahead / np.linalg.norm(ahead)
        half_angle = 0.5 * math.acos(np.clip(back @ ahead, -1.0, 1.0))
        fillet = corners[k][2]
        if fillet == 0 or half_angle > 0.4999 * math.pi:
            profile.append(points[k])
            continue
        middle = (back + ahead) / np.linalg.norm(back + ahead)
        centre = points[k] + middle * fillet / math.sin(half_angle)
        start, end = (points[k] + side * fillet / math.tan(half_angle) - centre for side in (back, ahead))
        turn = math.pi - 2.0 * half_angle
        for t in np.linspace(0.0, 1.0, steps + 1):
            weights = np.sin((1 - t) * turn), np.sin(t * turn)
            profile.append(centre + (weights[0] * start + weights[1] * end) / math.sin(turn))
    return np.array([*profile, points[-1]])


def lathe(profile: ArrayLike, sides: int = 48) -> Mesh:
    """A surface of revolution about the z axis.

    The profile runs from the axis to the axis with the inside on its left: up the outside of a solid thing. Points
    on the axis become one vertex each. Smoothly shaded, so corners should be filleted.
    """
    points = np.asarray(profile, dtype=np.float64)
    ring = points[1:-1]
    angles = 2.0 * np.pi * np.arange(sides) / sides
    around = np.stack((np.cos(angles), np.sin(angles)), axis=-1)
    normals = _profile_normals(points)
    number = np.arange(len(ring) * sides).reshape(len(ring), sides)
    bottom, top = number.size, number.size + 1
    quads = _grid_triangles(number)
    caps = [(bottom, following, here) for here, following in zip(number[0], np.roll(number[0], -1), strict=True)]
    caps += [(top, here, following) for here, following in zip(number[-1], np.roll(number[-1], -1), strict=True)]
    return Mesh(
        vertices=_turned(ring, around, points[[0, -1]]),
        faces=np.concatenate((quads, np.array(caps, dtype=np.int32))),
        normals=_turned(normals[1:-1], around, np.sign(normals[[0, -1]]) * (0.0, 1.0)),
    )


def swept(points: ArrayLike, radii: ArrayLike, binormal: Vector, *, closed: bool = False, sides: int = 10) -> Mesh:
    """A round tube along the curve `points` (P, 3), which should lie in a plane across `binormal`.

    `radii` (P,) or one for all; `closed` joins the ends, else they are flat. Normals ignore how the radius changes.
    """
    path = np.asarray(points, dtype=np.float64)
    ends = np.roll(path, -1, axis=0) - np.roll(path, 1, axis=0)
    if not closed:
        ends[0], ends[-1] = path[1] - path[0], path[-1] - path[-2]
    tangent = ends / np.linalg.norm(ends, axis=-1, keepdims=True)
    across = np.cross(np.asarray(binormal), tangent)
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    third = np.cross(tangent, across)
    angles = 2.0 * np.pi * np.arange(sides) / sides
    normals = np.cos(angles)[:, None] * across[:, None] + np.sin(angles)[:, None] * third[:, None]
    vertices = path[:, None] + np.broadcast_to(np.asarray(radii), len(path))[:, None, None] * normals
    number = np.arange(len(path) * sides).reshape(len(path), sides)
    if closed:
        faces = _grid_triangles(np.concatenate((number, number[:1])))
        return _mesh(vertices.reshape(-1, 3), faces, normals.reshape(-1, 3))
    start, end = number.size, number.size + 1
    caps = [(start, following, here) for here, following in zip(number[0], np.roll(number[0], -1), strict=True)]
    caps += [(end, here, following) for here, following in zip(number[-1], np.roll(number[-1], -1), strict=True)]
    return _mesh(
        np.concatenate((vertices.reshape(-1, 3), path[[0, -1]])),
        np.concatenate((_grid_triangles(number), np.array(caps, dtype=np.int32))),
        np.concatenate((normals.reshape(-1, 3), tangent[[0, -1]] * [[-1.0], [1.0]])),
    )


def open_box(inner: Vector, wall: float) -> Mesh:
    """A box without a lid around a cavity of size `inner`, whose floor lies at z = 0; walls and floor `wall` thick."""
    x, y, z = inner[0] / 2, inner[1] / 2, inner[2]
    loops = [(x + wall, y + wall, -wall), (x + wall, y + wall, z), (x, y, z), (x, y, 0.0)]
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    vertices = np.array([(sx * a, sy * b, c) for a, b, c in loops for sx, sy in signs])
    ends = np.array([(0, 2, 1), (0, 3, 2), (12, 13, 14), (12, 14, 15)], dtype=np.int32)
    faces = np.concatenate((_grid_triangles(np.arange(16).reshape(4, 4)), ends))
    return Mesh(vertices=vertices.astype(np.float32), faces=faces)


def cushion(length: float, width: float, thickness: float, cells: int = 40) -> Mesh:
    """Two sheets sewn together along a rectangle (x, y), whose sides are drawn in by a tenth of their depth, and blown
    up to `thickness`."""
    grid = np.sin(np.linspace(-0.5 * np.pi, 0.5 * np.pi, cells + 1))
    u, v = (axis.ravel() for axis in np.meshgrid(grid, grid, indexing="ij"))
    plan = 0.5 * np.stack((length * u * (0.9 + 0.1 * v**2), width * v * (0.9 + 0.1 * u**2)), axis=-1)
    height = 0.5 * thickness * ((1.0 - u**2) * (1.0 - v**2)) ** 0.45
    inner = np.flatnonzero((np.abs(u) < 1.0) & (np.abs(v) < 1.0))
    below = np.arange(len(u))
    below[inner] = len(u) + np.arange(len(inner))
    rows = np.arange(len(u)).reshape(cells + 1, cells + 1)
    a, b, c, d = (part.ravel() for part in (rows[:-1, :-1], rows[1:, :-1], rows[1:, 1:], rows[:-1, 1:]))
    # Diagonals run away from the middle: at the four corners one face of the rim alone would belong to both sheets.
    outwards = np.sign(u[a] + u[c]) == np.sign(v[a] + v[c])
    halves = np.where(outwards, (a, b, c, a, c, d), (b, c, d, b, d, a))
    top = halves.T.reshape(-1, 3)
    vertices = np.concatenate((np.insert(plan, 2, height, axis=-1), np.insert(plan[inner], 2, -height[inner], axis=-1)))
    return _with_normals(vertices, np.concatenate((top, below[top[:, ::-1]])))


def joined(*meshes: Mesh) -> Mesh:
    """One mesh of several with normals, which may overlap: fit for opaque things."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    normals = [mesh.normals for mesh in meshes if mesh.normals is not None]
    faces = [mesh.faces + start for mesh, start in zip(meshes, starts, strict=True)]
    return _mesh(np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(faces), np.concatenate(normals))


def funnel(profile: ArrayLike, thickness: float, sides: int) -> list[Part]:
    """Rings of boxes whose inner faces line a cavity of revolution: one ring for each edge of its `profile` (P, 2),
    which runs upwards. The corners of the cavity lie on the circles, so it is within the round one; the walls are at
    least `thickness` thick outwards and closed where the cavity is convex or its edges turn by at most 90 degrees.
    """
    points = np.asarray(profile, dtype=np.float64) * (math.cos(math.pi / sides), 1.0)
    edges = np.diff(points, axis=0)
    slopes = np.arctan2(edges[:, 1], edges[:, 0])
    # Where the cavity is convex the boxes would gape on the outside: they reach beyond their edges there.
    reach = np.concatenate(([0.0], thickness * np.tan(np.maximum(np.diff(slopes), 0.0) / 2), [0.0]))
    parts = []
    for k, (edge, slope) in enumerate(zip(edges, slopes, strict=True)):
        length = float(np.linalg.norm(edge))
        along, outward = edge / length, np.array((edge[1], -edge[0])) / length
        below, above = reach[k], reach[k + 1]
        centre = points[k] + along * (length + above - below) / 2 + outward * thickness / 2
        width = float(points[k : k + 2, 0].max() + thickness * outward[0]) * math.tan(math.pi / sides)
        shape = Box(half_extents=(thickness / 2, width, float(length + below + above) / 2))
        tilt = 90.0 - math.degrees(slope)
        for turn in 2.0 * np.pi * np.arange(sides) / sides:
            parts.append(
                Part(
                    shape=shape,
                    position=(float(centre[0] * math.cos(turn)), float(centre[0] * math.sin(turn)), float(centre[1])),
                    rotation=(0.0, tilt, math.degrees(turn)),
                )
            )
    return parts


def _profile_normals(points: Array) -> NDArray[np.float64]:
    """(P, 2) unit, to the right of the profile; longer edges weigh more, so that straight walls look straight."""
    right = np.diff(points, axis=0)[:, ::-1] * (1.0, -1.0)
    normals = np.concatenate((right[:1], right[:-1] + right[1:], right[-1:]))
    return normals / np.linalg.norm(normals, axis=-1, keepdims=True)


def _turned(ring: Array, around: Array, poles: Array) -> NDArray[np.float32]:
    """(P sides + 2, 3): points (P, 2) of a profile turned about the axis, then the two on it."""
    flat = ring[:, None, :1] * around
    heights = np.broadcast_to(ring[:, None, 1:], (*flat.shape[:2], 1))
    turned = np.concatenate((flat, heights), axis=-1).reshape(-1, 3)
    return np.concatenate((turned, np.insert(poles, 0, 0.0, axis=-1))).astype(np.float32)


def _with_normals(vertices: Array, faces: NDArray[np.int64]) -> Mesh:
    """Vertex normals are the sums of those of the faces around, by area."""
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    normals = np.zeros_like(vertices)
    np.add.at(normals, faces, np.cross(b - a, c - a)[:, None])
    return _mesh(vertices, faces, normals / np.linalg.norm(normals, axis=-1, keepdims=True))


def _grid_triangles(number: NDArray[np.int64]) -> NDArray[np.int32]:
    """Between the rows of vertex numbers (P, sides), whose last column meets the first; they look outwards where the
    rows go along an axis and the columns counter-clockwise about it."""
    here, beyond = number[:-1], number[1:]
    beside, across = np.roll(here, -1, axis=1), np.roll(beyond, -1, axis=1)
    triangles = np.stack((here, beside, across, here, across, beyond), axis=-1)
    return triangles.reshape(-1, 3).astype(np.int32)


def _mesh(vertices: Array, faces: NDArray[np.integer[Any]], normals: Array) -> Mesh:
    return Mesh(vertices=vertices.astype(np.float32), faces=faces.astype(np.int32), normals=normals.astype(np.float32))
