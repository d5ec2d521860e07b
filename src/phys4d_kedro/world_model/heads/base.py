"""What all heads share: standardised values, first predictions about their mean, and the reading they take."""

import math
from typing import Any

import torch
from diffusers import ConfigMixin, ModelMixin

from phys4d_kedro.world_model.backbones.base import Prediction


class Head(ModelMixin, ConfigMixin):
    """Maps a reading of a backbone to standardised values (B, T, H, W, C): (target - mean) / std per channel."""

    def destandardise(self, values: torch.Tensor) -> torch.Tensor:
        """Standardised values -> values, in the units of the targets."""
        return values * self._constant("std", values) + self._constant("mean", values)

    def standardise(self, values: torch.Tensor) -> torch.Tensor:
        """The inverse of `destandardise`."""
        return (values - self._constant("mean", values)) / self._constant("std", values)

    def _constant(self, name: str, like: torch.Tensor) -> torch.Tensor:
        return torch.tensor(self.config[name], dtype=like.dtype, device=like.device)


def modulation(reading: Prediction) -> tuple[torch.Tensor, torch.Tensor]:
    """Shift and scale (B, t, h, w, D) of a reading.

    Raises:
        ValueError: it was made without features.
    """
    if reading.shift is None or reading.scale is None:
        raise ValueError("this reading shows no features: call the backbone's predict with features=True")
    return reading.shift, reading.scale


def token_norm(width: int) -> torch.nn.LayerNorm:
    """The norm of a backbone's tokens, as its own last one: without weights."""
    return torch.nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)


def last_projection(inputs: int, outputs: int) -> torch.nn.Linear:
    """A projection whose first predictions are about zero: the mean of the targets."""
    projection = torch.nn.Linear(inputs, outputs)
    torch.nn.init.xavier_uniform_(projection.weight, gain=0.01)
    torch.nn.init.zeros_(projection.bias)
    return projection


def statistics(count: float, total: Any, squares: Any) -> tuple[list[float], list[float]]:
    """Per-channel mean and standard deviation from a count and channel sums; stds of a constant channel become 1."""
    means = [float(x) / count for x in total]
    stds = [math.sqrt(max(float(s) / count - m * m, 0.0)) for s, m in zip(squares, means, strict=True)]
    return means, [s if s > 1e-6 else 1.0 for s in stds]
