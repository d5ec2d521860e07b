"""Objects of a clip's first frame, followed through its depth and motion; docs/suite.md.

Letters: T frames, H rows, W columns, N followed points.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.evaluation.suite.config import SuiteConfig
from phys4d_kedro.geometry.camera import intrinsics_from_fov, invert_pose, transform
from phys4d_kedro.geometry.lifting import SAME_SURFACE, Tracks, lift

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class LiftingCamera:
    """The camera that a clip is lifted with: intrinsics (3, 3), world_from_camera (T, 4, 4), up (3,) in the world."""

    intrinsics: torch.Tensor
    world_from_camera: torch.Tensor
    up: NDArray[np.float64]


@dataclass(frozen=True)
class FollowedObject:
    """Points of an object over time.

    points (T, N, 3) world, metres; pixels (T, N, 2); followed (T, N): the point is in the frame, still on the surface
    that it was on, and has its colour.
    """

    instance: int
    points: Floats
    pixels: Floats
    followed: Bools


def lifting_camera(clip: Clip, field_of_view: float) -> LiftingCamera:
    """The clip's own camera, in a world whose z points up.

    What the clip lacks is assumed: square pixels and `field_of_view` degrees from top to bottom; without poses, a
    camera that stands level and still at the origin, in a world that has its axes, so that up is -y.
    """
    poses = clip.world_from_camera
    intrinsics = intrinsics_from_fov(field_of_view, *clip.size) if clip.intrinsics is None else clip.intrinsics
    return LiftingCamera(
        torch.from_numpy(intrinsics),
        torch.from_numpy(np.tile(np.eye(4), (clip.frames, 1, 1)) if poses is None else poses),
        np.array([0.0, -1.0, 0.0] if poses is None else [0.0, 0.0, 1.0]),
    )


def spread(mask: Bools, count: int) -> torch.Tensor:
    """Centres (N, 2) of at most `count` pixels of a mask (H, W), evenly spread in reading order."""
    row, column = np.nonzero(mask)
    if len(row) > count:
        kept = np.linspace(0, len(row) - 1, count).round().astype(np.int64)
        row, column = row[kept], column[kept]
    return torch.from_numpy(np.stack([column, row], -1).astype(np.float32) + 0.5)


def follow_pixels(clip: Clip, start: torch.Tensor, camera: LiftingCamera) -> Tracks:
    """Pixels (N, 2) of the first frame, followed and lifted. All motion is trusted: a clip answers for every point.

    Raises:
        MissingAnnotationError: the clip lacks depth or motion.
    """
    clip.require("depth", "motion")
    depth, motion = (torch.from_numpy(clip.arrays()[key]) for key in ("depth", "motion"))
    return lift(
        depth,
        motion,
        torch.ones(motion.shape[:-1], dtype=torch.bool),
        intrinsics=camera.intrinsics,
        world_from_camera=camera.world_from_camera,
        start=start,
    )


def follow_objects(
    clip: Clip, instances: NDArray[np.integer[Any]], camera: LiftingCamera, config: SuiteConfig
) -> list[FollowedObject]:
    """Every object with enough pixels in the first frame, whose instance ids are (H, W), 0 being no object."""
    seen = np.isfinite(clip.arrays()["depth"][0])
    masks = {int(i): (instances == i) & seen for i in np.unique(instances[instances > 0])}
    starts = {
        i: spread(mask, config.world.tracks) for i, mask in masks.items() if mask.sum() >= config.world.fewest_pixels
    }
    if not starts:
        return []
    tracks = follow_pixels(clip, torch.cat([*starts.values()]), camera)
    followed = _on_surface(tracks, camera) & _has_colour(clip, tracks, config.colour_tolerance)
    parts = np.cumsum([len(start) for start in starts.values()])[:-1]
    split = (np.split(array, parts, axis=1) for array in (tracks.points.numpy(), tracks.pixels.numpy(), followed))
    return [FollowedObject(i, *arrays) for i, arrays in zip(starts, zip(*split, strict=True), strict=True)]


def presence(item: FollowedObject, visible_share: float) -> Bools:
    """In which frames (T,) the object is still there: where at least this share of its points is followed."""
    return np.asarray(item.followed.mean(1) >= visible_share)


def common_frames(items: Sequence[FollowedObject], visible_share: float) -> int:
    """The number of first frames in which all objects are there."""
    there = np.stack([presence(item, visible_share) for item in items]).all(axis=0)
    return int(np.logical_and.accumulate(there).sum())


def _on_surface(tracks: Tracks, camera: LiftingCamera) -> Bools:
    """Where a point (T, N) has been in the frame until now, without a jump in depth to another surface."""
    poses = invert_pose(camera.world_from_camera).to(tracks.points)
    depth = transform(tracks.points, poses)[..., 2]
    steps = (depth[1:] / depth[:-1] - 1).abs() <= SAME_SURFACE
    kept = torch.cat([torch.ones_like(steps[:1]), steps]) & tracks.valid
    return np.asarray(np.logical_and.accumulate(kept.numpy(), axis=0))


def _has_colour(clip: Clip, tracks: Tracks, tolerance: float) -> Bools:
    """Where the pixel below a point (T, N) has the colour of its first pixel."""
    height, width = clip.size
    column, row = (
        tracks.pixels[..., axis].numpy().astype(np.int64).clip(0, size - 1) for axis, size in ((0, width), (1, height))
    )
    colour = clip.rgb[np.arange(clip.frames)[:, None], row, column].astype(np.float32) / 255
    return np.asarray(np.abs(colour - colour[:1]).mean(-1) <= tolerance)
