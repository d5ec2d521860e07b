"""A dense-prediction head: scales of different depths, compared over time, fused from coarse to fine."""

from collections.abc import Sequence

import torch
from diffusers.configuration_utils import register_to_config
from torch.nn import functional

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.world_model.backbones.base import LAYERS, Prediction
from phys4d_kedro.world_model.heads.attention import TemporalAttention
from phys4d_kedro.world_model.heads.base import Head, last_projection, modulation, token_norm
from phys4d_kedro.world_model.heads.layout import tokens_to_pixels
from phys4d_kedro.world_model.heads.upsampling import NEIGHBOURS, convex_upsample


class DptHead(Head):
    """Depths of the transformer at scales of their own, after DPT (Ranftl et al. 2021) and Video Depth Anything.

    The four layers become grids of `cells`, `cells` / 2, `cells` / 4 and `cells` / 8 cells along a token's edge, the
    earliest the finest. On each, a place attends to itself in all latent frames; then each is fused into the next
    finer one. A cell of the finest grid predicts a value for each of its r pixel frames, and how the pixels of each
    of these mix it with its neighbours' (convex upsampling).

    Args:
        feature_dim, channels, temporal, pixels, mean, std, backbone, chunk: as in `LinearHead`.
        width: channels of all grids.
        heads: attention heads; they split `width` into even parts.
        cells: of the finest grid, along a token's edge; they divide `pixels`, and are a power of two.

    Raises:
        ConfigurationError: `cells` do not fit `pixels`.
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
        width: int,
        heads: int,
        cells: int,
    ) -> None:
        super().__init__()
        if pixels % cells or cells & (cells - 1):
            raise ConfigurationError(
                f"dpt_head: cells {cells} must be a power of two that divides the {pixels} pixels of a token's edge"
            )
        self.fine = pixels // cells
        scales = [cells / 2**layer for layer in range(LAYERS)]
        self.grids = torch.nn.ModuleList([_Grid(feature_dim, width, scale) for scale in scales])
        self.attentions = torch.nn.ModuleList([TemporalAttention(width, heads) for _ in scales])
        self.coarsest = _residual(width)
        self.fusions = torch.nn.ModuleList([_Fusion(width) for _ in scales[1:]])
        self.proj = last_projection(width, temporal * channels)
        self.mix = torch.nn.Linear(width, temporal * self.fine**2 * NEIGHBOURS)

    def forward(self, reading: Prediction) -> torch.Tensor:
        """A reading with `layers` of (B, t, h, w, D) -> standardised values (B, T, H, W, C)."""
        shift, _ = modulation(reading)
        scales = [
            attention(grid(layer, shift))
            for grid, attention, layer in zip(self.grids, self.attentions, reading.layers, strict=True)
        ]
        path = self._fuse([_to_images(scale) for scale in scales])
        cells = functional.gelu(path).movedim(1, -1).unflatten(0, scales[0].shape[:2])
        return self._predict(cells)

    def _fuse(self, scales: Sequence[torch.Tensor]) -> torch.Tensor:
        """Images (B t, width, rows, columns), finest first -> one of the finest size."""
        path = scales[-1] + self.coarsest(scales[-1])
        for fusion, finer in zip(self.fusions, reversed(scales[:-1]), strict=True):
            path = fusion(path, finer)
        return path

    def _predict(self, cells: torch.Tensor) -> torch.Tensor:
        """Cells (B, t, h cells, w cells, width) -> (B, T, H, W, C)."""
        temporal = self.config.temporal
        values = self.proj(cells).unflatten(-1, (temporal, -1)).movedim(-2, 2)  # B t r rows columns C
        logits = self.mix(cells).unflatten(-1, (temporal, NEIGHBOURS, -1)).movedim(-3, 2)
        fine = convex_upsample(values.flatten(0, 2), logits.flatten(0, 2))  # B t r, rows, columns, C, F
        frames = fine.unflatten(0, values.shape[:3]).permute(0, 1, 3, 4, 2, 6, 5)  # B t rows columns r F C
        return tokens_to_pixels(frames.flatten(4), temporal, self.fine, self.config.chunk)


class _Grid(torch.nn.Module):
    """Tokens, normed, projected, modulated by the noise level, and brought to `scale` cells along a token's edge.

    Cells nest: those of a coarser grid cover whole ones of a finer. Where tokens do not fill the last coarse cell, the
    border's are repeated.
    """

    def __init__(self, feature_dim: int, width: int, scale: float) -> None:
        super().__init__()
        self.norm = token_norm(feature_dim)
        self.project = torch.nn.Linear(feature_dim, width)
        self.time = torch.nn.Linear(feature_dim, 2 * width)
        self.tokens = max(round(1 / scale), 1)  # along the edge of a cell
        cells = max(round(scale), 1)
        self.resize: torch.nn.Module = torch.nn.Identity()
        if cells > 1:
            self.resize = torch.nn.ConvTranspose2d(width, width, cells, stride=cells)
        elif self.tokens > 1:
            self.resize = torch.nn.Conv2d(width, width, self.tokens, stride=self.tokens)

    def forward(self, tokens: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        """Tokens (B, t, h, w, D), shift alike -> (B, t, rows, columns, width)."""
        own_shift, own_scale = self.time(shift).chunk(2, -1)
        images = _to_images(self.project(self.norm(tokens)) * (1 + own_scale) + own_shift)
        h, w = images.shape[-2:]
        images = functional.pad(images, (0, -w % self.tokens, 0, -h % self.tokens), mode="replicate")
        return self.resize(images).movedim(1, -1).unflatten(0, tokens.shape[:2])


class _Fusion(torch.nn.Module):
    """A grid and the next coarser one -> one of the finer size."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.finer = _residual(width)
        self.joint = _residual(width)

    def forward(self, coarser: torch.Tensor, finer: torch.Tensor) -> torch.Tensor:
        rows, columns = finer.shape[-2:]
        enlarged = functional.interpolate(coarser, scale_factor=2, mode="bilinear")[..., :rows, :columns]
        joint = enlarged + finer + self.finer(finer)
        return joint + self.joint(joint)


def _to_images(grid: torch.Tensor) -> torch.Tensor:
    """(B, t, rows, columns, width) -> (B t, width, rows, columns)."""
    return grid.flatten(0, 1).movedim(-1, 1)


def _residual(width: int) -> torch.nn.Sequential:
    return torch.nn.Sequential(
        torch.nn.GELU(),
        torch.nn.Conv2d(width, width, 3, padding=1),
        torch.nn.GELU(),
        torch.nn.Conv2d(width, width, 3, padding=1),
    )
