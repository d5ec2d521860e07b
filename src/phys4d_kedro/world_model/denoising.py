"""The denoising loss and the noise levels that it is taken at, for training and for judging."""

import torch


def shift_noise_levels(u: torch.Tensor, shift: float) -> torch.Tensor:
    """Uniform u in [0, 1] moved to shift u / (1 + (shift - 1) u)."""
    return shift * u / (1 + (shift - 1) * u)


def denoising_loss(output: torch.Tensor, target: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean squared error of the transformer's output (B, C, t, h, w) where mask (1, 1, t, 1, 1) is 1."""
    error = (output - target).square() * mask
    return error.mean() / mask.mean()
