"""Shapes as the kernels want them: solids, meshes with their grids of distances, tables of vertices that move."""

from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from phys4d_kedro.simulation.rendering import kernels
from phys4d_kedro.simulation.rendering.scene import Box, Cylinder, Mesh, Plane, Shape, Sphere, Surface
from phys4d_kedro.simulation.rendering.shapes import BOX, CYLINDER, MESH, PLANE, SPHERE, Field

# Grid of distances to a mesh: points along its longest side, and room around it in metres.
_FIELD_POINTS = 16
_FIELD_ROOM = 0.1
# Of a mesh that may be convex.
_MOST_FACES_ASKED = 20_000


class Shapes:
    """Collects what the shapes of a scene need beside their solids; `meshes` must live as long as the world."""

    def __init__(self) -> None:
        self.meshes: list[wp.Mesh] = []
        self._known: dict[tuple[int, int, int, bool], tuple[int, Any]] = {}
        self._shifts = _Table((0, 3))
        self._rests = _Table((0, 3))
        self._shades = _Table((0,))

    def describe(self, solid: NDArray[Any], skin: NDArray[Any], shape: Shape) -> NDArray[np.floating[Any]]:
        """Fill in a body's `Solid` and `Skin` structures (T,); where its shape's origin lies: (3,) or (T, 3)."""
        solid["convex"] = 1
        match shape:
            case Plane():
                solid["kind"], solid["size"] = PLANE, (*shape.half_size, 0)
            case Sphere():
                solid["kind"], solid["size"] = SPHERE, shape.radius
            case Box():
                solid["kind"], solid["size"] = BOX, shape.half_extents
            case Cylinder():
                solid["kind"], solid["size"] = CYLINDER, (shape.radius, shape.radius, shape.half_height)
            case Mesh():
                solid["mesh"] = self._mesh(shape.vertices, shape.faces, normals=shape.normals)
                solid["smooth"] = shape.normals is not None
                solid["convex"] = _is_convex(shape)
                solid["kind"], solid["size"] = MESH, _half_extent(shape.vertices)
                return _middle(shape.vertices)
            case Surface():
                return self._describe_surface(solid, skin, shape)
        return np.zeros(3)

    def _describe_surface(self, solid: NDArray[Any], skin: NDArray[Any], surface: Surface) -> NDArray[np.float64]:
        T = len(solid)
        middles = np.zeros((T, 3))
        solid["convex"], solid["deforms"], solid["smooth"] = 0, 1, surface.smooth
        skin["slack"] = -1.0 if surface.moved is None else surface.slack
        solid["kind"] = SPHERE  # a point, where there are no triangles
        rest = surface.painted_at
        skin["rest"] = -1 if rest is None else self._rests.add(rest)
        skin["shades"] = -1
        for t, (vertices, faces) in enumerate(zip(surface.vertices, surface.faces, strict=True)):
            if len(faces) == 0:
                continue
            middles[t] = _middle(vertices)
            solid["kind"][t], solid["size"][t] = MESH, _half_extent(vertices)
            solid["mesh"][t] = self._mesh(vertices, faces, smooth=surface.smooth)
            if t + 1 < T:
                later = surface.vertices[t + 1] if surface.moved is None else surface.moved[t]
                skin["shifts"][t] = self._shifts.add(later.astype(np.float64) - vertices)
            if surface.shades is not None:
                skin["shades"][t] = self._shades.add(surface.shades[t])
        return middles

    def _mesh(
        self,
        vertices: NDArray[np.float32],
        faces: NDArray[np.int32],
        *,
        normals: NDArray[np.float32] | None = None,
        smooth: bool = False,
    ) -> int:
        """Id of a mesh on the device, made once for the same arrays. If `smooth`, its vertex normals are found."""
        key = (id(vertices), id(faces), id(normals), smooth)
        if key not in self._known:
            if smooth:
                normals = _vertex_normals(vertices, faces)
            mesh = wp.Mesh(
                points=wp.array(vertices - _middle(vertices), dtype=wp.vec3),
                indices=wp.array(faces.reshape(-1), dtype=int),
                # Warp interpolates a mesh's "velocities" over a triangle: here they are its vertex normals.
                velocities=None if normals is None else wp.array(normals, dtype=wp.vec3),
            )
            self.meshes.append(mesh)
            # The arrays are kept, so that no other gets their ids.
            self._known[key] = (int(mesh.id), (vertices, faces, normals))
        return self._known[key][0]

    def finish(self, world: Any, solids: NDArray[Any]) -> None:
        """Put the tables into the world, and where they lie into the solids (T, B)."""
        world.fields = _upload_fields(solids)
        world.shifts = wp.array(self._shifts.rows(), dtype=wp.vec3)
        world.rests = wp.array(self._rests.rows(), dtype=wp.vec3)
        world.shades = wp.array(self._shades.rows(), dtype=float)


class _Table:
    """Rows added in pieces."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._pieces: list[NDArray[np.float32]] = [np.zeros(shape, dtype=np.float32)]
        self._count = 0

    def add(self, piece: NDArray[np.floating[Any]]) -> int:
        """Where the piece starts."""
        start = self._count
        self._pieces.append(piece.astype(np.float32))
        self._count += len(piece)
        return start

    def rows(self) -> NDArray[np.float32]:
        return np.concatenate(self._pieces)


def _vertex_normals(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> NDArray[np.float32]:
    """Unit normals of the vertices (V, 3): the mean of those of the faces around each, weighted by their areas."""
    a, b, c = vertices[faces].swapaxes(0, 1)
    weighted = np.cross(b - a, c - a).astype(np.float64)
    corners = faces.T.reshape(-1)
    sums = [np.bincount(corners, np.tile(weighted[:, axis], 3), len(vertices)) for axis in range(3)]
    normals = np.stack(sums, axis=1)
    return (normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)).astype(np.float32)


def _half_extent(vertices: NDArray[np.float32]) -> NDArray[np.float32]:
    """Half the extent along the axes. A little room keeps a flat mesh inside the box around it."""
    return np.ptp(vertices, axis=0) / 2 + 1e-5


def _middle(vertices: NDArray[np.float32]) -> NDArray[np.float32]:
    return (vertices.min(axis=0) + vertices.max(axis=0)) / 2


def _is_convex(mesh: Mesh) -> bool:
    """Whether no vertex lies before the plane of any face. Most concave meshes fail within the first faces; one of very
    many triangles is not asked, as that takes their square: it is drawn right either way."""
    if len(mesh.faces) > _MOST_FACES_ASKED:
        return False
    tolerance = 1e-4 * np.ptp(mesh.vertices)
    for start in range(0, len(mesh.faces), 64):
        a, b, c = mesh.vertices[mesh.faces[start : start + 64]].swapaxes(0, 1)
        normal = np.cross(b - a, c - a)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        if (mesh.vertices @ normal.T - (a * normal).sum(axis=1)).max() > tolerance:
            return False
    return True


def _upload_fields(solids: NDArray[Any]) -> Any:
    """Fill in where the grid of distances of each mesh that keeps its form lies in one table, and make the table."""
    meshes = np.where((solids[0]["kind"] == MESH) & (solids[0]["deforms"] == 0), solids[0]["mesh"], 0)
    size = 0
    found: list[tuple[int, Any]] = []
    for mesh, first in zip(*np.unique(meshes, return_index=True), strict=True):
        if mesh:
            extent = 2 * solids[0, first]["size"].astype(float) + 2 * _FIELD_ROOM
            field: Any = Field()
            field.spacing = extent.max() / (_FIELD_POINTS - 1)
            count = np.ceil(extent / field.spacing).astype(int) + 1
            field.start, field.count = size, wp.vec3i(count)
            solids["field"][:, meshes == mesh] = (size, count, field.spacing)
            found.append((mesh, field))
            size += int(count.prod())
    table = wp.empty(size, dtype=float)
    for mesh, field in found:
        shape = (field.count[0], field.count[1], field.count[2])
        wp.launch(kernels.measure_field, shape, inputs=[wp.uint64(mesh), field], outputs=[table])
    return table
