"""A backbone whose data is Gaussian, so that its exact prediction, its marginals and its densities are known."""

import math
from typing import Any, Literal

import torch

from phys4d_kedro.world_model.backbones.base import Condition, Mixture, Prediction


class GaussianModel(torch.nn.Module):
    """Means (B,) of the clean latents: weight context + bias."""

    def __init__(self, weight: float, bias: float) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(weight))
        self.bias = torch.nn.Parameter(torch.tensor(bias))

    def forward(self, context: torch.Tensor) -> torch.Tensor:
        return self.weight * context + self.bias


class GaussianBackbone:
    """What rollouts need of `Backbone`: every latent is of N(mean, std^2), the mean being of the clip's context.

    A video of `frames` x `height` x `width` pixels has as many latents. `path`: how data and noise are mixed, straight
    (rectified flow) or on a circle (v-prediction).
    """

    device = torch.device("cpu")
    family = "Gaussian"

    def __init__(
        self, *, weight: float = 0.0, bias: float, std: float, path: Literal["straight", "circle"] = "straight"
    ) -> None:
        self.transformer = GaussianModel(weight, bias)
        self.std = std
        self.path = path

    def check_size(self, **size: int) -> None:
        """All sizes fit."""

    def latent_shape(self, *, frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        return 1, frames, height, width

    def unconditional(self, condition: Condition, negative: str = "") -> Condition:
        return Condition(torch.zeros_like(condition.text))

    def place_given(self, latents: torch.Tensor, condition: Condition) -> torch.Tensor:
        return latents

    def loss_mask(self, latents: torch.Tensor, condition: Condition) -> torch.Tensor:
        return torch.ones(1, 1, latents.shape[2], 1, 1)

    def mixture(self, noise_level: torch.Tensor) -> Mixture:
        if self.path == "straight":
            return Mixture(1 - noise_level, noise_level)
        angle = noise_level * math.pi / 2
        return Mixture(angle.cos() * (noise_level < 1), angle.sin())

    def predict(
        self, noisy: torch.Tensor, noise_level: torch.Tensor, condition: Condition, *, features: bool = False
    ) -> Prediction:
        """The clean latents themselves: their expectation given the noisy ones."""
        signal, spread = (part.view(-1, 1, 1, 1, 1) for part in self.mixture(noise_level))
        mean = self.transformer(condition.text[:, 0, 0]).view(-1, 1, 1, 1, 1)
        gain = signal * self.std**2 / (signal**2 * self.std**2 + spread**2)
        output = mean + gain * (noisy - signal * mean)
        if not features:
            return Prediction(output)
        context = condition.text[:, :1, 0, None, None, None].expand_as(noisy)
        # Numbers that stand out, so that a norm over the four leaves what the others are.
        tokens = torch.stack([noisy, context, torch.full_like(noisy, 6), torch.full_like(noisy, -6)], -1)[:, 0]
        return Prediction(output, (tokens,))

    def to_clean(self, noisy: torch.Tensor, output: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:
        return output

    def stepper(self, steps: int, **_: Any) -> "EvenLevels":
        return EvenLevels(steps)


class EvenLevels:
    """From noise alone down in equal steps."""

    def __init__(self, steps: int) -> None:
        self.levels = [1 - index / steps for index in range(steps)]
        self.next_levels = [*self.levels[1:], 0.0]


def contexts(values: list[float]) -> Condition:
    """One video of each context."""
    return Condition(torch.tensor(values)[:, None, None])
