"""Heads that read depth and motion off a backbone's hidden tokens, for every pixel of every pixel frame.

Layout, once for all heads: a token of latent frame k stands for a square of P x P pixels in the r pixel frames
r (k - 1) + 1 .. r k; the first latent frame stands for pixel frame 0 alone. The head puts r x P x P x C numbers out
for every token, and those of the first latent frame but its last slot are dropped. Motion from frame f - 1 to frame f
is read at the token that holds frame f, which has seen both; so all T - 1 motions come out, none averaged over time.

Letters: B clips, t latent frames, h w tokens down and across, D feature width, T H W pixel frames, rows, columns, C
channels, r temporal compression, P pixels of a token's edge.
"""

import json
import math
from pathlib import Path
from typing import Any

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch.nn import functional

from phys4d_kedro.errors import CheckpointError
from phys4d_kedro.world_model.backbones.base import LAYERS, Prediction

DEPTH_CHANNELS = 1  # log depth
MOTION_CHANNELS = 3  # dx / W, dy / H, change of log depth


def tokens_to_pixels(tokens: torch.Tensor, temporal: int, pixels: int) -> torch.Tensor:
    """(B, t, h, w, r P P C) -> (B, 1 + r (t - 1), h P, w P, C), by the layout above."""
    B, t, h, w, width = tokens.shape
    channels = width // (temporal * pixels * pixels)
    blocks = tokens.view(B, t, h, w, temporal, pixels, pixels, channels)
    video = blocks.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(B, t * temporal, h * pixels, w * pixels, channels)
    return video[:, temporal - 1 :]


def pixels_to_tokens(video: torch.Tensor, temporal: int, pixels: int) -> torch.Tensor:
    """(B, T, H, W, C) -> (B, t, H/P, W/P, r P P C): the inverse; the first frame fills its unused slots too."""
    B, T, H, W, channels = video.shape
    padded = torch.cat([video[:, :1].expand(-1, temporal - 1, -1, -1, -1), video], dim=1)
    h, w = H // pixels, W // pixels
    blocks = padded.reshape(B, -1, temporal, h, pixels, w, pixels, channels).permute(0, 1, 3, 5, 2, 4, 6, 7)
    return blocks.reshape(B, (T - 1) // temporal + 1, h, w, temporal * pixels * pixels * channels)


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


class Head(ModelMixin, ConfigMixin):
    """What all heads share: they predict standardised values, (target - mean) / std per channel."""

    def destandardise(self, values: torch.Tensor) -> torch.Tensor:
        """Standardised values -> values, in the units of the targets."""
        return values * self._constant("std", values) + self._constant("mean", values)

    def standardise(self, values: torch.Tensor) -> torch.Tensor:
        """The inverse of `destandardise`."""
        return (values - self._constant("mean", values)) / self._constant("std", values)

    def _constant(self, name: str, like: torch.Tensor) -> torch.Tensor:
        return torch.tensor(self.config[name], dtype=like.dtype, device=like.device)


class LinearHead(Head):
    """Norm, time modulation, projection (Phys4D's first head; Xavier weights of gain 0.01).

    Args:
        feature_dim: D of the backbone.
        channels: C, numbers a pixel.
        temporal, pixels: r and P of the backbone.
        mean, std: per channel, of the targets.
        backbone: fingerprint of the transformer and VAE the head was trained on; heads fit no other.
    """

    @register_to_config
    def __init__(
        self,
        *,
        feature_dim: int,
        channels: int,
        temporal: int,
        pixels: int,
        mean: list[float],
        std: list[float],
        backbone: str,
    ) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(feature_dim, eps=1e-6, elementwise_affine=False)
        self.scale_shift_table = torch.nn.Parameter(torch.zeros(2, feature_dim))
        self.proj = _last_projection(feature_dim, temporal * pixels * pixels * channels)

    def forward(self, reading: Prediction) -> torch.Tensor:
        """A reading with features (B, t, h, w, D) -> standardised values (B, T, H, W, C)."""
        shift = self.scale_shift_table[0] + reading.time_embedding
        scale = self.scale_shift_table[1] + reading.time_embedding
        tokens = self.proj(self.norm(reading.features) * (1 + scale) + shift)
        return tokens_to_pixels(tokens, self.config.temporal, self.config.pixels)


class ConvHead(Head):
    """Sees several depths of the transformer, the latent frame before, and neighbours in space and time.

    Where things are is on show in the features of one token; how they move is not, as the transformer was never asked
    for it. It takes comparing a token with its past and its surroundings, which no projection of one token does: layers
    are normed and joined, beside those of the same place one latent frame earlier; a layer of width `hidden` squeezes
    them into `width` channels; residual blocks convolve these over space, then over time; a projection ends it.

    Args:
        feature_dim, channels, temporal, pixels, mean, std, backbone: as in `LinearHead`.
        hidden, width, blocks: sizes.
    """

    @register_to_config
    def __init__(
        self,
        *,
        feature_dim: int,
        channels: int,
        temporal: int,
        pixels: int,
        mean: list[float],
        std: list[float],
        backbone: str,
        hidden: int,
        width: int,
        blocks: int,
    ) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(feature_dim, eps=1e-6, elementwise_affine=False)
        self.mix = torch.nn.Linear(2 * LAYERS * feature_dim, hidden)
        self.time = torch.nn.Linear(feature_dim, hidden)
        self.squeeze = torch.nn.Linear(hidden, width)
        self.residuals = torch.nn.ModuleList([_space_time_block(width) for _ in range(blocks)])
        self.proj = _last_projection(width, temporal * pixels * pixels * channels)

    def forward(self, reading: Prediction) -> torch.Tensor:
        """A reading with `layers` of (B, t, h, w, D) -> standardised values (B, T, H, W, C)."""
        now = torch.cat([self.norm(layer) for layer in reading.layers], -1)
        before = torch.cat([now[:, :1], now[:, :-1]], 1)
        mixed = self.mix(torch.cat([now, before], -1)) + self.time(reading.time_embedding)
        hidden = self.squeeze(functional.gelu(mixed)).movedim(-1, 1)
        for block in self.residuals:
            hidden = hidden + block(hidden)
        tokens = self.proj(functional.gelu(hidden.movedim(1, -1)))
        return tokens_to_pixels(tokens, self.config.temporal, self.config.pixels)


HEADS: dict[str, type[Head]] = {"linear": LinearHead, "conv": ConvHead}


def load_head(folder: Path) -> Head:
    """The head that `save_pretrained` wrote to `folder`, ready for use.

    Raises:
        CheckpointError: there is none, or it cannot be loaded.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise CheckpointError(f"there is no head in {folder}; kedro run --pipeline=pretrain makes one")
    try:
        kind = json.loads(path.read_text(encoding="utf-8"))["_class_name"]
        classes = {head.__name__: head for head in HEADS.values()}
        return classes[kind].from_pretrained(folder, local_files_only=True).eval()
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"the head in {folder} cannot be loaded: {error}") from error


def _last_projection(inputs: int, outputs: int) -> torch.nn.Linear:
    """A projection whose first predictions are about zero: the mean of the targets."""
    projection = torch.nn.Linear(inputs, outputs)
    torch.nn.init.xavier_uniform_(projection.weight, gain=0.01)
    torch.nn.init.zeros_(projection.bias)
    return projection


def _space_time_block(width: int) -> torch.nn.Sequential:
    return torch.nn.Sequential(
        torch.nn.GELU(),
        torch.nn.Conv3d(width, width, (1, 3, 3), padding=(0, 1, 1)),
        torch.nn.GELU(),
        torch.nn.Conv3d(width, width, (3, 1, 1), padding=(1, 0, 0)),
    )


def statistics(count: float, total: Any, squares: Any) -> tuple[list[float], list[float]]:
    """Per-channel mean and standard deviation from a count and channel sums; stds of a constant channel become 1."""
    means = [float(x) / count for x in total]
    stds = [math.sqrt(max(float(s) / count - m * m, 0.0)) for s, m in zip(squares, means, strict=True)]
    return means, [s if s > 1e-6 else 1.0 for s in stds]
