"""The clipped surrogate and its advantages: definitions, an analytic policy gradient, and toys that learn."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from phys4d_kedro.training.policy import clipped_surrogate, gae, group_advantages, kl_to_reference, whiten
from phys4d_kedro.training.value import ValueHead, value_loss
from phys4d_kedro.world_model.rollout import Rollout, RolloutStep, replay, rollout
from phys4d_kedro.world_model.transitions import Transition
from phys4d_kedro.world_model.transitions_config import NoiseConfig
from tests.world_model.gaussian_backbone import GaussianBackbone, contexts

POINT = {"frames": 1, "height": 1, "width": 1}
SDE, PRESERVING = NoiseConfig(kind="sde", eta=0.7), NoiseConfig(kind="preserving", eta=0.6)
NAN, INF = math.nan, math.inf


def test_group_advantages_are_standardised_within_their_group() -> None:
    rewards = torch.tensor([[1.0, 2.0, 6.0], [-5.0, -4.0, 0.0], [10.0, 30.0, 20.0]])
    found = group_advantages(rewards)
    expected = (rewards - rewards.mean(1, keepdim=True)) / rewards.std(1, correction=0, keepdim=True)
    assert torch.allclose(found.advantages, expected, atol=1e-6)
    assert torch.allclose(found.advantages[0], found.advantages[1])
    assert (found.silent_share, found.invalid_share) == (0, 0)
    assert group_advantages(rewards, clip=0.5).advantages.abs().max() == 0.5


@pytest.mark.parametrize("reward", [0.0, -0.1, 1e6])
def test_groups_of_equal_rewards_tell_nothing(reward: float) -> None:
    rewards = torch.tensor([[reward] * 5, [1.0, 2.0, 3.0, 4.0, 5.0]])
    found = group_advantages(rewards)
    assert found.advantages[0].tolist() == [0] * 5
    assert found.advantages[1].abs().sum() > 0
    assert found.silent_share == 0.5
    rewards[0, 0] *= 1 + 1e-7  # rounding
    assert group_advantages(rewards).advantages[0].tolist() == [0] * 5


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_rewards_that_are_not_finite_are_left_out(bad: float) -> None:
    found = group_advantages(torch.tensor([[bad, 1.0, 3.0], [bad, bad, 7.0], [2.0, 4.0, 4.0], [bad, bad, bad]]))
    assert found.advantages[:2].tolist() == [[0, -1, 1], [0, 0, 0]]
    assert torch.isfinite(found.advantages).all()
    assert found.silent_share == 0.5
    assert found.invalid_share == pytest.approx(0.5)


def test_gae_is_the_sum_of_discounted_errors() -> None:
    generator = torch.Generator().manual_seed(0)
    values, rewards = torch.randn(4, 3, generator=generator), torch.randn(3, generator=generator)
    decay, gamma = 0.8, 0.9
    advantages, returns = gae(values, rewards, gae_lambda=decay, gamma=gamma)
    for step in range(4):
        expected = torch.zeros(3)
        for later in range(step, 4):
            following = rewards if later == 3 else gamma * values[later + 1]
            expected += (gamma * decay) ** (later - step) * (following - values[later])
        assert torch.allclose(advantages[step], expected, atol=1e-6)
    assert torch.allclose(returns, advantages + values)


def test_gae_at_its_ends() -> None:
    values, rewards = torch.tensor([[1.0, 2.0], [3.0, -1.0]]), torch.tensor([5.0, 6.0])
    advantages, returns = gae(values, rewards, gae_lambda=1.0)
    assert torch.equal(advantages, rewards - values)
    assert torch.equal(returns, rewards.expand(2, 2))
    assert torch.equal(gae(values, rewards, gae_lambda=0.0)[0], torch.tensor([[2.0, -3.0], [2.0, 7.0]]))


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize("gae_lambda", [0.0, 0.9])
def test_a_bad_reward_spoils_its_own_video_alone(bad: float, gae_lambda: float) -> None:
    values = torch.tensor([[1.0, 2.0, 0.0], [3.0, -1.0, 0.0]])
    advantages, returns = gae(values, torch.tensor([bad, 4.0, 1.0]), gae_lambda=gae_lambda)
    assert torch.isnan(advantages[:, 0]).all()
    assert torch.isnan(returns[:, 0]).all()
    whitened = whiten(advantages)
    assert whitened[:, 0].tolist() == [0, 0]
    alone = gae(values[:, 1:], torch.tensor([4.0, 1.0]), gae_lambda=gae_lambda)[0]
    assert torch.allclose(whitened[:, 1:], whiten(alone))


def test_whitened_advantages_have_mean_0_and_deviation_1() -> None:
    advantages = 3 + 2 * torch.randn(4, 50, generator=torch.Generator().manual_seed(0))
    whitened = whiten(advantages)
    assert whitened.mean().item() == pytest.approx(0, abs=1e-6)
    assert whitened.std(correction=0).item() == pytest.approx(1, rel=1e-5)
    assert whiten(torch.full((2, 3), 0.1)).tolist() == [[0] * 3] * 2
    assert whiten(advantages, clip=1.0).abs().max() == 1


@pytest.mark.parametrize(
    ("ratio", "advantage", "slope"),
    [(1.0, 2.0, -2.0), (1.05, 2.0, -2.0), (1.2, 2.0, 0.0), (0.8, 2.0, -2.0), (0.8, -2.0, 0.0), (1.2, -2.0, 2.0)],
)
def test_the_surrogate_is_clipped_where_it_promises_more(ratio: float, advantage: float, slope: float) -> None:
    """The gradient by the ratio ends where the step was made more probable for good, or less for ill, than c allows."""
    log_prob = torch.tensor([math.log(ratio)], requires_grad=True)
    loss, figures = clipped_surrogate(log_prob, torch.zeros(1), torch.tensor([advantage]), 0.1)
    loss.backward()
    assert log_prob.grad.item() == pytest.approx(slope * ratio, rel=1e-5)
    bounded = min(max(ratio, 0.9), 1.1)
    assert loss.item() == pytest.approx(-min(advantage * ratio, advantage * bounded), rel=1e-5)
    assert figures["clip_share"] == float(abs(ratio - 1) > 0.1)
    assert figures["ratio_mean"] == pytest.approx(ratio)
    assert figures["approx_kl"] == pytest.approx(ratio - 1 - math.log(ratio), abs=1e-6)


def test_shapes_that_would_broadcast_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        clipped_surrogate(torch.zeros(3), torch.zeros(3), torch.zeros(3, 1), 0.1)


def test_kl_to_the_reference_is_that_of_normal_distributions() -> None:
    generator = torch.Generator().manual_seed(0)
    mean, reference = torch.randn(2, 2, 3, 4, 2, 5, generator=generator)
    std = torch.tensor([0.3, 2.0])
    step = Transition(mean, std, torch.tensor([0.0, 1, 1, 1]).view(1, 1, 4, 1, 1))
    scales = std.view(2, 1, 1, 1, 1)
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mean, scales), normal(reference, scales))[:, :, 1:]
    assert torch.allclose(kl_to_reference(step, reference), expected.mean((1, 2, 3, 4)), rtol=1e-5)
    assert kl_to_reference(step, mean).tolist() == [0, 0]


def log_probs(backbone: GaussianBackbone, text: Any, step: RolloutStep, noise: NoiseConfig, **more: Any) -> Any:
    ends = {name: getattr(step, name) for name in ("latents", "next_latents", "level", "next_level")}
    return replay(backbone, text, **ends, noise=noise, guidance=1, away=None, **more)


def published_moments(
    parameters: NDArray[np.float64], *, steps: int, std: float, noise: NoiseConfig
) -> tuple[float, float]:
    """Mean and variance of the end of the chain, the data's mean being `parameters[k]` at step k, in plain sums.

    Flow-GRPO's update in velocities, and that of coefficient-preserving sampling; the last step is Euler's.
    """
    mean, variance = 0.0, 1.0
    for index, m in enumerate(parameters):
        level, after = 1 - index / steps, 1 - (index + 1) / steps
        gain = (1 - level) * std**2 / ((1 - level) ** 2 * std**2 + level**2)
        # clean = c0 + c1 x and velocity = (x - clean) / level = v0 + v1 x, both affine in x
        c0, c1 = m - gain * (1 - level) * m, gain
        v0, v1 = -c0 / level, (1 - c1) / level
        if index == steps - 1:
            offset, factor, fresh = -level * v0, 1 - level * v1, 0.0
        elif noise.kind == "sde":
            rated, step = (after if level == 1 else level), after - level
            rate = noise.eta**2 * rated / (1 - rated)
            slope = (1 + rate * (1 - level) / (2 * level)) * step
            offset, factor, fresh = slope * v0, 1 + rate * step / (2 * level) + slope * v1, -rate * step
        else:
            fresh = (after * math.sin(noise.eta * math.pi / 2)) ** 2
            kept = math.sqrt(after**2 - fresh)
            factor = (1 - after) * c1 + kept * (c1 + v1)
            offset = (1 - after) * c0 + kept * (c0 + v0)
        mean, variance = offset + factor * mean, factor**2 * variance + fresh
    return mean, variance


@pytest.mark.parametrize("noise", [SDE, PRESERVING], ids=lambda noise: noise.kind)
def test_the_gradient_is_the_analytic_policy_gradient(noise: NoiseConfig) -> None:
    """Linear-Gaussian policy, reward -(x - y)^2: E reward = -((mean - y)^2 + variance), only the mean moves with m."""
    steps, videos, chunk, m, y, std = 5, 6000, 100, 0.4, 1.3, 0.5
    backbone = GaussianBackbone(bias=m, std=std)
    taken = rollout(
        backbone,
        contexts([0.0] * videos),
        **POINT,
        steps=steps,
        guidance=1,
        noise=noise,
        stochastic=range(steps - 1),
        starts=range(videos),
        seeds=range(videos),
    )
    ends = taken.latents.flatten()
    mean, variance = published_moments(np.full(steps, m), steps=steps, std=std, noise=noise)
    assert ends.mean().item() == pytest.approx(mean, abs=4 * math.sqrt(variance / videos))
    assert ends.var().item() == pytest.approx(variance, rel=4 * math.sqrt(2 / videos))

    moved = np.full(steps, m + 1e-4)
    moved[-1] = m  # the deterministic step is the environment's
    slope = (published_moments(moved, steps=steps, std=std, noise=noise)[0] - mean) / 1e-4
    expected = -(-2 * (mean - y) * slope) / (steps - 1)  # of the loss, a mean over steps

    advantages = -(ends - y).square() + (mean - y) ** 2 + variance
    bias = backbone.transformer.bias
    replays = [log_probs(backbone, contexts([0.0] * videos), step, noise)[0] for step in taken.steps]
    gradients = []
    for start in range(0, videos, chunk):
        rows = slice(start, start + chunk)
        new = torch.cat([log_prob[rows] for log_prob in replays])
        old = torch.cat([step.log_prob[rows] for step in taken.steps])
        loss, figures = clipped_surrogate(new, old, advantages[rows].repeat(steps - 1), 1e-3)
        assert (figures["ratio_mean"], figures["clip_share"], figures["approx_kl"]) == (1, 0, 0)
        gradients.append(torch.autograd.grad(loss, bias, retain_graph=True)[0].item())
    error = np.std(gradients, ddof=1) / math.sqrt(len(gradients))
    assert abs(np.mean(gradients) - expected) < 4 * error
    assert error < 0.1 * abs(expected)


STEPS, TRAINED, GROUPS, MEMBERS = 6, 4, 4, 12
UPDATES, WARMUP = 100, 40  # of the policy; of the value head alone before it, whose early errors mislead the policy


def train(seed: int, *, noise: NoiseConfig, with_value: bool) -> tuple[float, float]:
    """PPO of the data's mean, weight context + bias, for the reward -(x - (1.5 context + 0.5))^2.

    Returns:
        Mean reward of the deterministic sampler before and after; the optimum is about 0.
    """
    torch.manual_seed(seed)
    backbone = GaussianBackbone(weight=-0.5, bias=0.0, std=0.05)
    context = torch.linspace(-1, 1, GROUPS).repeat_interleave(MEMBERS)
    text, wanted = contexts(context.tolist()), 1.5 * context + 0.5
    head = ValueHead(feature_dim=4, hidden_dim=16)
    policy = torch.optim.Adam(backbone.transformer.parameters(), lr=0.05)
    critic = torch.optim.Adam(head.parameters(), lr=0.02)

    def run(update: int, stochastic: range) -> tuple[Rollout, torch.Tensor]:
        seeds = [100_000 * seed + 1000 * (update + WARMUP) + row for row in range(len(context))]
        value = head if with_value else None
        options = {"steps": STEPS, "guidance": 1, "noise": noise, "stochastic": stochastic, "value": value}
        taken = rollout(backbone, text, **POINT, **options, starts=seeds, seeds=seeds)
        return taken, -(taken.latents.flatten() - wanted).square()

    before = run(0, range(0))[1].mean().item()
    for update in range(1 - WARMUP * with_value, UPDATES + 1):
        taken, rewards = run(update, range(TRAINED))
        if with_value:
            values = torch.stack([step.value for step in taken.steps])
            advantages, returns = gae(values, rewards, gae_lambda=1.0)
            advantages = whiten(advantages)
        else:
            advantages = group_advantages(rewards.view(GROUPS, MEMBERS)).advantages.flatten().expand(TRAINED, -1)
        for _epoch in range(2):
            for number, step in enumerate(taken.steps):
                log_prob, _, reading = log_probs(backbone, text, step, noise, features=with_value)
                loss, _ = clipped_surrogate(log_prob, step.log_prob, advantages[number], 0.2)
                if with_value:
                    loss = loss + value_loss(head(reading, step.level), returns[number])
                policy.zero_grad()
                critic.zero_grad()
                loss.backward()
                if update > 0:
                    policy.step()
                critic.step()
    return before, run(0, range(0))[1].mean().item()


@pytest.mark.parametrize("with_value", [False, True], ids=["group relative", "value baseline"])
@pytest.mark.parametrize("noise", [SDE, PRESERVING], ids=lambda noise: noise.kind)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_toy_comes_near_its_optimum(seed: int, noise: NoiseConfig, with_value: bool) -> None:
    before, after = train(seed, noise=noise, with_value=with_value)
    assert before < -1.5
    assert after > 0.05 * before
