"""Heads that read depth and motion off a backbone's hidden tokens, for every pixel of every pixel frame.

`layout` says which token holds which pixels, `coding` what the numbers mean, `base` what all heads share; the kinds are
`linear`, `conv` and `dpt`.
"""

from phys4d_kedro.world_model.heads.base import Head, statistics
from phys4d_kedro.world_model.heads.coding import (
    DEPTH_CHANNELS,
    MOTION_CHANNELS,
    decode_depth,
    decode_motion,
    encode_depth,
    encode_motion,
)
from phys4d_kedro.world_model.heads.conv import ConvHead
from phys4d_kedro.world_model.heads.dpt import DptHead
from phys4d_kedro.world_model.heads.layout import pixels_to_tokens, tokens_to_pixels
from phys4d_kedro.world_model.heads.linear import LinearHead
from phys4d_kedro.world_model.heads.registry import HEADS, load_head

__all__ = [
    "DEPTH_CHANNELS",
    "HEADS",
    "MOTION_CHANNELS",
    "ConvHead",
    "DptHead",
    "Head",
    "LinearHead",
    "decode_depth",
    "decode_motion",
    "encode_depth",
    "encode_motion",
    "load_head",
    "pixels_to_tokens",
    "statistics",
    "tokens_to_pixels",
]
