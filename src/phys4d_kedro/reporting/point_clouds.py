"""A clip as coloured point clouds, a PLY file a frame, with the velocity of every point; docs/generation.md."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.geometry.camera import intrinsics_from_fov, pixel_grid, transform, unproject, unproject_pixels

_PLY_TYPES = {"f4": "float", "u1": "uchar"}


@dataclass(frozen=True)
class Camera:
    """The camera that a clip is seen with: intrinsics (3, 3) in pixels, world_from_camera (T, 4, 4) in metres."""

    intrinsics: NDArray[np.float64]
    world_from_camera: NDArray[np.float64]


def camera_of(clip: Clip, *, field_of_view: float = 50.0) -> Camera:
    """The clip's own camera; what the clip lacks of it is assumed.

    Intrinsics are then those of square pixels and `field_of_view` degrees from top to bottom, and the camera stands
    still at the origin of the world, which then has the camera's axes (x right, y down, z forward).
    """
    intrinsics, poses = clip.intrinsics, clip.world_from_camera
    return Camera(
        intrinsics_from_fov(field_of_view, *clip.size) if intrinsics is None else intrinsics,
        np.tile(np.eye(4), (clip.frames, 1, 1)) if poses is None else poses,
    )


def world_points(clip: Clip, camera: Camera, frame: int) -> NDArray[np.float32]:
    """World positions (H, W, 3), metres, of what the pixels of a frame see; not finite where that is nothing."""
    clip.require("depth")
    depth = torch.from_numpy(clip.arrays()["depth"][frame].copy())
    points = unproject(depth, torch.from_numpy(camera.intrinsics))
    return _to_world(points, camera, frame).numpy()


def scene_flow(clip: Clip, camera: Camera, frame: int) -> NDArray[np.float32]:
    """How far, in metres of the world, each point of a frame but the last moves until the next: (H, W, 3).

    The pixel moves by (dx, dy) and its depth by dz; both ends are lifted with the camera of their own frame, so what
    stands still before a moving camera has no flow. Not finite where nothing is hit.
    """
    clip.require("depth", "motion")
    depth, motion = (torch.from_numpy(clip.arrays()[key][frame].copy()) for key in ("depth", "motion"))
    landing = pixel_grid(*clip.size) + motion[..., :2]
    points = unproject_pixels(landing, depth + motion[..., 2], torch.from_numpy(camera.intrinsics))
    return _to_world(points, camera, frame + 1).numpy() - world_points(clip, camera, frame)


def point_cloud(clip: Clip, camera: Camera, frame: int) -> bytes:
    """A frame as a binary little-endian PLY file: what its pixels see, in reading order, without infinite depths.

    Properties: `x y z` float32, metres in the world; `red green blue` uint8. Where the clip has motion, and in all
    frames but the last: `vx vy vz` float32, see `scene_flow`, metres a frame; `visible_next` uint8, the clip's
    motion_valid.

    Raises:
        MissingAnnotationError: the clip has no depth.
    """
    points = world_points(clip, camera, frame)
    seen = np.isfinite(clip.arrays()["depth"][frame])
    columns = dict(zip("xyz", points[seen].T, strict=True))
    columns |= dict(zip(("red", "green", "blue"), clip.rgb[frame][seen].T, strict=True))
    if clip.motion is not None and clip.motion_valid is not None and frame < clip.frames - 1:
        columns |= dict(zip(("vx", "vy", "vz"), scene_flow(clip, camera, frame)[seen].T, strict=True))
        columns["visible_next"] = clip.motion_valid[frame][seen].astype(np.uint8)
    return _encode_ply(columns, comment=f"{clip.clip_id} frame {frame}")


def point_clouds(clip: Clip, camera: Camera | None = None) -> Iterator[tuple[str, bytes]]:
    """Every frame's name, `frame_0000.ply` and so on, with its file, made one at a time.

    `camera` takes the place of the clip's own; see `camera_of` for what is assumed where there is neither.

    Raises:
        MissingAnnotationError: the clip has no depth.
    """
    clip.require("depth")
    camera = camera or camera_of(clip)
    for frame in range(clip.frames):
        yield f"frame_{frame:04d}.ply", point_cloud(clip, camera, frame)


def _to_world(points: torch.Tensor, camera: Camera, frame: int) -> torch.Tensor:
    """Camera points (H, W, 3) of a frame in the world."""
    return transform(points, torch.from_numpy(camera.world_from_camera[frame]))


def _encode_ply(columns: dict[str, NDArray[np.float32] | NDArray[np.uint8]], *, comment: str) -> bytes:
    """A PLY file of one element, vertex, whose properties are columns (N,) of equal length."""
    layout = np.dtype([(name, column.dtype.newbyteorder("<")) for name, column in columns.items()])
    vertices = np.empty(len(next(iter(columns.values()))), layout)
    for name, column in columns.items():
        vertices[name] = column
    properties = [f"property {_PLY_TYPES[column.dtype.str[1:]]} {name}" for name, column in columns.items()]
    header = ["ply", "format binary_little_endian 1.0", f"comment {comment}", f"element vertex {len(vertices)}"]
    return "\n".join([*header, *properties, "end_header\n"]).encode("ascii") + vertices.tobytes()
