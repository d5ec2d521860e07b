"""Scenes for the tests of the renderer, and its geometry in float64 NumPy as a reference."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.simulation.rendering.scene import (
    Body,
    Box,
    CameraPath,
    Cylinder,
    Material,
    Mesh,
    Plane,
    RenderScene,
    Shape,
    Sphere,
)

Array = NDArray[np.floating[Any]]


def pose(position: Sequence[float] = (0, 0, 0), axis: Sequence[float] = (0, 0, 1), angle: float = 0.0) -> Array:
    """Rotation by `angle` about `axis` (Rodrigues), then translation: (4, 4)."""
    x, y, z = np.asarray(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    matrix = np.eye(4)
    matrix[:3, :3] += np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    matrix[:3, 3] = position
    return matrix


def look_at(eye: Sequence[float], target: Sequence[float]) -> Array:
    """world_from_camera (4, 4) of a camera at `eye` that looks at `target`, with the world's z upwards."""
    forward = np.subtract(target, eye) / np.linalg.norm(np.subtract(target, eye))
    right = np.cross(forward, (0, 0, 1))
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack((right, np.cross(forward, right), forward), axis=1)
    matrix[:3, 3] = eye
    return matrix


def scene(
    *bodies: tuple[Shape, Array | Sequence[Array]],
    frames: int = 1,
    size: int = 33,
    focal: float | None = None,
    camera: Array | Sequence[Array] | None = None,
    materials: Sequence[Material] = (),
    **lights: Any,
) -> RenderScene:
    """A scene of (shape, pose or poses) with instances 1, 2, ...; the camera defaults to the world's own axes."""
    focal = focal or float(size)
    poses = np.stack([np.broadcast_to(np.asarray(p), (frames, 4, 4)) for _, p in bodies], axis=1)
    look = np.broadcast_to(np.eye(4) if camera is None else np.asarray(camera), (frames, 4, 4))
    return RenderScene(
        bodies=[
            Body(shape=shape, instance=i + 1, material=materials[i] if i < len(materials) else Material())
            for i, (shape, _) in enumerate(bodies)
        ],
        poses=poses,
        camera=CameraPath(
            intrinsics=np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]]), world_from_camera=look
        ),
        **lights,
    )


def playground(frames: int = 5, size: int = 96) -> RenderScene:
    """Every kind of shape, tumbling over a ground, seen by a camera that moves and turns."""
    path = []
    for t in range(frames):
        s = t / 8
        path.append(
            [
                pose(),
                pose((-0.5 + 0.5 * s, -0.4, 0.25), (1, 2, 1), 2 * s),
                pose((0.4, 0.1, 0.3 + 0.3 * s), (1, 0, 1), 0.4 + 1.5 * s),
                pose((0.1 - 0.4 * s, 0.7, 0.4), (1, 1, 0), 0.3 + s),
                pose((0.2, -0.7, 0.25), (1, 0, 0), 1.0 + 2 * s),
            ]
        )
    cameras = [look_at((1.2 * np.sin(0.1 * t), -3 + 0.05 * t, 1.5), (0.02 * t, 0, 0.25)) for t in range(frames)]
    shapes = (
        Plane(),
        Sphere(radius=0.25),
        Box(half_extents=(0.2, 0.25, 0.3)),
        Cylinder(radius=0.2, half_height=0.3),
        torus(),
    )
    return scene(
        *zip(shapes, np.swapaxes(path, 0, 1), strict=True), frames=frames, size=size, focal=1.3 * size, camera=cameras
    )


def box_mesh(half: Sequence[float]) -> Mesh:
    """The twelve triangles of a box, wound outwards."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * np.asarray(half)
    quads = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
    faces = [face for a, b, c, d in quads for face in ((a, b, c), (a, c, d))]
    return Mesh(vertices=corners.astype(np.float32), faces=np.array(faces, dtype=np.int32))


def torus(radius: float = 0.2, tube: float = 0.07, around: int = 24, across: int = 12) -> Mesh:
    """A concave, smoothly shaded mesh."""
    u, v = np.meshgrid(np.arange(around), np.arange(across), indexing="ij")
    a, b = 2 * np.pi * u / around, 2 * np.pi * v / across
    normals = np.stack((np.cos(b) * np.cos(a), np.cos(b) * np.sin(a), np.sin(b)), axis=-1).reshape(-1, 3)
    ring = np.stack((np.cos(a), np.sin(a), 0 * a), axis=-1).reshape(-1, 3)
    here, next_u = u * across, (u + 1) % around * across
    next_v = (v + 1) % across
    first = np.stack((here + v, next_u + v, next_u + next_v), axis=-1).reshape(-1, 3)
    second = np.stack((here + v, next_u + next_v, here + next_v), axis=-1).reshape(-1, 3)
    return Mesh(
        vertices=(radius * ring + tube * normals).astype(np.float32),
        faces=np.concatenate((first, second)).astype(np.int32),
        normals=normals.astype(np.float32),
    )


def sphere(count: int, *, radius: float = 0.5, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """A sphere around the origin over a latitude and longitude grid, turned at random: another one for every seed."""
    a, b = np.meshgrid(np.linspace(0, np.pi, count + 1), np.arange(2 * count) * np.pi / count, indexing="ij")
    points = radius * np.stack((np.sin(a) * np.cos(b), np.sin(a) * np.sin(b), np.cos(a)), axis=-1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(count), np.arange(2 * count), indexing="ij")
    here, beside = i * 2 * count + j, i * 2 * count + (j + 1) % (2 * count)
    below, across = here + 2 * count, beside + 2 * count
    faces = np.concatenate([np.stack(f, -1).reshape(-1, 3) for f in ((here, below, across), (here, across, beside))])
    rng = np.random.default_rng(seed)
    turn = pose(axis=rng.normal(size=3), angle=rng.uniform(1, 3))
    return transform(turn, points).astype(np.float32), faces.astype(np.int32)


def pixel_rays(made: RenderScene, size: int) -> Array:
    """Directions (H, W, 3) through the pixels' centres, with z = 1."""
    K = made.camera.intrinsics
    x, y = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    return np.stack(((x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1], np.ones_like(x)), axis=-1)


def transform(matrix: Array, points: Array) -> Array:
    """Apply a rigid transform (4, 4) to points (..., 3)."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def expected_motion(made: RenderScene, depth: Array, segmentation: NDArray[np.uint16], t: int) -> Array:
    """Motion (H, W, 3) of frame t from its depth: every point carried by its body, projected by the next camera."""
    rays = pixel_rays(made, depth.shape[-1])
    K, cameras = made.camera.intrinsics, made.camera.world_from_camera
    motion = np.zeros((*depth.shape[1:], 3))
    for b, body in enumerate(made.bodies):
        mine = segmentation[t] == body.instance
        here = depth[t][mine][:, None] * rays[mine]
        step = np.linalg.inv(cameras[t + 1]) @ made.poses[t + 1, b] @ np.linalg.inv(made.poses[t, b]) @ cameras[t]
        there = transform(step, here)
        motion[mine, 0] = K[0, 0] * (there[:, 0] / there[:, 2] - rays[mine][:, 0])
        motion[mine, 1] = K[1, 1] * (there[:, 1] / there[:, 2] - rays[mine][:, 1])
        motion[mine, 2] = there[:, 2] - here[:, 2]
    return motion
