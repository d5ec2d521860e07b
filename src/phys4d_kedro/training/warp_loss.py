"""What couples predicted depth and motion in stage 2: each frame, carried along its motion, must be like the next.

Letters: B clips, T H W frames, rows and columns. Sources: Phys4D (warp consistency); `geometry.flow` for the residual.
"""

import torch

from phys4d_kedro.geometry.flow import warp, warp_residual
from phys4d_kedro.training.objectives import mean_of_each_clip
from phys4d_kedro.world_model.heads import decode_depth, decode_motion


def warp_consistency(
    depth_values: torch.Tensor, motion_values: torch.Tensor, depth_weight: torch.Tensor, motion_weight: torch.Tensor
) -> torch.Tensor:
    """Mean over each clip (B,) of `|log D[t+1](p + (dx, dy)) - log(D[t](p) + dz)|` between neighbouring frames.

    Depth that is flat and does not move would be consistent too: this loss stands beside those of depth and motion,
    never alone. Pixels are silent where the simulator says that their point is hidden in the next frame, and where they
    land beside a pixel without a surface.

    Args:
        depth_values: (B, T, H, W, 1), what the depth head means, in the units of `encode_depth`.
        motion_values: (B, T-1, H, W, 3), what the motion head means, in the units of `encode_motion`.
        depth_weight: (B, T, H, W), 0 where there is no surface.
        motion_weight: (B, T-1, H, W), 0 where motion is unknown or its point not visible in the next frame.

    Returns:
        Differentiable in depth and motion.
    """
    depth = decode_depth(depth_values)
    motion = decode_motion(motion_values, depth).movedim(-1, -3)
    depth = depth.where(depth_weight > 0, torch.inf)
    residual, mask = warp_residual(depth[:, :-1], depth[:, 1:], motion, motion_weight > 0)
    return mean_of_each_clip(residual, motion_weight * mask)


def photometric_consistency(
    pixels: torch.Tensor, motion_values: torch.Tensor, motion_weight: torch.Tensor
) -> torch.Tensor:
    """Mean over each clip (B,) of `|I[t+1](p + (dx, dy)) - I[t](p)|` of a generated video and its predicted motion.

    Args:
        pixels: (B, 3, T, H, W) in [-1, 1].
        motion_values, motion_weight: as in `warp_consistency`.

    Returns:
        Differentiable in pixels and motion.
    """
    H, W = motion_values.shape[-3:-1]
    motion_xy = torch.stack([motion_values[..., 0] * W, motion_values[..., 1] * H], -3)
    frames = pixels.movedim(2, 1)
    carried, inside = warp(frames[:, 1:], motion_xy)
    return mean_of_each_clip((carried - frames[:, :-1]).abs().mean(2), motion_weight * inside)
