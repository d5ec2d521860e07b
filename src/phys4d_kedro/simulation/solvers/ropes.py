"""Ropes and chains: links of capsules on ball joints, seen as a tube or as rings."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.simulation.description import Description, Rope
from phys4d_kedro.simulation.rendering.scene import Surface
from phys4d_kedro.simulation.solvers.transforms import join, place_xml, transform_of

_AROUND = 8  # vertices around a rope
_RING, _WIRE = 16, 8  # vertices around a link of a chain, and around its wire
_DAMPING = 2e-5  # N m s/rad a joint: a swinging rope comes to rest in some seconds


def link_points(rope: Rope) -> NDArray[np.float64]:
    """(N + 1, 3): the ends of the N links, along the rope's points in equal steps."""
    corners = np.asarray(rope.points, dtype=float)
    way = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))])
    count = max(2, round(way[-1] / rope.segment))
    at = np.linspace(0, way[-1], count + 1)
    return np.stack([np.interp(at, way, corners[:, axis]) for axis in range(3)], axis=1)


def segment_names(description: Description, index: int) -> list[str]:
    """Names of the bodies and geoms of a rope's links."""
    return [f"rope{index}.{k}" for k in range(len(link_points(description.ropes[index])) - 1)]


def body_xml(description: Description, index: int) -> str:
    """The links, each hanging on the one before; the first on the thing that the rope starts at, in its frame."""
    rope = description.ropes[index]
    points = link_points(rope)
    frames = _frames(points)
    parent = np.eye(4)
    free = "<freejoint/>"
    if rope.start is not None:
        free = ""
        if rope.start != "world":
            thing = description.things[description.index_of(rope.start)]
            parent = transform_of(thing.position, thing.rotation)
    xml = ""
    for k in reversed(range(len(frames))):
        before = frames[k - 1] if k else parent
        length = float(np.linalg.norm(points[k + 1] - points[k]))
        joint = free if k == 0 and rope.start is None else _joint_xml(rope, length)
        density = rope.substance.density
        geom = (
            f'<geom name="rope{index}.{k}" type="capsule" fromto="0 0 0 0 0 {length:.9g}" size="{rope.radius}" '
            f'density="{density}" contype="0" conaffinity="2"/>'
        )
        xml = f'<body name="rope{index}.{k}" {place_xml(np.linalg.inv(before) @ frames[k])}>{joint}{geom}{xml}</body>'
    return xml


def end_xml(description: Description, index: int) -> str:
    """The knot that holds a rope's far end."""
    rope = description.ropes[index]
    if rope.end is None:
        return ""
    points = link_points(rope)
    length = float(np.linalg.norm(points[-1] - points[-2]))
    other = "" if rope.end == "world" else f' body2="{description.index_of(rope.end)}"'
    return (
        f'<connect body1="rope{index}.{len(points) - 2}"{other} anchor="{join([0, 0, length])}" '
        'solref="0.002 1" solimp="0.99 0.99 0.001"/>'
    )


def rope_surface(rope: Rope, poses: NDArray[np.float64]) -> Surface:
    """What is seen of a rope whose links have `poses` (T, N, 4, 4)."""
    length = float(np.linalg.norm(np.diff(link_points(rope), axis=0), axis=1).mean())
    if rope.chain:
        return _rings(rope.radius, length, poses)
    return _tube(rope.radius, length, poses)


def _joint_xml(rope: Rope, length: float) -> str:
    return (
        f'<joint type="ball" damping="{_DAMPING + 0.02 * rope.bending / length}" stiffness="{rope.bending / length}" '
        'armature="2e-5"/>'
    )


def _frames(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Frames (N, 4, 4) at the start of every link, z along it, x carried along without twist."""
    frames = np.tile(np.eye(4), (len(points) - 1, 1, 1))
    side = np.eye(3)[np.argmin(np.abs(points[1] - points[0]))]
    for k, (start, end) in enumerate(pairwise(points)):
        z = (end - start) / np.linalg.norm(end - start)
        x = side - (side @ z) * z
        x /= np.linalg.norm(x)
        frames[k, :3] = np.stack([x, np.cross(z, x), z, start], axis=1)
        side = x
    return frames


def _tube(radius: float, length: float, poses: NDArray[np.float64]) -> Surface:
    """Rings of vertices at the joints, turned half way between the links that meet there, and halfway along links."""
    T, N = poses.shape[:2]
    start, direction, x = poses[..., :3, 3], poses[..., :3, 2], poses[..., :3, 0]
    centres = np.empty((T, 2 * N + 1, 3))
    centres[:, 0:-1:2], centres[:, 1::2] = start, start + 0.5 * length * direction
    centres[:, -1] = start[:, -1] + length * direction[:, -1]
    along, across = np.empty_like(centres), np.empty_like(centres)
    for out, vectors in ((along, direction), (across, x)):
        out[:, 1::2] = vectors
        out[:, 2:-1:2] = vectors[:, :-1] + vectors[:, 1:]
        out[:, 0], out[:, -1] = vectors[:, 0], vectors[:, -1]
    along /= np.linalg.norm(along, axis=-1, keepdims=True)
    across -= (across * along).sum(-1, keepdims=True) * along
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    up = np.cross(along, across)
    # A joint lies outside the bend of a smooth rope; the mean with its neighbours rounds the corners.
    centres[:, 2:-1:2] = 0.5 * centres[:, 2:-1:2] + 0.25 * (centres[:, 1:-2:2] + centres[:, 3::2])
    angle = 2 * np.pi * np.arange(_AROUND) / _AROUND
    rings = centres[:, :, None] + radius * (
        np.cos(angle)[:, None] * across[:, :, None] + np.sin(angle)[:, None] * up[:, :, None]
    )
    vertices = np.concatenate([rings.reshape(T, -1, 3), centres[:, :1], centres[:, -1:]], axis=1).astype(np.float32)
    faces = _tube_faces(2 * N + 1)
    return Surface(vertices=list(vertices), faces=[faces] * T, rest=_tube_rest(2 * N + 1, radius, length))


def _tube_faces(rings: int) -> NDArray[np.int32]:
    i, k = np.meshgrid(np.arange(rings - 1), np.arange(_AROUND), indexing="ij")
    a, b = i * _AROUND + k, i * _AROUND + (k + 1) % _AROUND
    sides = np.concatenate([np.stack([a, b, b + _AROUND], -1), np.stack([a, b + _AROUND, a + _AROUND], -1)])
    first, last = rings * _AROUND, rings * _AROUND + 1
    rim = np.arange(_AROUND)
    after = (rim + 1) % _AROUND
    low = np.stack([np.full(_AROUND, first), after, rim], -1)
    high = np.stack([np.full(_AROUND, last), rim + (rings - 1) * _AROUND, after + (rings - 1) * _AROUND], -1)
    return np.concatenate([sides.reshape(-1, 3), low, high]).astype(np.int32)


def _tube_rest(rings: int, radius: float, length: float) -> NDArray[np.float32]:
    """A straight rope along z: where its texture is laid on."""
    angle = 2 * np.pi * np.arange(_AROUND) / _AROUND
    z = 0.5 * length * np.arange(rings)
    circle = radius * np.stack([np.cos(angle), np.sin(angle)], -1)
    body = np.concatenate(
        [np.broadcast_to(circle, (rings, _AROUND, 2)), np.broadcast_to(z[:, None, None], (rings, _AROUND, 1))], -1
    )
    return np.concatenate([body.reshape(-1, 3), [[0, 0, 0], [0, 0, z[-1]]]]).astype(np.float32)


def _rings(radius: float, length: float, poses: NDArray[np.float64]) -> Surface:
    """An oval ring a link, every other one turned by a quarter; neighbours reach through each other."""
    u, v = np.meshgrid(2 * np.pi * np.arange(_RING) / _RING, 2 * np.pi * np.arange(_WIRE) / _WIRE, indexing="ij")
    wire = 0.45 * radius
    across, reach = 1.3 * radius, 0.5 * length + 0.6 * radius
    normal = np.stack([np.cos(u), np.sin(u)], -1)
    ring = np.stack(
        [
            across * np.cos(u) + wire * np.cos(v) * normal[..., 0],
            wire * np.sin(v),
            0.5 * length + reach * np.sin(u) + wire * np.cos(v) * normal[..., 1],
        ],
        -1,
    ).reshape(-1, 3)
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    local = np.stack([ring if k % 2 == 0 else ring @ quarter.T for k in range(poses.shape[1])])
    vertices = np.einsum("tnij,nvj->tnvi", poses[..., :3, :3], local) + poses[:, :, None, :3, 3]
    a = np.arange(_RING * _WIRE).reshape(_RING, _WIRE)
    b, c = np.roll(a, -1, axis=0), np.roll(a, -1, axis=1)
    d = np.roll(b, -1, axis=1)
    one = np.concatenate([np.stack([a, c, d], -1).reshape(-1, 3), np.stack([a, d, b], -1).reshape(-1, 3)])
    faces = (one + len(ring) * np.arange(poses.shape[1])[:, None, None]).reshape(-1, 3).astype(np.int32)
    shape = (len(poses), -1, 3)
    return Surface(vertices=list(vertices.reshape(shape).astype(np.float32)), faces=[faces] * len(poses))
