"""Losses of all stages as pure functions.

Letters: B clips, C channels, t latent frames, T H W pixel frames, rows and columns.
"""

import torch
from torch.nn import functional as F

from phys4d_kedro.world_model.denoising import shift_noise_levels


def sample_noise_levels(batch: int, shift: float, generator: torch.Generator) -> torch.Tensor:
    """Noise levels (B,) in (0, 1): stratified uniform u, moved to shift u / (1 + (shift - 1) u).

    A shift above 1 prefers high noise (Wan trains at 3 to 5), below 1 low noise. One draw from every 1/B of the range
    (in random order) keeps the loss's variance down.
    """
    return shift_noise_levels(_stratified(batch, generator), shift)


def sample_mixed_noise_levels(
    batch: int, shift: float, *, share: float, share_shift: float, generator: torch.Generator
) -> torch.Tensor:
    """Noise levels (B,) of which the `share` is drawn at `share_shift`, the others at `shift`.

    One stratified draw decides both: below `share` it is of the first kind, and how far below is its u. So both kinds
    are stratified in themselves, and their numbers differ from their shares of the batch by less than one clip.
    """
    draw = _stratified(batch, generator)
    first = draw < share
    u = torch.where(first, draw / max(share, 1e-6), (draw - share) / max(1 - share, 1e-6))
    return torch.where(first, shift_noise_levels(u, share_shift), shift_noise_levels(u, shift))


def geometry_weight(noise_level: torch.Tensor, power: float) -> torch.Tensor:
    """How much the 4D losses of clips at these levels (B,) count: (1 - level)^power; at pure noise, not at all."""
    return (1 - noise_level) ** power


def masked_smooth_l1(
    prediction: torch.Tensor, target: torch.Tensor, weight: torch.Tensor, beta: float = 0.05
) -> torch.Tensor:
    """Weighted mean of `smooth_l1` over (B, T, H, W, C), weight (B, T, H, W) >= 0; 0 where all weights are 0.

    Entries of weight 0 may hold anything finite.
    """
    return (smooth_l1(prediction, target, beta) * weight).sum() / weight.sum().clamp_min(1e-6)


def smooth_l1(prediction: torch.Tensor, target: torch.Tensor, beta: float = 0.05) -> torch.Tensor:
    """Smooth L1 of each pixel, (B, T, H, W, C) -> (B, T, H, W), the mean over channels.

    Targets are standardised, so beta is in their standard deviations; nearly L1, since the errors that are reported
    count linearly too.
    """
    return F.smooth_l1_loss(prediction, target, beta=beta, reduction="none").mean(-1)


def mean_of_each_clip(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Weighted mean (B,) over all but the first axis of two tensors of one shape; 0 where all weights of a clip are 0.

    Of losses that are weighed clip by clip: a mean over the batch would take a weight all clips share out again.
    """
    return (values * weight).flatten(1).sum(1) / weight.flatten(1).sum(1).clamp_min(1e-6)


def reconstruction_loss(reconstruction: torch.Tensor, video: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """L1 + 0.5 MSE on pixels (B, 3, T, H, W) in [-1, 1], and L1 on chroma, which plain L1 neglects on small objects.

    weight (B, 1, T, H, W) has mean 1.
    """
    error = reconstruction - video
    chroma = error - error.mean(1, keepdim=True)
    return (weight * (error.abs() + 0.5 * error.square() + chroma.abs())).mean()


def kl_divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Mean KL divergence per element of N(mean, exp(log_variance)) from N(0, 1)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()


def _stratified(batch: int, generator: torch.Generator) -> torch.Tensor:
    """Uniform draws (B,) in [0, 1), one from every 1/B of the range, in random order."""
    offsets = torch.rand(batch, generator=generator)
    return (torch.randperm(batch, generator=generator) + offsets) / batch
