"""What the channels of the heads mean: log depth; motion in no unit, whatever the image size and metric scale."""

import torch

DEPTH_CHANNELS = 1  # log depth
MOTION_CHANNELS = 3  # dx / W, dy / H, change of log depth


def encode_depth(depth: torch.Tensor) -> torch.Tensor:
    """Depth (..., T, H, W) in metres -> log depth (..., T, H, W, 1)."""
    return depth.log()[..., None]


def decode_depth(values: torch.Tensor) -> torch.Tensor:
    """Log depth (..., T, H, W, 1) -> metres (..., T, H, W)."""
    return values[..., 0].exp()


def encode_motion(motion: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
    """Motion (..., T-1, H, W, 3) in pixels and metres, with depth (..., T, H, W) -> the head's three channels.

    The depth change becomes log((D + dz) / D): of no unit, as log depth's differences are. It is clamped below where
    dz <= -D, which no visible point can have but an estimate may.
    """
    H, W = motion.shape[-3:-1]
    ratio = 1 + motion[..., 2] / depth[..., :-1, :, :]
    return torch.stack([motion[..., 0] / W, motion[..., 1] / H, ratio.clamp_min(1e-2).log()], dim=-1)


def decode_motion(values: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
    """The inverse of `encode_motion`: (..., T-1, H, W, 3) and depth (..., T, H, W) -> pixels and metres."""
    H, W = values.shape[-3:-1]
    dz = depth[..., :-1, :, :] * torch.expm1(values[..., 2])
    return torch.stack([values[..., 0] * W, values[..., 1] * H, dz], dim=-1)
