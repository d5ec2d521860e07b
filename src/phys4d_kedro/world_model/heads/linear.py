"""The simplest head: a projection of the last tokens."""

import torch
from diffusers.configuration_utils import register_to_config

from phys4d_kedro.world_model.backbones.base import Prediction
from phys4d_kedro.world_model.heads.base import Head, last_projection, modulation, token_norm
from phys4d_kedro.world_model.heads.layout import tokens_to_pixels


class LinearHead(Head):
    """Norm, time modulation, projection (Phys4D's first head; Xavier weights of gain 0.01).

    The modulation is the transformer's own before its output, plus a learned table that starts at zero.

    Args:
        feature_dim: D of the backbone.
        channels: C, numbers a pixel.
        temporal, pixels: r and P of the backbone.
        mean, std: per channel, of the targets.
        backbone: fingerprint of the transformer and VAE the head was trained on; heads fit no other.
        chunk: latent frames that the backbone's VAE compresses at a time; None: all.
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
        chunk: int | None = None,
    ) -> None:
        super().__init__()
        self.norm = token_norm(feature_dim)
        self.scale_shift_table = torch.nn.Parameter(torch.zeros(2, feature_dim))
        self.proj = last_projection(feature_dim, temporal * pixels * pixels * channels)

    def forward(self, reading: Prediction) -> torch.Tensor:
        """A reading with features (B, t, h, w, D) -> standardised values (B, T, H, W, C)."""
        shift, scale = modulation(reading)
        own_shift, own_scale = self.scale_shift_table
        tokens = self.norm(reading.features) * (1 + scale + own_scale) + shift + own_shift
        return tokens_to_pixels(self.proj(tokens), self.config.temporal, self.config.pixels, self.config.chunk)
