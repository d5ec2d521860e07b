"""Colours varied at random, so that depth is learned from shape and shading, not from the renderer's palette."""

import torch
from torch.nn import functional

from phys4d_kedro.perception.config import AugmentationConfig


def augment(rgb: torch.Tensor, config: AugmentationConfig, generator: torch.Generator) -> torch.Tensor:
    """Frames (B, 3, H, W) in [0, 1], each with a jitter of its own; still in [0, 1]."""

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(len(rgb), *shape, generator=generator)

    def symmetric(channels: int) -> torch.Tensor:
        return config.jitter * (2 * draw(channels, 1, 1) - 1)

    gamma, contrast, balance = (torch.exp(symmetric(n)) for n in (1, 1, 3))
    rgb = rgb.clamp(min=1e-4) ** gamma
    mean = rgb.mean((1, 2, 3), keepdim=True)
    rgb = ((rgb - mean) * contrast + mean) * balance
    grey = rgb.mean(1, keepdim=True)
    # Saturation anywhere between grey and full; fully grey for some.
    saturation = torch.where(draw(1, 1, 1) < config.grey_share, 0.0, 1 - config.jitter * draw(1, 1, 1))
    rgb = grey + saturation * (rgb - grey)
    rgb = torch.where(draw(1, 1, 1) < config.blur_share, blur(rgb), rgb)
    noise = torch.randn(rgb.shape, generator=generator) * config.noise * draw(1, 1, 1)
    return (rgb + noise).clamp(0, 1)


def blur(rgb: torch.Tensor) -> torch.Tensor:
    """Binomial blur 1-2-1 along rows and columns, (B, C, H, W)."""
    kernel = rgb.new_tensor([1.0, 2.0, 1.0]) / 4
    channels = rgb.shape[1]
    weight = torch.outer(kernel, kernel).expand(channels, 1, 3, 3)
    return functional.conv2d(functional.pad(rgb, (1, 1, 1, 1), mode="replicate"), weight, groups=channels)
