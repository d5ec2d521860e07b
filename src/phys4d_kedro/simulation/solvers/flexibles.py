"""Cloth and soft bodies: MuJoCo flexes made of our own lattices, the air on them, and the surfaces that are seen."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.simulation.description import Cloth, SoftBody
from phys4d_kedro.simulation.rendering.scene import Mesh, Surface
from phys4d_kedro.simulation.solvers.transforms import join, transform_of

TOUCHES = 2  # the bit by which rigid parts meet flexes; among themselves they meet in pairs of their own
_CLOTH_RADIUS = 0.006  # half the thickness with which cloth collides, metres
_SOFT_RADIUS = 0.004
_AIR = 1.2  # kg/m^3
_DRAG = 1.1  # of a flat plate across the wind

# A cell in six tetrahedra around the diagonal from its corner 0 to its corner 7; corner k has bits (x, y, z).
_TETRAHEDRA = np.array([[0, 4, 6, 7], [0, 6, 2, 7], [0, 2, 3, 7], [0, 3, 1, 7], [0, 1, 5, 7], [0, 5, 4, 7]])


def cloth_lattice(cloth: Cloth) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Vertices (V, 3) in the cloth's frame, row by row along y, and triangles (F, 3), diagonals alternating."""
    nx, ny = cloth.cells
    x = np.linspace(-0.5, 0.5, nx + 1) * cloth.size[0]
    y = np.linspace(-0.5, 0.5, ny + 1) * cloth.size[1]
    vertices = np.stack([*np.meshgrid(x, y, indexing="xy"), np.zeros((ny + 1, nx + 1))], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(nx), np.arange(ny), indexing="xy")
    a = j * (nx + 1) + i
    b, c, d = a + 1, a + nx + 1, a + nx + 2
    even = ((i + j) % 2 == 0)[..., None]
    first = np.where(even, np.stack([a, b, d], -1), np.stack([a, b, c], -1))
    second = np.where(even, np.stack([a, d, c], -1), np.stack([b, d, c], -1))
    return vertices, np.concatenate([first.reshape(-1, 3), second.reshape(-1, 3)]).astype(np.int32)


def soft_lattice(body: SoftBody) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Vertices (V, 3) in the body's frame and tetrahedra (E, 4) of positive volume; rounded, they fill an ellipsoid."""
    axes = [np.linspace(-1, 1, count + 1) for count in body.cells]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    if body.rounded:
        largest, length = np.abs(nodes).max(axis=1), np.linalg.norm(nodes, axis=1)
        nodes = nodes * (largest / np.maximum(length, 1e-12))[:, None]
    index = np.arange(len(nodes)).reshape([count + 1 for count in body.cells])
    corners = [
        index[bx : bx + body.cells[0], by : by + body.cells[1], bz : bz + body.cells[2]].ravel()
        for bx in (0, 1)
        for by in (0, 1)
        for bz in (0, 1)
    ]
    elements = np.stack(corners, -1)[:, _TETRAHEDRA].reshape(-1, 4)
    vertices = nodes * (np.asarray(body.size) / 2)
    flipped = _volumes(vertices, elements) < 0
    elements[flipped] = elements[flipped][:, [0, 2, 1, 3]]
    return vertices, elements.astype(np.int32)


def soft_volume(body: SoftBody) -> float:
    """Volume of a soft body at rest, m^3."""
    return float(_volumes(*soft_lattice(body)).sum())


def cloth_xml(index: int, cloth: Cloth) -> str:
    """A flex of inextensible edges. Cloth that is smoothly bent offers no resistance to bending."""
    vertices, faces = cloth_lattice(cloth)
    pins = [row * (cloth.cells[0] + 1) + column for column, row in cloth.pinned]
    pin = f'<pin id="{" ".join(map(str, pins))}"/>' if pins else ""
    mass = cloth.weight * cloth.size[0] * cloth.size[1]
    return (
        f'<flexcomp name="cloth{index}" type="direct" dim="2" radius="{_CLOTH_RADIUS}" mass="{mass}" '
        f'point="{join(_placed(vertices, cloth).ravel())}" element="{_ids(faces)}">'
        '<edge equality="true" solref="0.003 1" solimp="0.99 0.99 0.001"/>'
        f"{_contact(cloth.substance.friction)}{pin}</flexcomp>"
    )


def soft_xml(index: int, body: SoftBody) -> str:
    """A flex of elastic tetrahedra (St. Venant-Kirchhoff)."""
    vertices, elements = soft_lattice(body)
    mass = body.substance.density * float(_volumes(vertices, elements).sum())
    return (
        f'<flexcomp name="soft{index}" type="direct" dim="3" radius="{_SOFT_RADIUS}" mass="{mass}" '
        f'point="{join(_placed(vertices, body).ravel())}" element="{_ids(elements)}">'
        f'<elasticity young="{body.young}" poisson="{body.poisson}" damping="{body.damping}"/>'
        f"{_contact(body.substance.friction)}</flexcomp>"
    )


def cloth_surface(cloth: Cloth, vertices: NDArray[np.float64]) -> Surface:
    """What is seen of a cloth with `vertices` (T, V, 3)."""
    rest, faces = cloth_lattice(cloth)
    return Surface(
        vertices=list(vertices.astype(np.float32)), faces=[faces] * len(vertices), rest=rest.astype(np.float32)
    )


def soft_surface(body: SoftBody, vertices: NDArray[np.float64]) -> Surface:
    """What is seen of a soft body with lattice `vertices` (T, V, 3): its `mesh`, carried along by the tetrahedron that
    each of its vertices lies in, or else the lattice's own hull."""
    rest, elements = soft_lattice(body)
    if body.mesh is None:
        used, faces = np.unique(_hull(elements), return_inverse=True)
        return Surface(
            vertices=list(vertices[:, used].astype(np.float32)),
            faces=[faces.reshape(-1, 3).astype(np.int32)] * len(vertices),
            rest=rest[used].astype(np.float32),
            smooth=body.rounded,
        )
    cage, weights = _embed(body.mesh, rest, elements)
    moved = np.einsum("tvkj,vk->tvj", vertices[:, elements[cage]], weights)
    return Surface(
        vertices=list(moved.astype(np.float32)),
        faces=[body.mesh.faces] * len(vertices),
        rest=body.mesh.vertices.astype(np.float32),
    )


def force_of_air(
    cloth: Cloth, positions: NDArray[np.float64], velocities: NDArray[np.float64], time: float
) -> NDArray[np.float64]:
    """Force (V, 3), N, of the air on the vertices of a cloth: the drag of its triangles across the relative wind.

    `positions` (V, 3) m and `velocities` (V, 3) m/s of the vertices. Wind comes in gusts that travel with it.
    """
    faces = cloth_lattice(cloth)[1]
    a, b, c = positions[faces].swapaxes(0, 1)
    area = 0.5 * np.cross(b - a, c - a)  # along the normals
    velocity = velocities[faces].mean(axis=1)
    wind = np.asarray(cloth.wind)
    speed = float(np.linalg.norm(wind))
    gust = 1.0
    if speed > 0:
        along = positions[faces].mean(axis=1) @ (wind / speed)
        height = positions[faces].mean(axis=1)[:, 2]
        gust = (1 + 0.45 * np.sin(9 * (time - along / speed)) * np.cos(5 * time + 3 * height))[:, None]
        side = np.cross(wind, (0, 0, 1)) * 0.35 * np.sin(11 * (time - along / speed) + 2 * height)[:, None]
        wind = wind * gust + side
    relative = wind - velocity
    size = np.maximum(np.linalg.norm(area, axis=1, keepdims=True), 1e-12)
    across = (relative * area).sum(axis=1, keepdims=True) / size  # speed through the triangle
    force = 0.5 * _AIR * _DRAG * across * np.abs(across) * area
    total = np.zeros_like(positions)
    for corner in range(3):
        np.add.at(total, faces[:, corner], force / 3)
    return total


def _placed(vertices: NDArray[np.float64], owner: Cloth | SoftBody) -> NDArray[np.float64]:
    place = transform_of(owner.position, owner.rotation)
    return vertices @ place[:3, :3].T + place[:3, 3]


def _contact(friction: float) -> str:
    return (
        f'<contact contype="{TOUCHES}" conaffinity="0" selfcollide="none" friction="{friction} 0.005 0.0001" '
        'condim="3" solref="0.004 1" solimp="0.95 0.99 0.001"/>'
    )


def _ids(elements: NDArray[np.int32]) -> str:
    return " ".join(map(str, elements.ravel().tolist()))


def _volumes(vertices: NDArray[np.float64], elements: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    a, b, c, d = vertices[elements].swapaxes(0, 1)
    return (np.cross(b - a, c - a) * (d - a)).sum(axis=1) / 6


def _hull(elements: NDArray[np.int32]) -> NDArray[np.int32]:
    """Faces (F, 3) that belong to one tetrahedron only, outward."""
    sides = elements[:, [[1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]]].reshape(-1, 3)
    _, first, count = np.unique(np.sort(sides, axis=1), axis=0, return_index=True, return_counts=True)
    return sides[np.sort(first[count == 1])]


def _embed(
    mesh: Mesh, rest: NDArray[np.float64], elements: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each vertex of a mesh the tetrahedron it lies in, or nearly, (V,), and its barycentric weights (V, 4)."""
    corners = rest[elements]
    edges = (corners[:, :3] - corners[:, 3:]).swapaxes(1, 2)  # (E, 3, 3): columns from the last corner
    inverse = np.linalg.inv(edges)
    cage = np.empty(len(mesh.vertices), np.int64)
    weights = np.empty((len(mesh.vertices), 4))
    for block in _blocks(len(mesh.vertices), 512):
        offset = mesh.vertices[block].astype(float)[:, None] - corners[None, :, 3]
        three = np.einsum("eij,vej->vei", inverse, offset)
        four = np.concatenate([three, 1 - three.sum(-1, keepdims=True)], -1)
        cage[block] = four.min(-1).argmax(-1)
        weights[block] = np.take_along_axis(four, cage[block][:, None, None], 1)[:, 0]
    return cage, weights


def _blocks(count: int, size: int) -> Iterable[slice]:
    return (slice(start, start + size) for start in range(0, count, size))
