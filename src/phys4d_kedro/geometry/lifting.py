"""Lifting: pixels followed through motion, and each of their steps turned into a point of the world.

Letters: T frames, H rows, W columns, N followed points.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.geometry.camera import pixel_grid, transform, unproject_pixels

# Neighbours of a sub-pixel position whose depths differ by more than this share lie on different surfaces.
SAME_SURFACE = 0.1


@dataclass(frozen=True)
class Tracks:
    """Points of surfaces over time.

    points (T, N, 3) world, metres; pixels (T, N, 2) where they are in the image, kept within the frame; valid (T, N):
    the point was followed until here, through valid motion, in the frame, on finite depth; once lost it stays lost, and
    its points beyond are what lies at its clamped pixel. instance (N,) int64, 0 where unknown.
    """

    points: torch.Tensor
    pixels: torch.Tensor
    valid: torch.Tensor
    instance: torch.Tensor


def lift(
    depth: torch.Tensor,
    motion: torch.Tensor,
    motion_valid: torch.Tensor,
    *,
    intrinsics: torch.Tensor,
    world_from_camera: torch.Tensor,
    start: torch.Tensor,
    instance: torch.Tensor | None = None,
) -> Tracks:
    """Follow pixels of the first frame through motion and lift every step with depth and camera.

    Between pixel centres, depth (as inverse depth) and motion are interpolated over those of the four neighbours that
    lie on one surface: that of the neighbour whose depth is nearest to the depth the point was carried to. So a point
    at a silhouette does not slide to the background.

    Args:
        depth: (T, H, W) metres, inf where nothing is hit.
        motion: (T-1, H, W, 3), dx, dy pixels and dz metres.
        motion_valid: (T-1, H, W).
        intrinsics: (3, 3).
        world_from_camera: (T, 4, 4).
        start: positions (N, 2) in pixels, or a mask (H, W) of pixels to start from.
        instance: (H, W) instance ids of the first frame.
    """
    height, width = depth.shape[-2:]
    if start.dtype == torch.bool:
        start = pixel_grid(height, width, depth.dtype, depth.device)[start]
    pixel = start.to(depth)
    corner = torch.tensor([width, height], dtype=depth.dtype, device=depth.device)
    row_column = (pixel.minimum(corner - 0.5).long()).flip(-1).unbind(-1)
    expected = depth[0][row_column]
    valid = torch.ones(len(pixel), dtype=torch.bool, device=depth.device)
    pixels, points, valids = [], [], []
    for t in range(len(depth)):
        surface = _Surface(depth[t], pixel, expected)
        valid = valid & torch.isfinite(surface.depth)
        pixels.append(pixel)
        points.append(unproject_pixels(pixel, surface.depth, intrinsics))
        valids.append(valid)
        if t == len(depth) - 1:
            break
        step = surface.mean(motion[t])
        landing = pixel + step[:, :2]
        pixel = landing.clamp(min=torch.zeros_like(corner), max=corner)
        valid = valid & (landing == pixel).all(-1) & (surface.mean(motion_valid[t][..., None].to(depth))[:, 0] > 0.5)
        expected = surface.depth + step[:, 2]
    return Tracks(
        points=transform(torch.stack(points), world_from_camera),
        pixels=torch.stack(pixels),
        valid=torch.stack(valids),
        instance=torch.zeros_like(valid, dtype=torch.int64) if instance is None else instance[row_column].long(),
    )


class _Surface:
    """What is seen at sub-pixel positions (N, 2) of a frame, on the surface whose depth is nearest to `expected`."""

    def __init__(self, depth: torch.Tensor, position: torch.Tensor, expected: torch.Tensor) -> None:
        height, width = depth.shape
        lower = (position - 0.5).floor()
        fraction = position - 0.5 - lower
        column = torch.stack([lower[:, 0], lower[:, 0] + 1], -1).long().clamp(0, width - 1)  # N, 2
        row = torch.stack([lower[:, 1], lower[:, 1] + 1], -1).long().clamp(0, height - 1)
        weight_x = torch.stack([1 - fraction[:, 0], fraction[:, 0]], -1)
        weight_y = torch.stack([1 - fraction[:, 1], fraction[:, 1]], -1)
        weight = (weight_y[:, :, None] * weight_x[:, None, :]).flatten(1)  # N, 4
        self.row = row[:, :, None].expand(-1, -1, 2).flatten(1)
        self.column = column[:, None, :].expand(-1, 2, -1).flatten(1)
        inverse = 1 / depth[self.row, self.column]
        difference = torch.where(weight > 0, (inverse - (1 / expected)[:, None]).abs(), torch.inf)
        nearest = inverse.gather(1, difference.argmin(1, keepdim=True))
        weight = torch.where((inverse - nearest).abs() <= SAME_SURFACE * nearest, weight, 0.0)
        self.weight = weight / weight.sum(1, keepdim=True)
        self.depth = 1 / (self.weight * inverse).sum(1)

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """Values (H, W, C) interpolated over the surface: (N, C)."""
        return (self.weight[..., None] * values[self.row, self.column]).sum(1)


def moving_instances(clip: Clip, *, threshold: float = 0.01) -> NDArray[np.uint16]:
    """Instances of a simulated clip any of whose material points gets further than `threshold` metres from its start.

    Motion is that of the world, so a camera that moves makes nothing move.

    Raises:
        MissingAnnotationError: the clip has no tracks.
    """
    clip.require("tracks", "track_instance")
    assert clip.tracks is not None
    assert clip.track_instance is not None
    travelled = np.linalg.norm(clip.tracks - clip.tracks[:1], axis=-1).max(0, initial=0.0)
    return np.unique(clip.track_instance[travelled > threshold])


def clip_tracks(clip: Clip, *, threshold: float = 0.01) -> Tracks:
    """The pixels of the first frame on moving instances, followed through the clip's own depth and motion.

    Raises:
        MissingAnnotationError: the clip lacks depth, motion, segmentation, tracks or camera.
    """
    clip.require("depth", "motion", "motion_valid", "segmentation", "intrinsics", "world_from_camera")
    array = {key: torch.from_numpy(value) for key, value in clip.arrays().items() if key != "segmentation"}
    assert clip.segmentation is not None
    instance = torch.from_numpy(clip.segmentation[0].astype(np.int64))
    moving = torch.from_numpy(moving_instances(clip, threshold=threshold).astype(np.int64))
    return lift(
        array["depth"],
        array["motion"],
        array["motion_valid"],
        intrinsics=array["intrinsics"],
        world_from_camera=array["world_from_camera"],
        start=torch.isin(instance, moving),
        instance=instance,
    )
