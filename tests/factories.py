"""Small synthetic clips whose every annotation is known in closed form, for tests of anything that takes clips.

A scene is planes and spheres that move rigidly before a camera that moves rigidly. Rays are intersected in float64; the
motion of a pixel is the projection of the very point its ray hit, and it is visible when the ray cast back to it from
the next camera hits that point first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.geometry.camera import intrinsics_from_fov

Array = NDArray[np.float64]


def translation(offsets: Array) -> Array:
    """Poses (T, 4, 4) at offsets (T, 3), not rotated."""
    poses = np.tile(np.eye(4), (len(offsets), 1, 1))
    poses[:, :3, 3] = offsets
    return poses


def rotation(axis: Sequence[float], angles: Array) -> Array:
    """Poses (T, 4, 4) turned by angles (T,), radians, about an axis through the origin (Rodrigues)."""
    x, y, z = np.asarray(axis) / np.linalg.norm(axis)
    K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    poses = np.tile(np.eye(4), (len(angles), 1, 1))
    for t, angle in enumerate(angles):
        poses[t, :3, :3] += np.sin(angle) * K + (1 - np.cos(angle)) * K @ K
    return poses


@dataclass(frozen=True)
class Plane:
    """The plane z = 0 of its body, seen from either side; half_size cuts it to a rectangle."""

    poses: Array
    half_size: tuple[float, float] = (np.inf, np.inf)

    def intersect(self, origin: Array, direction: Array) -> Array:
        """Ray parameters (...) of the first hit of rays given in the body's frame, inf where there is none."""
        with np.errstate(divide="ignore", invalid="ignore"):
            s = -origin[2] / direction[..., 2]
            hit = origin + s[..., None] * direction
            inside = (np.abs(hit[..., 0]) <= self.half_size[0]) & (np.abs(hit[..., 1]) <= self.half_size[1])
        return np.where((s > 1e-9) & inside, s, np.inf)


@dataclass(frozen=True)
class Sphere:
    """A sphere about its body's origin."""

    poses: Array
    radius: float

    def intersect(self, origin: Array, direction: Array) -> Array:
        """Ray parameters (...) of the first hit of rays given in the body's frame, inf where there is none."""
        a = (direction**2).sum(-1)
        b = (direction * origin).sum(-1)
        discriminant = b**2 - a * ((origin**2).sum() - self.radius**2)
        s = (-b - np.sqrt(np.maximum(discriminant, 0))) / a
        return np.where((discriminant > 0) & (s > 1e-9), s, np.inf)


@dataclass(frozen=True)
class AnalyticScene:
    """Bodies before a camera; body i has instance id i (so that body 0 is the background)."""

    bodies: Sequence[Plane | Sphere]
    cameras: Array  # world_from_camera (T, 4, 4)
    height: int = 32
    width: int = 40
    fov: float = 60.0
    intrinsics: Array = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "intrinsics", intrinsics_from_fov(self.fov, self.height, self.width))

    def cast(self, t: int, pixels: Array) -> tuple[Array, NDArray[np.int64], Array]:
        """Depth (...), body index (..., -1 for none) and world point (..., 3) seen at pixels (..., 2) of frame t."""
        K, pose = self.intrinsics, self.cameras[t]
        ray = np.stack(
            [(pixels[..., 0] - K[0, 2]) / K[0, 0], (pixels[..., 1] - K[1, 2]) / K[1, 1], np.ones(pixels.shape[:-1])], -1
        )
        depths = []
        for body in self.bodies:
            local = np.linalg.inv(body.poses[t]) @ pose
            depths.append(body.intersect(local[:3, 3], ray @ local[:3, :3].T))
        depth = np.min(depths, 0)
        with np.errstate(invalid="ignore"):
            point = (ray * depth[..., None]) @ pose[:3, :3].T + pose[:3, 3]
        return depth, np.where(np.isfinite(depth), np.argmin(depths, 0), -1), point

    def annotate(self) -> dict[str, NDArray]:
        """Exact depth, motion, motion_valid and segmentation of every pixel centre (keys and shapes of a clip)."""
        T, H, W = len(self.cameras), self.height, self.width
        pixels = np.stack(np.meshgrid(np.arange(W) + 0.5, np.arange(H) + 0.5), -1)
        depth, body = np.zeros((T, H, W)), np.zeros((T, H, W), np.int64)
        motion, valid = np.zeros((T - 1, H, W, 3)), np.zeros((T - 1, H, W), bool)
        for t in range(T):
            depth[t], body[t], point = self.cast(t, pixels)
            if t == T - 1:
                break
            hit = body[t] >= 0
            moves = np.stack([b.poses[t + 1] @ np.linalg.inv(b.poses[t]) for b in self.bodies])[body[t][hit]]
            moved = np.einsum("nij,nj->ni", moves[:, :3, :3], point[hit]) + moves[:, :3, 3]
            motion[t][hit], valid[t][hit] = self._motion(t + 1, moved, pixels[hit], depth[t][hit])
        return {
            "depth": depth,
            "motion": motion,
            "motion_valid": valid,
            "segmentation": np.maximum(body, 0).astype(np.uint16),
        }

    def _motion(self, t1: int, point: Array, pixels: Array, depth: Array) -> tuple[Array, NDArray[np.bool_]]:
        camera, visible, pixel = self._see(t1, point)
        return np.concatenate([pixel - pixels, (camera[:, 2] - depth)[:, None]], -1), visible

    def _see(self, t: int, point: Array) -> tuple[Array, NDArray[np.bool_], Array]:
        """Camera points (N, 3), visibility (N,) and pixels (N, 2) of world points (N, 3) in frame t."""
        camera = (point - self.cameras[t, :3, 3]) @ self.cameras[t, :3, :3]
        K = self.intrinsics
        pixel = camera[:, :2] / camera[:, 2:] * [K[0, 0], K[1, 1]] + K[:2, 2]
        first = self.cast(t, pixel)[0]
        inside = ((pixel >= 0) & (pixel <= [self.width, self.height])).all(-1)
        return camera, inside & (camera[:, 2] > 0) & (camera[:, 2] <= first * (1 + 1e-6)), pixel

    def tracks(self, points: int, rng: np.random.Generator) -> dict[str, NDArray]:
        """`points` material points on each body but the background, drawn among the pixels that see it in frame 0."""
        pixels = np.stack(np.meshgrid(np.arange(self.width) + 0.5, np.arange(self.height) + 0.5), -1)
        _, body, point = self.cast(0, pixels)
        tracks, instances = [], []
        for index, surface in enumerate(self.bodies[1:], start=1):
            seen = point[body == index]
            chosen = seen[rng.integers(len(seen), size=points)] if len(seen) else seen
            local = (chosen - surface.poses[0, :3, 3]) @ surface.poses[0, :3, :3]
            tracks.append(np.einsum("tij,nj->tni", surface.poses[:, :3, :3], local) + surface.poses[:, None, :3, 3])
            instances.append(np.full(len(chosen), index, np.uint16))
        world = np.concatenate(tracks, 1) if tracks else np.zeros((len(self.cameras), 0, 3))
        visible = [self._see(t, world[t])[1] for t in range(len(world))]
        return {
            "tracks": world.astype(np.float32),
            "track_instance": np.concatenate(instances) if instances else np.zeros(0, np.uint16),
            "track_visible": np.stack(visible),
        }

    def clip(self, clip_id: str, rng: np.random.Generator, *, points: int = 64, scene: str = "plane") -> Clip:
        """The scene as a clip; rgb shades each body by its depth over low-frequency noise."""
        exact = self.annotate()
        shade = 220 / (1 + exact["depth"][..., None] / 4)
        tint = rng.uniform(0.5, 1.0, (len(self.bodies), 3))[exact["segmentation"]]
        rgb = np.clip(shade * tint + rng.uniform(0, 20, shade.shape), 0, 255).astype(np.uint8)
        return Clip(
            clip_id=clip_id,
            rgb=rgb,
            fps=8.0,
            source="simulation",
            category="rigid",
            scene=scene,
            seed=0,
            prompt=f"a {scene} before a wall",
            depth=exact["depth"].astype(np.float32),
            motion=exact["motion"].astype(np.float32),
            motion_valid=exact["motion_valid"],
            segmentation=exact["segmentation"],
            intrinsics=self.intrinsics,
            world_from_camera=self.cameras,
            **self.tracks(points, rng),
        )


def make_clip(index: int, *, height: int = 32, width: int = 32, frames: int = 5, seed: int = 0) -> Clip:
    """Clip `index` of a family: a sphere crosses before a slanted wall, and the camera drifts."""
    rng = np.random.default_rng([seed, index])
    time = np.arange(frames)[:, None]
    wall = translation(np.tile([0.0, 0.0, rng.uniform(5, 8)], (frames, 1)))
    wall[:, :3, :3] = rotation([0, 1, 0], np.full(1, rng.uniform(-0.4, 0.4)))[0, :3, :3]
    start = np.array([rng.uniform(-0.7, 0.7), rng.uniform(-0.5, 0.5), rng.uniform(3, 4)])
    velocity = np.array([rng.uniform(0.05, 0.15) * rng.choice([-1, 1]), 0.0, rng.uniform(-0.1, 0.1)])
    sphere = translation(start + velocity * time)
    cameras = translation(np.array([rng.uniform(-0.05, 0.05), rng.uniform(-0.05, 0.05), 0.0]) * time)
    scene = AnalyticScene([Plane(wall), Sphere(sphere, rng.uniform(0.5, 0.9))], cameras, height, width)
    return scene.clip(f"sphere-{index:04d}", rng, scene="sphere")
