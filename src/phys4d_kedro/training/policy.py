"""The clipped surrogate of PPO over sampling steps, and the two estimates of advantages that it takes.

Letters: G groups of M videos of one condition, S stochastic steps, B videos, N steps of videos in a batch.

A step's log-probability is a mean over its latents (see `Transition.log_prob`), so ratios are much nearer to 1 than in
other PPO, and clip ranges are about 1e-4 to 1e-3. Only stochastic steps have a gradient: what the deterministic ones
after them make of their latents counts as the environment's doing.
"""

from dataclasses import dataclass

import torch

from phys4d_kedro.world_model.transitions import Transition, noised_mean

_EQUAL = 1e-6  # a spread this small beside the values themselves is rounding


@dataclass(frozen=True)
class GroupAdvantages:
    """`advantages` (G, M) float32; shares of groups that tell nothing, and of rewards that are not finite."""

    advantages: torch.Tensor
    silent_share: float
    invalid_share: float


def group_advantages(rewards: torch.Tensor, clip: float = 5.0) -> GroupAdvantages:
    """(reward - mean) / standard deviation within each group of rewards (G, M), clamped to +-clip (GRPO).

    Rewards that are not finite are left out of their group's statistics and get advantage 0. So does every member of a
    group whose rewards are all equal, or of which fewer than two are finite.
    """
    advantages, tells = _standardise(rewards, clip)
    return GroupAdvantages(
        advantages,
        silent_share=1 - tells.float().mean().item(),
        invalid_share=1 - torch.isfinite(rewards).float().mean().item(),
    )


def gae(
    values: torch.Tensor, rewards: torch.Tensor, *, gae_lambda: float, gamma: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Advantages and returns (S, B) from values (S, B) of the states before each step, and rewards (B,) at the end.

    Generalised advantage estimation (Schulman et al., 2016, eq. 16). A video whose reward is not finite gets NaN, which
    `whiten` and `value_loss` leave out.
    """
    rewards = torch.where(torch.isfinite(rewards), rewards, torch.nan).float()
    values = values.float()
    after = torch.cat([gamma * values[1:], rewards[None]])
    errors = after - values
    advantages = torch.empty_like(errors)
    following = torch.zeros_like(rewards)
    for step in reversed(range(len(values))):
        following = errors[step] + gamma * gae_lambda * following
        advantages[step] = following
    # With lambda 0, early steps would not see a bad reward.
    advantages = torch.where(torch.isfinite(rewards), advantages, torch.nan)
    return advantages, advantages + values


def whiten(advantages: torch.Tensor, clip: float = 5.0) -> torch.Tensor:
    """Advantages of a batch, of any shape, less their mean, by their standard deviation, clamped to +-clip.

    What is not finite becomes 0 and has no part in the statistics; so do all, if they are equal.
    """
    return _standardise(advantages.reshape(1, -1), clip)[0].view_as(advantages)


def clipped_surrogate(
    log_prob: torch.Tensor, old_log_prob: torch.Tensor, advantage: torch.Tensor, clip_range: float
) -> tuple[torch.Tensor, dict[str, float]]:
    """PPO's loss (Schulman et al., 2017, eq. 7, negated) of steps (N,).

    Returns:
        The loss, and figures: the share of ratios beyond the clip range, their mean, and an estimate of the KL
        divergence of the new policy from the old one, mean(ratio - 1 - log ratio), in the units of the mean
        log-probability.

    Raises:
        ValueError: shapes differ.
    """
    if not log_prob.shape == old_log_prob.shape == advantage.shape:
        raise ValueError(
            f"log-probabilities {tuple(log_prob.shape)}, old ones {tuple(old_log_prob.shape)} and advantages "
            f"{tuple(advantage.shape)} must be of one shape"
        )
    log_ratio = log_prob.float() - old_log_prob.float()
    ratio, advantage = log_ratio.exp(), advantage.float()
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
    loss = torch.maximum(-advantage * ratio, -advantage * clipped).mean()
    with torch.no_grad():
        figures = {
            "clip_share": ((ratio - 1).abs() > clip_range).float().mean().item(),
            "ratio_mean": ratio.mean().item(),
            "approx_kl": (log_ratio.expm1() - log_ratio).mean().item(),
        }
    return loss, figures


def kl_to_reference(transition: Transition, reference_mean: torch.Tensor) -> torch.Tensor:
    """KL divergence (B,) of steps from those of a reference with the same noise, a mean over what is noised."""
    squares = noised_mean((transition.mean - reference_mean.float()).square(), transition.mask)
    return squares / (2 * transition.std.square())


def _standardise(rows: torch.Tensor, clip: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows (G, M) less their mean, by their standard deviation, float32; and whether each has one (G,)."""
    is_finite = torch.isfinite(rows)
    values = torch.where(is_finite, rows, 0).double()
    count = is_finite.sum(1, keepdim=True).clamp_min(1)
    deviations = torch.where(is_finite, values - values.sum(1, keepdim=True) / count, 0)
    std = (deviations.square().sum(1, keepdim=True) / count).sqrt()
    tells = std > _EQUAL * values.abs().amax(1, keepdim=True)
    standardised = torch.where(tells, deviations / std.where(tells, 1), 0)
    return standardised.clamp(-clip, clip).float(), tells[:, 0]
