"""What heads should say of a clip: targets of depth and motion, and how much each pixel counts.

Letters: B clips, T H W frames, rows and columns.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.geometry.lifting import moving_instances
from phys4d_kedro.world_model.heads import encode_depth, encode_motion


@dataclass(frozen=True)
class Labels:
    """Targets of a batch: `depth` (B, T, H, W, 1) log depth, `motion` (B, T-1, H, W, 3) as `encode_motion` makes it;
    `depth_weight` (B, T, H, W) and `motion_weight` (B, T-1, H, W): how much a pixel counts, 0 where it has no label."""

    depth: torch.Tensor
    depth_weight: torch.Tensor
    motion: torch.Tensor
    motion_weight: torch.Tensor


def read_labels(clips: ClipStore, clip_id: str, *, moving_weight: float = 1.0) -> Labels:
    """Targets of one clip, and weights: its confidence, where it has some.

    Args:
        moving_weight: factor on the weights of pixels of objects that move; other than 1 for simulated clips alone.

    Raises:
        MissingAnnotationError: it has no depth or motion; or nothing to tell by which objects move.
    """
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
    if moving_weight != 1:
        factor = torch.from_numpy(np.where(_on_moving_objects(clip), np.float32(moving_weight), np.float32(1)))
        depth_weight, motion_weight = depth_weight * factor, motion_weight * factor[:-1]
    return Labels(
        depth=encode_depth(filled)[None],
        depth_weight=depth_weight[None],
        motion=encode_motion(motion, filled)[None],
        motion_weight=motion_weight[None],
    )


def _on_moving_objects(clip: Clip) -> NDArray[np.bool_]:
    """Pixels (T, H, W) of objects that move at any time of the clip."""
    clip.require("segmentation")
    assert clip.segmentation is not None
    return np.isin(clip.segmentation, moving_instances(clip))
