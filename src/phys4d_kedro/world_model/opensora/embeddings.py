"""What goes into STDiT3 beside its tokens: numbers, captions and positions, embedded.

Letters: B clips, C hidden width, T H W latent frames, rows and columns, L prompt tokens. Modules and buffers carry the
names of the published checkpoint.
"""

import torch
from diffusers.models.embeddings import get_timestep_embedding
from torch import nn

_FREQUENCIES = 256  # of an embedded number: half cosines, half sines
_PERIOD = 10_000  # of the slowest wave, over 2 pi


class PatchEmbedder(nn.Module):
    """Latents -> tokens: a convolution whose stride is its kernel."""

    def __init__(self, channels: int, width: int, patch: tuple[int, int, int]) -> None:
        super().__init__()
        self.proj = nn.Conv3d(channels, width, patch, patch)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """(B, channels, T, H, W) -> (B, T, H' W', C), row by row."""
        tokens: torch.Tensor = self.proj(latents)
        return tokens.permute(0, 2, 3, 4, 1).flatten(2, 3)


class NumberEmbedder(nn.Module):
    """Embeds timesteps and frame rates: waves, then two linear layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(_FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, numbers: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """(B, n) -> (B, n, C) of `dtype`.

        The waves are taken in float32; Open-Sora itself rounds the numbers to the weights' precision before, which in
        bf16 moves a timestep by up to 2 of 1000.
        """
        waves = get_timestep_embedding(
            numbers.flatten().float(), _FREQUENCIES, flip_sin_to_cos=True, downscale_freq_shift=0
        )
        embedded: torch.Tensor = self.mlp(waves.to(dtype))
        return embedded.unflatten(0, numbers.shape)


class CaptionEmbedder(nn.Module):
    """Projects prompt embeddings; `y_embedding` (L, channels) is the prompt that stands for none."""

    y_embedding: torch.Tensor

    def __init__(self, channels: int, width: int, tokens: int) -> None:
        super().__init__()
        self.register_buffer("y_embedding", torch.randn(tokens, channels) / channels**0.5)
        self.y_proj = Mlp(channels, width, width)

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        """(B, L, channels) -> (B, L, C)."""
        projected: torch.Tensor = self.y_proj(text)
        return projected


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(inputs, hidden)
        self.act = nn.GELU(approximate="tanh")
        self.fc2 = nn.Linear(hidden, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., inputs) -> (..., outputs)."""
        return self.fc2(self.act(self.fc1(x)))


class RotaryEmbedding(nn.Module):
    """Positions in time as angles by which neighbouring channels of queries and keys are turned."""

    freqs: torch.Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("freqs", _PERIOD ** -(torch.arange(0, width, 2) / width))

    def forward(self, frames: int) -> torch.Tensor:
        """Angles (T, width / 2) float32 of latent frames 0 .. T - 1."""
        return torch.arange(frames, device=self.freqs.device)[:, None] * self.freqs.float()


def rotate(x: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """Turn channels (0, 1), (2, 3), ... of x (..., T, width) by angles (T, width / 2)."""
    first, second = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = angles.cos(), angles.sin()
    return torch.stack([first * cos - second * sin, second * cos + first * sin], -1).flatten(-2).type_as(x)


def embed_positions(rows: int, columns: int, width: int, scale: float, device: torch.device) -> torch.Tensor:
    """Waves (rows columns, width) float32 of where tokens are, row by row: half of them of the column, half of the row.

    Args:
        scale: of the video, by which tokens of larger videos stand closer; 1 at the size that positions are made for.
    """
    edge = round((rows * columns) ** 0.5)
    frequencies = _PERIOD ** -(torch.arange(0, width // 2, 2, device=device) / (width // 2))

    def waves(tokens: int) -> torch.Tensor:
        angles = (torch.arange(tokens, device=device) / scale * edge / tokens)[:, None] * frequencies
        return torch.cat([angles.sin(), angles.cos()], -1)

    across = waves(columns)[None].expand(rows, -1, -1)
    down = waves(rows)[:, None].expand(-1, columns, -1)
    return torch.cat([across, down], -1).flatten(0, 1)
