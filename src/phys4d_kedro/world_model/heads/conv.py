"""A head of convolutions over the tokens of several depths of the transformer."""

import torch
from diffusers.configuration_utils import register_to_config
from torch.nn import functional

from phys4d_kedro.world_model.backbones.base import LAYERS, Prediction
from phys4d_kedro.world_model.heads.base import Head, last_projection, modulation, token_norm
from phys4d_kedro.world_model.heads.layout import tokens_to_pixels


class ConvHead(Head):
    """Sees several depths of the transformer, the latent frame before, and neighbours in space and time.

    Where things are is on show in the features of one token; how they move is not, as the transformer was never asked
    for it. It takes comparing a token with its past and its surroundings, which no projection of one token does: layers
    are normed and joined, beside those of the same place one latent frame earlier; a layer of width `hidden` squeezes
    them into `width` channels; residual blocks convolve these over space, then over time; a projection ends it.

    Args:
        feature_dim, channels, temporal, pixels, mean, std, backbone, chunk: as in `LinearHead`.
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
        chunk: int | None = None,
        hidden: int,
        width: int,
        blocks: int,
    ) -> None:
        super().__init__()
        self.norm = token_norm(feature_dim)
        self.mix = torch.nn.Linear(2 * LAYERS * feature_dim, hidden)
        self.time = torch.nn.Linear(feature_dim, hidden)
        self.squeeze = torch.nn.Linear(hidden, width)
        self.residuals = torch.nn.ModuleList([_space_time_block(width) for _ in range(blocks)])
        self.proj = last_projection(width, temporal * pixels * pixels * channels)

    def forward(self, reading: Prediction) -> torch.Tensor:
        """A reading with `layers` of (B, t, h, w, D) -> standardised values (B, T, H, W, C)."""
        shift, _ = modulation(reading)
        now = torch.cat([self.norm(layer) for layer in reading.layers], -1)
        before = torch.cat([now[:, :1], now[:, :-1]], 1)
        mixed = self.mix(torch.cat([now, before], -1)) + self.time(shift)
        hidden = self.squeeze(functional.gelu(mixed)).movedim(-1, 1)
        for block in self.residuals:
            hidden = hidden + block(hidden)
        tokens = self.proj(functional.gelu(hidden.movedim(1, -1)))
        return tokens_to_pixels(tokens, self.config.temporal, self.config.pixels, self.config.chunk)


def _space_time_block(width: int) -> torch.nn.Sequential:
    return torch.nn.Sequential(
        torch.nn.GELU(),
        torch.nn.Conv3d(width, width, (1, 3, 3), padding=(0, 1, 1)),
        torch.nn.GELU(),
        torch.nn.Conv3d(width, width, (3, 1, 1), padding=(1, 0, 0)),
    )
