"""Geometric coherence: depth that keeps its scale over time, and surfaces that face the right way; docs/suite.md.

AbsRel and delta are `evaluation.metrics`'. Letters: T frames, H rows, W columns, N points.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from phys4d_kedro.geometry.camera import invert_pose, transform, unproject
from phys4d_kedro.geometry.lifting import SAME_SURFACE, Tracks

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class ScaleTrend:
    """How a scale changes over a clip, in natural logarithms.

    `drift`: absolute slope of its least-squares line, per second. `flicker`: root mean square of what the line leaves.
    """

    drift: float
    flicker: float


def log_scales(predicted: Floats, true: Floats, pixels: Bools) -> Floats:
    """Median of log(predicted / true) in each frame (T,) of depths (T, H, W) over its pixels; NaN where it has none."""
    frames = zip(predicted, true, pixels, strict=True)
    return np.array([np.median(np.log(a[p] / b[p])) if p.any() else np.nan for a, b, p in frames])


def static_log_scales(tracks: Tracks, world_from_camera: torch.Tensor) -> Floats:
    """Median of log(depth / depth if it had stood still in the world) over followed points, in each frame (T,).

    More than half of the points must belong to what does stand still: the median then does not see the others. A scale
    of depth that changes with time shows, whatever the motion says of depth. NaN where no point is followed.
    """
    camera_from_world = invert_pose(world_from_camera).to(tracks.points)
    depth = transform(tracks.points, camera_from_world)[..., 2]
    expected = transform(tracks.points[:1].expand_as(tracks.points), camera_from_world)[..., 2]
    known = tracks.valid & (expected > 0)
    frames = zip((depth / expected).numpy(), known.numpy(), strict=True)
    return np.array([np.median(np.log(ratio[k])) if k.any() else np.nan for ratio, k in frames])


def scale_trend(scales: Floats, fps: float) -> ScaleTrend | None:
    """Trend of log scales (T,) at a frame rate; frames that are NaN do not count. None with fewer than three others."""
    known = np.isfinite(scales)
    if known.sum() < 3:
        return None
    seconds = np.flatnonzero(known) / fps
    slope, offset = np.polyfit(seconds, scales[known], 1)
    left = scales[known] - (slope * seconds + offset)
    return ScaleTrend(drift=abs(float(slope)), flicker=float(np.sqrt(np.mean(left**2))))


def surface_normals(depth: torch.Tensor, intrinsics: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit normals (..., H, W, 3) in the camera's axes, towards the camera, of depth maps (..., H, W), and where known.

    n = b x a of the central differences a along rows and b along columns of the lifted points: exact on planes. Known
    (..., H, W) where the pixel and its four neighbours lie on one surface: never at the border nor at a silhouette.
    Zero at the border and beside infinite depth.
    """
    points = unproject(depth, intrinsics)
    across = points[..., 1:-1, 2:, :] - points[..., 1:-1, :-2, :]
    down = points[..., 2:, 1:-1, :] - points[..., :-2, 1:-1, :]
    # x points right and y down: in this order the product faces the camera.
    normal = torch.nn.functional.normalize(torch.linalg.cross(down, across), dim=-1).nan_to_num(0.0)
    normals = torch.nn.functional.pad(normal, (0, 0, 1, 1, 1, 1))
    middle = depth[..., 1:-1, 1:-1]
    together = torch.isfinite(middle)
    for neighbour in (depth[..., 1:-1, 2:], depth[..., 1:-1, :-2], depth[..., 2:, 1:-1], depth[..., :-2, 1:-1]):
        together = together & ((middle / neighbour - 1).abs() <= SAME_SURFACE)
    return normals, torch.nn.functional.pad(together, (1, 1, 1, 1), value=False)


def normal_error(predicted: Floats, true: Floats, intrinsics: Floats, pixels: Bools) -> float | None:
    """Mean angle in degrees between the normals of two depths (T, H, W), over pixels where the truth has a normal.

    A predicted silhouette on a true surface is no excuse: its normal counts as any. None where the truth has none.
    """
    matrix = torch.from_numpy(np.asarray(intrinsics, np.float64))
    guess, _ = surface_normals(torch.from_numpy(np.asarray(predicted, np.float64)), matrix)
    truth, known = surface_normals(torch.from_numpy(np.asarray(true, np.float64)), matrix)
    counted = known & torch.from_numpy(pixels)
    if not counted.any():
        return None
    a, b = guess[counted], truth[counted]
    # Unlike the arc cosine, exact for small angles.
    angle = torch.atan2(torch.linalg.vector_norm(torch.linalg.cross(a, b), dim=-1), (a * b).sum(-1))
    return float(torch.rad2deg(angle).mean())
