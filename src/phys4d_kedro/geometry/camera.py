"""Pinhole cameras: pixels to points and back, rigid poses.

Conventions, everywhere: pixel centres lie at integer coordinates + 0.5, so the image spans [0, W] x [0, H]; camera
axes are OpenCV's (x right, y down, z forward); depth is z, in metres, never the length of the ray. Cameras and poses
are made in NumPy, as clips carry them; what is computed per pixel is PyTorch, in the precision of the tensor given.
"""

import math

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray


def pixel_grid(
    height: int, width: int, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> torch.Tensor:
    """The centre (x, y) of every pixel: (H, W, 2), [i, j] = (j + 0.5, i + 0.5)."""
    x = torch.arange(width, dtype=dtype, device=device) + 0.5
    y = torch.arange(height, dtype=dtype, device=device) + 0.5
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)


def unproject_pixels(pixels: torch.Tensor, depth: torch.Tensor, intrinsics: torch.Tensor) -> torch.Tensor:
    """Camera points (..., 3), metres, seen at pixels (..., 2) with depth (...); the inverse of `project`.

    Infinite depth gives points that are not finite.
    """
    matrix = intrinsics.to(depth)
    x = (pixels[..., 0] - matrix[0, 2]) / matrix[0, 0]
    y = (pixels[..., 1] - matrix[1, 2]) / matrix[1, 1]
    return torch.stack([x * depth, y * depth, depth], dim=-1)


def unproject(depth: torch.Tensor, intrinsics: torch.Tensor) -> torch.Tensor:
    """Camera points (..., H, W, 3), metres, of the pixel centres of depth maps (..., H, W); intrinsics (3, 3)."""
    height, width = depth.shape[-2:]
    return unproject_pixels(pixel_grid(height, width, depth.dtype, depth.device), depth, intrinsics)


def project(points: torch.Tensor, intrinsics: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels (..., 2) and depth (...) in metres of camera points (..., 3); intrinsics (3, 3).

    A point with depth <= 0 lies behind the camera: its pixel means nothing, and the caller must mask it.
    """
    matrix = intrinsics.to(points)
    depth = points[..., 2]
    x = matrix[0, 0] * points[..., 0] / depth + matrix[0, 2]
    y = matrix[1, 1] * points[..., 1] / depth + matrix[1, 2]
    return torch.stack([x, y], dim=-1), depth


def transform(points: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Points (..., K, 3) moved by rigid or affine matrices (..., 4, 4) whose leading sizes are those of the points.

    A matrix (4, 4) moves all points alike; matrices (T, 4, 4) move points (T, H, W, 3) frame by frame.
    """
    between = points.dim() - 1 - (matrix.dim() - 2)
    if between < 0:
        raise ValueError(f"points {tuple(points.shape)} have fewer dimensions than matrix {tuple(matrix.shape)} needs")
    matrix = matrix.to(points).reshape(*matrix.shape[:-2], *(1,) * between, 4, 4)
    return (matrix[..., :3, :3] @ points[..., None])[..., 0] + matrix[..., :3, 3]


def invert_pose(pose: torch.Tensor) -> torch.Tensor:
    """The inverse of rigid poses (..., 4, 4): world_from_camera becomes camera_from_world."""
    rotation = pose[..., :3, :3].transpose(-1, -2)
    inverse = torch.zeros_like(pose)
    inverse[..., :3, :3] = rotation
    inverse[..., :3, 3] = -(rotation @ pose[..., :3, 3:])[..., 0]
    inverse[..., 3, 3] = 1
    return inverse


def ray_length_to_depth(distance: torch.Tensor, intrinsics: torch.Tensor) -> torch.Tensor:
    """Depth along the optical axis (..., H, W) from the distance to the camera's centre (..., H, W), both metres.

    Infinite distance stays infinite.
    """
    direction = unproject(torch.ones_like(distance), intrinsics)
    return distance / torch.linalg.vector_norm(direction, dim=-1)


def look_at(eye: ArrayLike, target: ArrayLike, up: ArrayLike = (0.0, 0.0, 1.0)) -> NDArray[np.float64]:
    """world_from_camera (..., 4, 4) of cameras at eye (..., 3) looking at target (..., 3), metres.

    The image's vertical is `up` (world) as nearly as can be.

    Raises:
        ValueError: eye and target coincide, or the view direction is parallel to `up`.
    """
    eye, target, up = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in (eye, target, up)))
    forward = target - eye
    right = np.cross(forward, up)
    if not (np.linalg.norm(right, axis=-1) > 1e-9 * np.linalg.norm(forward, axis=-1)).all():
        raise ValueError("look_at: eye and target coincide, or the view direction is parallel to up")
    forward = forward / np.linalg.norm(forward, axis=-1, keepdims=True)
    right = right / np.linalg.norm(right, axis=-1, keepdims=True)
    pose = np.zeros((*eye.shape[:-1], 4, 4))
    pose[..., :3, :3] = np.stack([right, np.cross(forward, right), forward], axis=-1)
    pose[..., :3, 3] = eye
    pose[..., 3, 3] = 1.0
    return pose


def intrinsics_from_fov(fov_y_degrees: float, height: int, width: int) -> NDArray[np.float64]:
    """Intrinsics (3, 3) of a camera with square pixels and a centred axis, from its vertical field of view."""
    if not 0.0 < fov_y_degrees < 180.0:
        raise ValueError(f"the vertical field of view must lie between 0 and 180 degrees, not {fov_y_degrees}")
    focal = height / (2 * math.tan(math.radians(fov_y_degrees) / 2))
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], np.float64)
