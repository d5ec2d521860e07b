"""Signed distance field to a smooth, closed triangle mesh: surface nets, then vertices pulled onto the surface.

Surface nets put one vertex in every cell that the surface crosses and one quad across every crossed edge of the grid
(Gibson, Constrained Elastic Surface Nets, 1998). Newton's method on the field then moves each vertex onto the zero set.
"""

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.assets.fields import Array, Field
from phys4d_kedro.simulation.description import Vector
from phys4d_kedro.simulation.rendering.scene import Mesh

CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
CELL_EDGES = np.array([(a, b) for a in range(8) for b in range(a, 8) if np.abs(CORNERS[a] - CORNERS[b]).sum() == 1])
NEWTON_STEPS = 3


def mesh_of_field(field: Field, lower: Vector, upper: Vector, cells: int) -> Mesh:
    """The zero set of `field` in the box from `lower` to `upper`, with `cells` cells on its longest side.

    Every edge is shared by two faces, which run along it in opposite directions; faces are counter-clockwise seen from
    outside, and normals are the field's. Features thinner than two cells may be lost or fused.

    Raises:
        ConfigurationError: the surface is not wholly inside the box.
    """
    size = np.subtract(upper, lower)
    cell = float(size.max()) / cells
    shape = np.ceil(size / cell).astype(int) + 1
    origin = np.asarray(lower, dtype=np.float64)
    grid = origin + cell * np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    values = field(grid)
    edge = np.ones(shape, dtype=bool)
    edge[1:-1, 1:-1, 1:-1] = False
    if (values[edge] <= 0).any() or not (values < 0).any():
        raise ConfigurationError(
            f"asset: the field's surface must lie between {lower} and {upper}, and be there at all"
        )
    _fill_checkerboards(values)
    cell_vertex, vertices = _cell_vertices(values)
    vertices, normals = _pull_onto_surface(field, origin + cell * vertices, cell)
    return Mesh(
        vertices=vertices.astype(np.float32),
        faces=_triangles(_quads(values < 0, cell_vertex), vertices),
        normals=normals.astype(np.float32),
    )


def volume_and_centroid(mesh: Mesh) -> tuple[float, NDArray[np.float64]]:
    """Volume (m^3) and its centre (3,) by the divergence theorem; positive if faces look outwards."""
    a, b, c = np.moveaxis(mesh.vertices.astype(np.float64)[mesh.faces], 1, 0)
    cones = np.einsum("fi,fi->f", a, np.cross(b, c)) / 6.0
    volume = float(cones.sum())
    return volume, np.einsum("f,fi->i", cones, a + b + c) / (4.0 * volume)


def _fill_checkerboards(values: Array) -> None:
    """Put all four corners of a grid face inside where only two opposite ones are: there the surface would touch itself
    along an edge of four faces. Only fills, so it ends."""
    planes = [(np.s_[:-1], np.s_[1:], axes) for axes in ((0, 1), (0, 2), (1, 2))]
    again = True
    while again:
        again = False
        for low, high, (i, j) in planes:
            views = []
            for first, second in ((low, low), (high, high), (low, high), (high, low)):
                index: list[slice] = [np.s_[:]] * 3
                index[i], index[j] = first, second
                views.append(values[tuple(index)])
            a, b, c, d = (view < 0 for view in views)
            checkered = (a == b) & (c == d) & (a != c)
            for view in views if checkered.any() else ():
                view[checkered & (view >= 0)] = -1e-12
                again = True


def _cell_vertices(values: Array) -> tuple[NDArray[np.int64], Array]:
    """The number of the vertex of each cell (X-1, Y-1, Z-1), -1 for none, and the vertices (V, 3) in cells: the mean of
    where the surface crosses the cell's edges."""
    x, y, z = values.shape
    corners = np.stack([values[i : i + x - 1, j : j + y - 1, k : k + z - 1] for i, j, k in CORNERS], axis=-1)
    inside = corners < 0
    crossed = inside.any(axis=-1) & ~inside.all(axis=-1)
    number = np.full(crossed.shape, -1)
    number[crossed] = np.arange(crossed.sum())
    start, end = corners[crossed][:, CELL_EDGES[:, 0]], corners[crossed][:, CELL_EDGES[:, 1]]
    crossing = (start < 0) != (end < 0)
    # Away from the corners, where the vertices of several cells would meet.
    along = np.clip(start / np.where(crossing, start - end, 1.0), 0.1, 0.9)
    ends = CORNERS[CELL_EDGES]
    points = ends[:, 0] + along[..., None] * (ends[:, 1] - ends[:, 0])
    mean = (crossing[..., None] * points).sum(axis=1) / crossing.sum(axis=1)[:, None]
    return number, np.argwhere(crossed) + mean


def _pull_onto_surface(field: Field, vertices: Array, cell: float) -> tuple[Array, Array]:
    """Newton steps along the gradient, none longer than a cell's half: vertices (V, 3) and unit normals (V, 3)."""
    for _ in range(NEWTON_STEPS):
        gradient = _gradient(field, vertices, 1e-3 * cell)
        steps = -field(vertices)[:, None] * gradient / np.maximum((gradient**2).sum(axis=-1), 1e-3)[:, None]
        length = np.linalg.norm(steps, axis=-1, keepdims=True)
        vertices = vertices + steps * np.minimum(1.0, 0.5 * cell / np.maximum(length, 1e-12))
    gradient = _gradient(field, vertices, 0.05 * cell)
    return vertices, gradient / np.linalg.norm(gradient, axis=-1, keepdims=True)


def _gradient(field: Field, points: Array, step: float) -> Array:
    """(V, 3) by central differences."""
    offsets = step * np.concatenate((np.eye(3), -np.eye(3)))
    values = field(points[:, None] + offsets)
    return (values[:, :3] - values[:, 3:]) / (2.0 * step)


def _quads(inside: NDArray[np.bool_], cell_vertex: NDArray[np.int64]) -> NDArray[np.int64]:
    """(Q, 4): the vertices of the four cells around every crossed grid edge, counter-clockwise from outside."""
    quads = []
    for axis in range(3):
        before, after = np.moveaxis(inside, axis, 0)[:-1], np.moveaxis(inside, axis, 0)[1:]
        for leaving in (True, False):
            mask = before & ~after if leaving else ~before & after
            here = np.argwhere(mask).T
            at = np.insert(here[1:], axis, here[0], axis=0)  # back to the order x, y, z
            first, second = [np.eye(3, dtype=int)[(axis + k) % 3][:, None] for k in (1, 2)]
            around = [at, at - first, at - first - second, at - second]
            corners = [cell_vertex[tuple(cells)] for cells in (around if leaving else around[::-1])]
            quads.append(np.stack(corners, axis=-1))
    return np.concatenate(quads)


def _triangles(quads: NDArray[np.int64], vertices: Array) -> NDArray[np.int32]:
    """Two triangles a quad (2 Q, 3), split along the shorter diagonal."""
    a, b, c, d = np.moveaxis(vertices[quads], 1, 0)
    first = (((a - c) ** 2).sum(axis=-1) <= ((b - d) ** 2).sum(axis=-1))[:, None, None]
    triangles = np.where(first, quads[:, [[0, 1, 2], [0, 2, 3]]], quads[:, [[1, 2, 3], [1, 3, 0]]])
    return triangles.reshape(-1, 3).astype(np.int32)
