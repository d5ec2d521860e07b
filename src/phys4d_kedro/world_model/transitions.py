"""One step of stochastic sampling as a Gaussian, whose log-probability reinforcement learning needs.

Latents are x = signal x_0 + spread n. A step estimates the clean latents x_0' and with them the noise
n' = (x - signal x_0') / spread, and goes to signal' x_0' + kept n' + std z with fresh noise z: `kept` and `std` are
how the next level's spread' is split between the old noise and new. All sums are in float32. Letters as in
`backbones.base`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.world_model.backbones.base import Mixture
from phys4d_kedro.world_model.backbones.pretrained import per_clip
from phys4d_kedro.world_model.transitions_config import NoiseConfig

_NOISE_ALONE = 1.5e-3  # of the clip or less: level 1, or timestep 999 of 1000, at which other samplers start


@dataclass(frozen=True)
class Transition:
    """The distribution of the latents after a step: mean (B, C, t, h, w), one standard deviation a video (B,).

    `mask` (1, 1, t, 1, 1): 1 where a latent frame is noised; the others are given, and have no part in probabilities.
    """

    mean: torch.Tensor
    std: torch.Tensor
    mask: torch.Tensor

    def sample(self, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """Latents (B, C, t, h, w), each video's from its own generator on the CPU."""
        rows = [torch.randn(self.mean.shape[1:], generator=generator) for generator in generators]
        return self.mean + per_clip(self.std, self.mean) * torch.stack(rows).to(self.mean)

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        """Log-density (B,) of latents, a mean over what is noised: the sum's ratios would leave every clip range.

        Raises:
            ConfigurationError: the step is deterministic.
        """
        if not (self.std > 0).all():
            raise ConfigurationError("a deterministic step has no log-probability: eta must be above 0")
        deviation = (value.float() - self.mean) / per_clip(self.std, self.mean)
        squares = noised_mean(deviation.square(), self.mask)
        return -squares / 2 - self.std.log() - math.log(2 * math.pi) / 2


def transition(
    noisy: torch.Tensor,
    clean: torch.Tensor,
    *,
    before: Mixture,
    after: Mixture,
    mask: torch.Tensor,
    config: NoiseConfig,
) -> Transition:
    """The step from latents made as `before` to latents made as `after`.

    Args:
        noisy: latents (B, C, t, h, w) before the step.
        clean: what the model takes the clean latents to be (`Backbone.to_clean`).
        mask: (1, 1, t, 1, 1), `Backbone.loss_mask`.

    Raises:
        ConfigurationError: the noise is for rectified flow, and this is none.
    """
    noisy, clean = noisy.float(), clean.float()
    kept, std = split_spread(before, after, config)
    noise = (noisy - per_clip(before.signal, noisy) * clean) / per_clip(before.spread, noisy)
    mean = per_clip(after.signal, noisy) * clean + per_clip(kept, noisy) * noise
    return Transition(mean, std.to(noisy.device), mask)


def split_spread(before: Mixture, after: Mixture, config: NoiseConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """`kept` and `std` (B,) of a step.

    `sde`, `constant_sde`: Euler-Maruyama on the reverse SDE of rectified flow, whose score is -n' / spread
    (Liu et al., 2025, Flow-GRPO; Xue et al., 2025, DanceGRPO); right as steps become small. `preserving`,
    `ddim`: kept^2 + std^2 = spread'^2, so that steps of any size add no noise (Wang and Yu, 2025; Song et al., 2021,
    eq. 12 and 16, whose variance is here that of x' given x and x_0 in any mixture).

    Raises:
        ConfigurationError: see `transition`.
    """
    if config.kind in ("sde", "constant_sde"):
        std = _rectified_flow_std(before, after, config)
        return after.spread - std.square() / (2 * before.spread), std
    if config.kind == "preserving":
        std = after.spread * math.sin(config.eta * math.pi / 2)
    else:
        old = before.signal * after.spread / (after.signal * before.spread)
        std = config.eta * after.spread * (1 - old.square()).clamp_min(0).sqrt()
    return (after.spread.square() - std.square()).clamp_min(0).sqrt(), std


def noised_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Means (B,) of values (B, C, t, h, w) where mask (1, 1, t, 1, 1) is 1."""
    return (values * mask).mean((1, 2, 3, 4)) / mask.mean()


def _rectified_flow_std(before: Mixture, after: Mixture, config: NoiseConfig) -> torch.Tensor:
    total = torch.stack([before.signal + before.spread, after.signal + after.spread])
    if not torch.allclose(total, torch.ones_like(total)):
        raise ConfigurationError(
            f"noise of kind {config.kind} is for rectified flow, and this model's latents are mixed otherwise: take "
            f"kind preserving or ddim"
        )
    duration = before.spread - after.spread
    if config.kind == "constant_sde":
        return config.eta * duration.sqrt()
    # The rate has no bound where nothing is left of the clip: there it is the next level's.
    alone = before.signal < _NOISE_ALONE
    rate = torch.where(alone, after.spread / after.signal, before.spread / before.signal.clamp_min(_NOISE_ALONE))
    return config.eta * (rate * duration).sqrt()
