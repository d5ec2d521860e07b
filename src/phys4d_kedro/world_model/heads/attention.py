"""Attention between the latent frames of one place, with rotary position embedding (Su et al. 2021)."""

import torch
from torch.nn import functional

_ROTARY_BASE = 10_000.0  # wavelengths in frames: from 2 pi to 2 pi times this


class TemporalAttention(torch.nn.Module):
    """Norm, self-attention over all latent frames, output projection of zeros: added to its input, it starts as
    identity (Video Depth Anything's motion modules)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = torch.nn.LayerNorm(width)
        self.qkv = torch.nn.Linear(width, 3 * width)
        self.out = torch.nn.Linear(width, width)
        torch.nn.init.zeros_(self.out.weight)
        torch.nn.init.zeros_(self.out.bias)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, t, h, w, width) -> the same; a place sees itself at all times, no other place."""
        places = self.norm(tokens).permute(0, 2, 3, 1, 4)  # B h w t width
        joined = self.qkv(places).unflatten(-1, (3, self.heads, -1)).flatten(0, 2)  # places t 3 heads d
        query, key, value = joined.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(rotate(query), rotate(key), value)  # places heads t d
        seen = seen.transpose(1, 2).flatten(2).unflatten(0, places.shape[:3])
        return tokens + self.out(seen).permute(0, 3, 1, 2, 4)


def rotate(vectors: torch.Tensor) -> torch.Tensor:
    """Turn pairs of coordinates of (..., t, d) by angles in proportion to t: dot products see distances in time."""
    t, d = vectors.shape[-2:]
    frequency = _ROTARY_BASE ** -(torch.arange(0, d, 2, device=vectors.device) / d)
    angle = torch.arange(t, device=vectors.device)[:, None] * frequency
    cos, sin = angle.cos().to(vectors.dtype), angle.sin().to(vectors.dtype)
    first, second = vectors.chunk(2, -1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)
