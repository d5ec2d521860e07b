"""The blocks of STDiT3: attention inside frames or over time, to the prompt, and a feed-forward layer.

Letters: B clips, T latent frames, S tokens of a frame, C hidden width, L prompt tokens; F is T where every frame has a
noise level of its own, or 1 where a clip has one. Modules and parameters carry the names of the published checkpoint.
"""

import torch
from torch import nn
from torch.nn import functional

from phys4d_kedro.world_model.opensora.embeddings import Mlp, rotate

_EPS = 1e-6


class SelfAttention(nn.Module):
    """Attention of a sequence to itself; queries and keys are normed, then turned by their positions if there are."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.q_norm = nn.RMSNorm(width // heads, eps=_EPS)
        self.k_norm = nn.RMSNorm(width // heads, eps=_EPS)
        self.proj = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, angles: torch.Tensor | None) -> torch.Tensor:
        """(sequences, length, C), angles (length, C / heads / 2) or None -> (sequences, length, C)."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q, k = self.q_norm(q), self.k_norm(k)
        if angles is not None:
            q, k = rotate(q, angles), rotate(k, angles)
        attended = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(attended.transpose(1, 2).flatten(2))


class CrossAttention(nn.Module):
    """Attention of all tokens of a clip to its prompt."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_linear = nn.Linear(width, width)
        self.kv_linear = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, text: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """(B, T S, C), text (B, L, C), mask (B, 1, 1, L) bool, true where the text counts -> (B, T S, C)."""
        q = self.q_linear(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k, v = self.kv_linear(text).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(q, k, v, mask)
        return self.proj(attended.transpose(1, 2).flatten(2))


class STDiT3Block(nn.Module):
    """One block; `temporal` says whether it attends over time or inside frames."""

    def __init__(self, width: int, heads: int, hidden: int, *, temporal: bool) -> None:
        super().__init__()
        self.temporal = temporal
        self.norm1 = nn.LayerNorm(width, eps=_EPS, elementwise_affine=False)
        self.attn = SelfAttention(width, heads)
        self.cross_attn = CrossAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=_EPS, elementwise_affine=False)
        self.mlp = Mlp(width, hidden, width)
        self.scale_shift_table = nn.Parameter(torch.randn(6, width) / width**0.5)

    def forward(
        self,
        x: torch.Tensor,
        text: torch.Tensor,
        text_mask: torch.Tensor | None,
        time: torch.Tensor,
        angles: torch.Tensor | None,
    ) -> torch.Tensor:
        """(B, T, S, C) -> the same; time (B, F, 6 C), the rest as the attentions take it."""
        modulation = self.scale_shift_table + time.unflatten(-1, (6, -1))
        # Frames of one level are modulated alike, so a frame's own level is all that sets given frames apart.
        shift1, scale1, gate1, shift2, scale2, gate2 = modulation[:, :, None].unbind(-2)
        x = x + gate1 * self._attend(modulate(self.norm1(x), shift1, scale1), angles)
        x = x + self.cross_attn(x.flatten(1, 2), text, text_mask).unflatten(1, x.shape[1:3])
        return x + gate2 * self.mlp(modulate(self.norm2(x), shift2, scale2))

    def _attend(self, x: torch.Tensor, angles: torch.Tensor | None) -> torch.Tensor:
        if self.temporal:
            x = x.transpose(1, 2)
        attended: torch.Tensor = self.attn(x.flatten(0, 1), angles).unflatten(0, x.shape[:2])
        return attended.transpose(1, 2) if self.temporal else attended


class FinalLayer(nn.Module):
    """The last norm, its modulation, and the projection of tokens to patches."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.norm_final = nn.LayerNorm(width, eps=_EPS, elementwise_affine=False)
        self.linear = nn.Linear(width, outputs)
        self.scale_shift_table = nn.Parameter(torch.randn(2, width) / width**0.5)

    def forward(self, x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """(B, T, S, C), time (B, F, C) -> (B, T, S, outputs)."""
        shift, scale = (self.scale_shift_table + time[:, :, None]).unsqueeze(2).unbind(-2)
        return self.linear(modulate(self.norm_final(x), shift, scale))


def modulate(x: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Shift and scale what is normed."""
    return x * (1 + scale) + shift
