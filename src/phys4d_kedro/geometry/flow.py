"""Motion between frames: warping, occlusion, composition, and the warp consistency residual.

Motion is forward: (dx, dy[, dz]) at pixel p of frame t says where the surface point seen there is in frame t+1 (pixels,
x right and y down) and how much its depth changed (metres). Frame t+1 is therefore sampled at p + (dx, dy); frame t is
never sampled at p - (dx, dy). Letters: H rows, W columns, C channels; channels come before rows and columns.
"""

import math

import torch
from torch.nn import functional

from phys4d_kedro.geometry.camera import pixel_grid

# Below this share of the old depth, the logarithm of the carried depth goes on as its tangent (see `warp_residual`).
_LOG_FLOOR = 0.1


def warp(values: torch.Tensor, motion_xy: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Bring frame t+1 back to the pixels of frame t.

    Args:
        values: (..., C, H, W), anything known at the pixels of frame t+1.
        motion_xy: (..., 2, H, W), motion from frame t to t+1 in pixels.

    Returns:
        Bilinear samples of values at p + motion, (..., C, H, W), differentiable in both; and whether p + motion lies
        among the pixel centres of frame t+1, (..., H, W). Outside of these the nearest sample at the border is given.
    """
    height, width = motion_xy.shape[-2:]
    target = pixel_grid(height, width, motion_xy.dtype, motion_xy.device) + motion_xy.movedim(-3, -1)
    inside = (
        (target[..., 0] >= 0.5)
        & (target[..., 0] <= width - 0.5)
        & (target[..., 1] >= 0.5)
        & (target[..., 1] <= height - 0.5)
    )
    # With align_corners=False, grid_sample's [-1, 1] spans [0, W]: pixel centres at integer + 0.5, as ours.
    grid = 2 * target / target.new_tensor([width, height]) - 1
    sampled = functional.grid_sample(
        values.reshape(-1, *values.shape[-3:]),
        grid.reshape(-1, *grid.shape[-3:]).to(values.dtype),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    return sampled.reshape(values.shape), inside


def resize_motion(motion: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Motion (..., 2 or 3, H, W) at another image size (H', W'); dx and dy are rescaled with it, dz is not."""
    height, width = motion.shape[-2:]
    shrinks = size[0] < height or size[1] < width
    resized = functional.interpolate(
        motion.reshape(-1, *motion.shape[-3:]), size=size, mode="bilinear", align_corners=False, antialias=shrinks
    )
    scale = torch.ones(motion.shape[-3], 1, 1, dtype=motion.dtype, device=motion.device)
    scale[0], scale[1] = size[1] / width, size[0] / height
    return (resized * scale).reshape(*motion.shape[:-2], *size)


def compose(
    first: torch.Tensor, second: torch.Tensor, first_valid: torch.Tensor, second_valid: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Motion from t to t+2 out of the motions t to t+1 and t+1 to t+2: m1(p) + m2(p + m1(p)); dz adds alike.

    Args:
        first, second: (..., 2 or 3, H, W).
        first_valid, second_valid: (..., H, W), where each is known.

    Returns:
        (..., 2 or 3, H, W), and where both steps are known: (..., H, W).
    """
    carried, inside = warp(second, first[..., :2, :, :])
    return first + carried, first_valid & inside & _untouched(second_valid, first[..., :2, :, :])


def occlusion(
    forward: torch.Tensor, backward: torch.Tensor, *, relative: float = 0.01, absolute: float = 0.5
) -> torch.Tensor:
    """Where the point seen at p in frame t is visible in frame t+1, by forward-backward consistency: (..., H, W).

    Visible: |f + b(p + f)|^2 < relative (|f|^2 + |b(p + f)|^2) + absolute, and p + f in the frame (Sundaram, Brox,
    Keutzer 2010, eq. 5). forward and backward are (..., 2, H, W) in pixels.
    """
    back, inside = warp(backward, forward)
    mismatch = (forward + back).square().sum(-3)
    allowed = relative * (forward.square().sum(-3) + back.square().sum(-3)) + absolute
    return inside & (mismatch < allowed)


def warp_residual(
    depth_t: torch.Tensor, depth_t1: torch.Tensor, motion: torch.Tensor, valid: torch.Tensor, *, log: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """How far depth and motion of two frames contradict each other.

    `r(p) = D[t+1](p + (dx, dy)) - (D[t](p) + dz)`, or with `log` the difference of their logarithms; zero on exact
    annotations. D[t+1] is interpolated in inverse depth, which is linear in the image on every plane, so that flat
    surfaces have no interpolation error. Where a predicted dz carries a point to less than a tenth of its depth, the
    logarithm goes on as its tangent: still finite, and with a gradient that leads back.

    Args:
        depth_t, depth_t1: (..., H, W) metres, > 0; inf where nothing is hit.
        motion: (..., 3, H, W), dx and dy in pixels, dz in metres.
        valid: (..., H, W), where motion is known and its point visible at t+1.

    Returns:
        |r| (..., H, W), metres or log metres, zero off the mask; differentiable in depth and motion. The mask
        (..., H, W) is `valid` less the pixels that leave the frame or whose sample touches an infinite depth.
    """
    hit_t, hit_t1 = torch.isfinite(depth_t), torch.isfinite(depth_t1)
    sampled, inside = warp((1 / depth_t1)[..., None, :, :], motion[..., :2, :, :])
    mask = valid & hit_t & inside & _untouched(hit_t1, motion[..., :2, :, :])
    # Off the mask, harmless numbers: an inf there would poison the gradient of the whole image.
    landed = 1 / torch.where(mask, sampled[..., 0, :, :], 1.0)
    start = torch.where(mask, depth_t, 1.0)
    dz = torch.where(mask, motion[..., 2, :, :], 0.0)
    residual = landed.log() - (start.log() + _log_ratio(dz / start)) if log else landed - (start + dz)
    return torch.where(mask, residual.abs(), 0.0), mask


def _log_ratio(change: torch.Tensor) -> torch.Tensor:
    """log(1 + change), continued below 1 + change = _LOG_FLOOR by its tangent."""
    low = 1 + change < _LOG_FLOOR
    tangent = math.log(_LOG_FLOOR) + (1 + change) / _LOG_FLOOR - 1
    return torch.where(low, tangent, torch.log1p(torch.where(low, 0.0, change)))


def _untouched(known: torch.Tensor, motion_xy: torch.Tensor) -> torch.Tensor:
    """Where a bilinear sample of frame t+1 at p + motion uses known pixels only, but for weights of rounding."""
    unknown = (~known).to(motion_xy.dtype)[..., None, :, :]
    return warp(unknown, motion_xy.detach())[0][..., 0, :, :] < 1e-4
