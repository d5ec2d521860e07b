"""What Isaac Sim's Replicator writes, in the conventions of a clip: cameras and motion vectors.

Replicator keeps USD's conventions: matrices in row-major order for row vectors (point @ matrix), camera axes x right,
y up, z backward, and a projection to the cube [-1, 1]. Its motion vectors are those of real-time rendering: at frame t
they point from a pixel to where it was at t - 1 (x to the right, y down).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from phys4d_kedro.errors import MediaError
from phys4d_kedro.geometry.flow import warp

_OPENCV_FROM_USD = np.diag([1.0, -1.0, -1.0, 1.0])
# How far a motion vector may be from undoing the motion found from it, in pixels, to count as the same surface.
_MISMATCH = 0.25
# Largest share by which the depth of one surface point changes from frame to frame; more is another surface.
_DEPTH_CHANGE = 0.1
# Largest share by which interpolated depth may differ from that of the nearest pixel; more is a mix across an edge.
_DEPTH_MIX = 0.02
_REFINEMENTS = 4


@dataclass(frozen=True)
class Camera:
    """Camera of a frame: intrinsics (3, 3) in pixels, world_from_camera (4, 4), OpenCV axes, metres."""

    intrinsics: NDArray[np.float64]
    world_from_camera: NDArray[np.float64]


def read_camera(file: Path, height: int, width: int) -> Camera:
    """The camera of a frame (height, width) from a camera_params file.

    Two forms are read: Replicator's (`cameraProjection`, `cameraViewTransform`, `metersPerSceneUnit`), and plain
    `intrinsics` (3, 3) with `world_from_camera` (4, 4) in a clip's conventions.

    Raises:
        MediaError: the file is missing, no JSON, or has neither form.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MediaError(
            f"camera file '{file}' is missing; turning distances along rays into depth needs it: render it, or remove "
            "the folder distance_to_camera"
        ) from error
    except ValueError as error:
        raise MediaError(f"camera file '{file}' is not JSON ({error})") from error
    try:
        if "cameraViewTransform" in content:
            return _replicator_camera(content, height, width)
        camera = Camera(_matrix(content["intrinsics"], 3), _matrix(content["world_from_camera"], 4))
    except (KeyError, TypeError, ValueError, np.linalg.LinAlgError) as error:
        keys = ", ".join(content) if isinstance(content, dict) else type(content).__name__
        raise MediaError(
            f"camera file '{file}' must hold cameraProjection and cameraViewTransform, or intrinsics and "
            f"world_from_camera; it holds {keys} ({error})"
        ) from error
    return camera


def _replicator_camera(content: dict[str, Any], height: int, width: int) -> Camera:
    projection, view = _matrix(content["cameraProjection"], 4), _matrix(content["cameraViewTransform"], 4)
    intrinsics = np.array(
        [
            [width / 2 * projection[0, 0], 0, width / 2 * (1 - projection[2, 0])],
            [0, height / 2 * projection[1, 1], height / 2 * (1 + projection[2, 1])],
            [0, 0, 1],
        ]
    )
    world_from_camera = np.asarray(np.linalg.inv(view.T) @ _OPENCV_FROM_USD, np.float64)
    world_from_camera[:3, 3] *= content.get("metersPerSceneUnit", 1.0)
    return Camera(intrinsics, world_from_camera)


def _matrix(values: Any, size: int) -> NDArray[np.float64]:
    matrix = np.asarray(values, np.float64).reshape(size, size)
    if not np.isfinite(matrix).all():
        raise ValueError("not finite")
    return matrix


def motion_from_backward(
    backward: NDArray[np.float32], depth: NDArray[np.float32], depth_next: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Motion of frame t's pixels to frame t + 1, from where frame t + 1's pixels were.

    The motion u at p solves u = -b(p + u), b being the vectors of frame t + 1. A first guess comes from carrying every
    pixel of t + 1 back to the pixels of t around the place it names; a few steps of fixed-point iteration refine it.
    Pixels that nothing names are occluded at t + 1; those where b does not lead back, or leads to another depth, are
    not valid either.

    Args:
        backward: (H, W, >= 2) pixels, at frame t + 1.
        depth, depth_next: (H, W) metres, of frames t and t + 1.

    Returns:
        motion (H, W, 3): dx, dy (pixels), dz (metres); 0 where not valid. valid (H, W).
    """
    vectors = np.ascontiguousarray(np.moveaxis(backward[..., :2], -1, 0))
    guess, named = _first_guess(vectors, depth, depth_next)
    back, u = torch.from_numpy(vectors), torch.from_numpy(guess)
    for _ in range(_REFINEMENTS):
        u = -warp(back, u)[0]
    inverse = warp(torch.from_numpy(1 / depth_next)[None], u)[0].numpy()
    with np.errstate(divide="ignore", invalid="ignore"):  # infinite depth: not valid below
        motion = np.concatenate([u.numpy(), 1 / inverse - depth[None]])
        same_surface = np.abs(motion[2]) <= _DEPTH_CHANGE * depth
    inside, row, column = _landing(motion[1], motion[0])
    mismatch = np.hypot(*(vectors[:, row, column] + motion[:2]))  # of the nearest pixel: no mix across an edge
    landed = depth_next[row, column]
    with np.errstate(invalid="ignore"):
        mixed = ~(np.abs(depth + motion[2] - landed) <= _DEPTH_MIX * landed)  # also true for infinite depth
    valid = named & inside & (mismatch < _MISMATCH) & same_surface & ~mixed
    return np.moveaxis(np.where(valid, motion, np.float32(0)), 0, -1).copy(), valid


def _landing(
    down: NDArray[np.float32], right: NDArray[np.float32]
) -> tuple[NDArray[np.bool_], NDArray[np.intp], NDArray[np.intp]]:
    """Whether each pixel's centre stays in the frame when it moves so, and (row, column) of the pixel nearest to it."""
    H, W = down.shape
    y, x = np.mgrid[0:H, 0:W] + np.float32(0.5)
    y, x = y + down, x + right
    inside = (y >= 0) & (y <= H) & (x >= 0) & (x <= W)
    return inside, y.clip(0, H - 0.5).astype(np.intp), x.clip(0, W - 0.5).astype(np.intp)


def _first_guess(
    vectors: NDArray[np.float32], depth: NDArray[np.float32], depth_next: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """-b (2, H, W) of the nearest pixel of t + 1 that names each pixel of t, or one beside it, and agrees with its
    depth; and which are named."""
    _, H, W = vectors.shape
    guess, named = np.zeros_like(vectors), np.zeros((H, W), bool)
    _, row, column = _landing(vectors[1], vectors[0])
    there = depth[row, column]
    with np.errstate(invalid="ignore"):
        agrees = np.isfinite(depth_next) & (np.abs(depth_next - there) <= _DEPTH_CHANGE * there)
    here = np.argwhere(agrees)
    here = here[np.argsort(-depth_next[agrees], kind="stable")].T  # the nearest is written last
    beside = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    for down, right in sorted(beside, key=lambda offset: -abs(offset[0]) - abs(offset[1])):
        rows, columns = row[*here] + down, column[*here] + right
        inside = (rows >= 0) & (rows < H) & (columns >= 0) & (columns < W)
        guess[:, rows[inside], columns[inside]] = -vectors[:, here[0][inside], here[1][inside]]
        named[rows[inside], columns[inside]] = True
    return guess, named
