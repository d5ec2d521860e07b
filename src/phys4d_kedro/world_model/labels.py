"""What heads should say of a clip: targets of depth and motion, and how much each pixel counts.

Letters: B clips, T H W frames, rows and columns.
"""

from dataclasses import dataclass

import torch

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.world_model.heads import encode_depth, encode_motion


@dataclass(frozen=True)
class Labels:
    """Targets of a batch: `depth` (B, T, H, W, 1) log depth, `motion` (B, T-1, H, W, 3) as `encode_motion` makes it;
    `depth_weight` (B, T, H, W) and `motion_weight` (B, T-1, H, W): confidence where labelled, else 0."""

    depth: torch.Tensor
    depth_weight: torch.Tensor
    motion: torch.Tensor
    motion_weight: torch.Tensor


def read_labels(clips: ClipStore, clip_id: str) -> Labels:
    """Targets and weights of one clip. Raises MissingAnnotationError if it has no depth or motion."""
    clip = clips.read(clip_id)
    clip.require("depth", "motion")
    depth = torch.from_numpy(clip.depth)
    motion = torch.from_numpy(clip.motion)
    known = torch.isfinite(depth)
    filled = depth.where(known, torch.ones(()))
    depth_weight = known.float()
    motion_weight = (torch.from_numpy(clip.motion_valid) & known[:-1]).float()
    if clip.depth_confidence is not None:
        depth_weight = depth_weight * torch.from_numpy(clip.depth_confidence)
    if clip.motion_confidence is not None:
        motion_weight = motion_weight * torch.from_numpy(clip.motion_confidence)
    return Labels(
        depth=encode_depth(filled)[None],
        depth_weight=depth_weight[None],
        motion=encode_motion(motion, filled)[None],
        motion_weight=motion_weight[None],
    )
