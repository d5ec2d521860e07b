"""Stochastic steps, against exact Gaussians, published formulas and the families' own schedulers."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import CogVideoXDDIMScheduler, FlowMatchEulerDiscreteScheduler
from pydantic import ValidationError
from scipy.stats import norm

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.world_model.backbones.base import Backbone, Condition, Mixture
from phys4d_kedro.world_model.opensora.scheduler import OpenSoraScheduler
from phys4d_kedro.world_model.rollout import rollout
from phys4d_kedro.world_model.transitions import Transition, transition
from phys4d_kedro.world_model.transitions_config import NoiseConfig
from tests.world_model.families import SIZE, noise_like
from tests.world_model.gaussian_backbone import GaussianBackbone, contexts

FLOW = [NoiseConfig(kind="sde", eta=0.7), NoiseConfig(kind="constant_sde", eta=0.6)]
ANY = [NoiseConfig(kind="preserving", eta=0.6), NoiseConfig(kind="ddim", eta=1.0), NoiseConfig(kind="ddim", eta=0.5)]
PARTICLES: dict[str, Any] = {"frames": 1, "height": 150, "width": 150, "guidance": 1, "starts": [3], "seeds": [3]}
SHAPE = (2, 3, 2, 4, 5)


def straight(*levels: float) -> Mixture:
    level = torch.tensor(levels)
    return Mixture(1 - level, level)


def from_alpha(*alphas: float) -> Mixture:
    alpha = torch.tensor(alphas)
    return Mixture(alpha.sqrt(), (1 - alpha).sqrt())


def draws(seed: int) -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def all_noised() -> torch.Tensor:
    return torch.ones(1, 1, SHAPE[2], 1, 1)


@pytest.mark.parametrize("mask", [[1.0, 1.0], [0.0, 1.0]])
def test_log_probability_is_the_mean_normal_density_of_what_is_noised(mask: list[float]) -> None:
    mean, value, std = draws(0), draws(1), torch.tensor([0.3, 1.7])
    given = Transition(mean, std, torch.tensor(mask).view(1, 1, 2, 1, 1))
    densities = norm.logpdf(value.numpy(), mean.numpy(), std.view(2, 1, 1, 1, 1).numpy())
    expected = densities[:, :, np.array(mask) > 0].mean((1, 2, 3, 4))
    assert given.log_prob(value).numpy() == pytest.approx(expected, rel=1e-5)
    torch_densities = torch.distributions.Normal(mean, std.view(2, 1, 1, 1, 1)).log_prob(value)
    assert torch_densities.numpy() == pytest.approx(densities, rel=1e-4)
    assert given.log_prob(value).dtype == torch.float32


def test_given_frames_have_no_part() -> None:
    mask = torch.tensor([0.0, 1.0]).view(1, 1, 2, 1, 1)
    step, value = Transition(draws(0), torch.tensor([0.3, 1.7]), mask), draws(1)
    other = value.clone()
    other[:, :, 0] += 5
    assert torch.equal(step.log_prob(value), step.log_prob(other))
    other[:, :, 1, 0, 0] += 1e-2
    assert not torch.equal(step.log_prob(value), step.log_prob(other))


def test_samples_have_the_mean_and_deviation_and_are_of_their_own_seeds() -> None:
    mean = torch.tensor([3.0, -1.0]).view(2, 1, 1, 1, 1).expand(2, 1, 1, 100, 100)
    step = Transition(mean, torch.tensor([0.1, 2.0]), torch.ones(1, 1, 1, 1, 1))
    samples = step.sample([torch.Generator().manual_seed(seed) for seed in (5, 6)])
    means, deviations = samples.mean((1, 2, 3, 4)), samples.std((1, 2, 3, 4))
    assert ((means - torch.tensor([3.0, -1.0])).abs() < 4 * step.std / 100).all()
    assert ((deviations / step.std - 1).abs() < 4 / math.sqrt(2 * 10_000)).all()
    alone = Transition(mean[1:], step.std[1:], step.mask).sample([torch.Generator().manual_seed(6)])
    assert torch.equal(alone, samples[1:])


@pytest.mark.parametrize("config", FLOW, ids=lambda config: config.kind)
@pytest.mark.parametrize("ends", [(0.8, 0.6), (0.3, 0.05), (1.0, 0.9)])
def test_rectified_flow_noise_is_as_published(config: NoiseConfig, ends: tuple[float, float]) -> None:
    """Flow-GRPO's and DanceGRPO's update, written in velocities."""
    (sigma, following), x, clean = ends, draws(0).double(), draws(1).double()
    velocity = (x - clean) / sigma
    step = following - sigma
    rated = following if sigma == 1 else sigma
    rate = config.eta * (math.sqrt(rated / (1 - rated)) if config.kind == "sde" else 1)
    mean = x * (1 + rate**2 * step / (2 * sigma))
    mean = mean + velocity * (1 + rate**2 * (1 - sigma) / (2 * sigma)) * step
    levels = {"before": straight(sigma, sigma), "after": straight(following, following)}
    ours = transition(x.float(), clean.float(), **levels, mask=all_noised(), config=config)
    assert torch.allclose(ours.mean.double(), mean, atol=2e-6)
    assert ours.std.tolist() == pytest.approx([rate * math.sqrt(-step)] * 2, rel=1e-5)


@pytest.mark.parametrize("level", [0.999, 1.0])
def test_the_first_step_is_bounded(level: float) -> None:
    """UniPC starts at timestep 999: the rate there would be a thousand times eta squared."""
    mask, before, after = all_noised(), straight(level, level), straight(0.98, 0.95)
    step = transition(draws(0), draws(1), before=before, after=after, mask=mask, config=FLOW[0])
    assert (step.std < 1).all()


@pytest.mark.parametrize("eta", [0.2, 1.0])
@pytest.mark.parametrize("alphas", [(0.3, 0.5), (0.0, 0.02)])
def test_ddim_noise_is_as_published(eta: float, alphas: tuple[float, float]) -> None:
    """Song et al., eq. 12 and 16; with eta 1 the posterior of DDPM (Ho et al., eq. 7)."""
    (a, later), x, clean = alphas, draws(0).double(), draws(1).double()
    noise = (x - math.sqrt(a) * clean) / math.sqrt(1 - a)
    std = eta * math.sqrt((1 - later) / (1 - a) * (1 - a / later))
    mean = math.sqrt(later) * clean + math.sqrt(max(1 - later - std**2, 0)) * noise
    config, ends = NoiseConfig(kind="ddim", eta=eta), {"before": from_alpha(a, a), "after": from_alpha(later, later)}
    ours = transition(x.float(), clean.float(), **ends, mask=all_noised(), config=config)
    assert torch.allclose(ours.mean.double(), mean, atol=2e-6)
    assert ours.std.tolist() == pytest.approx([std] * 2, rel=1e-5)
    if eta == 1 and a:
        ratio = a / later
        posterior = math.sqrt(later) * (1 - ratio) / (1 - a) * clean + math.sqrt(ratio) * (1 - later) / (1 - a) * x
        assert torch.allclose(ours.mean.double(), posterior, atol=2e-6)


@pytest.mark.parametrize("config", ANY, ids=lambda config: f"{config.kind} {config.eta}")
@pytest.mark.parametrize("path", ["straight", "circle"])
def test_preserving_noise_keeps_the_marginals_at_any_step(config: NoiseConfig, path: str) -> None:
    """All data is one point, which the model knows: latents at a level are N(signal mean, spread^2)."""
    backbone = GaussianBackbone(bias=1.5, std=0.0, path=path)
    taken = rollout(backbone, contexts([0.0]), **PARTICLES, steps=5, noise=config, stochastic=range(4))
    for step in taken.steps:
        check_marginal(step.next_latents, 1.5, 0.0, backbone.mixture(step.next_level))
    assert torch.allclose(taken.latents, torch.tensor(1.5), atol=1e-5)


@pytest.mark.parametrize("config", [*FLOW, *ANY], ids=lambda config: f"{config.kind} {config.eta}")
def test_small_steps_keep_the_marginals_of_spread_data(config: NoiseConfig) -> None:
    backbone = GaussianBackbone(bias=-0.8, std=0.6)
    if config.kind == "preserving":  # its noise does not shrink with the steps
        config = NoiseConfig(kind="preserving", eta=0.05)
    taken = rollout(backbone, contexts([0.0]), **PARTICLES, steps=400, noise=config, stochastic=range(399))
    for step in taken.steps[20::40]:
        check_marginal(step.next_latents, -0.8, 0.6, backbone.mixture(step.next_level), bias=0.01)
    check_marginal(taken.latents, -0.8, 0.6, straight(0.0), bias=0.01)


def check_marginal(latents: torch.Tensor, mean: float, std: float, mixture: Mixture, bias: float = 0.0) -> None:
    """Mean and deviation are within four standard errors, and a bias of the steps' length, of theory."""
    signal, spread = mixture.signal.item(), mixture.spread.item()
    expected = math.hypot(signal * std, spread)
    error = 4 * expected / math.sqrt(latents.numel())
    assert abs(latents.mean().item() - signal * mean) < error + bias
    assert abs(latents.std().item() - expected) < error / math.sqrt(2) + bias


@pytest.mark.parametrize("kind", ["sde", "constant_sde", "preserving", "ddim"])
def test_without_noise_a_step_is_the_schedulers(
    backbone: Backbone, latents: torch.Tensor, condition: Condition, kind: str
) -> None:
    is_flow = backbone.family != "CogVideoX"
    if kind.endswith("sde") and not is_flow:
        pytest.skip("for rectified flow")
    stepper = backbone.stepper(7, **SIZE, generators=[])
    simple = (FlowMatchEulerDiscreteScheduler, CogVideoXDDIMScheduler, OpenSoraScheduler)
    if not isinstance(stepper.scheduler, simple):
        pytest.skip("a scheduler of several stages")
    noise, output = noise_like(latents), latents.flip(-1)
    for index, (level, following) in enumerate(zip(stepper.levels, stepper.next_levels, strict=True)):
        now, then = torch.tensor([level]), torch.tensor([following])
        noisy = backbone.add_noise(latents, noise, now, condition)
        step = transition(
            noisy,
            backbone.to_clean(noisy, output, now),
            before=backbone.mixture(now),
            after=backbone.mixture(then),
            mask=backbone.loss_mask(latents, condition),
            config=NoiseConfig(kind=kind, eta=0.0),
        )
        assert step.std.item() == 0
        assert torch.allclose(step.mean, stepper.step(output, index, noisy), atol=2e-5)
        with pytest.raises(ConfigurationError, match="deterministic"):
            step.log_prob(noisy)


def test_every_row_has_its_own_levels() -> None:
    x, clean = draws(0), draws(1)
    for config in (*FLOW, *ANY):
        options = {"mask": all_noised(), "config": config}
        both = transition(x, clean, before=straight(0.9, 0.3), after=straight(0.7, 0.2), **options)
        for row, ends in enumerate([(0.9, 0.7), (0.3, 0.2)]):
            one = slice(row, row + 1)
            before, after = (straight(end) for end in ends)
            alone = transition(x[one], clean[one], before=before, after=after, **options)
            assert torch.equal(alone.mean, both.mean[one])
            assert torch.equal(alone.std, both.std[one])
            assert torch.allclose(alone.log_prob(x[one]), both.log_prob(x)[one], rtol=1e-6)


@pytest.mark.parametrize("config", FLOW, ids=lambda config: config.kind)
def test_flow_noise_is_refused_where_there_is_no_rectified_flow(config: NoiseConfig) -> None:
    ends = {"before": from_alpha(0.3, 0.3), "after": from_alpha(0.5, 0.5)}
    with pytest.raises(ConfigurationError, match="take kind preserving or ddim"):
        transition(draws(0), draws(1), **ends, mask=all_noised(), config=config)


@pytest.mark.parametrize("kind", ["preserving", "ddim"])
def test_more_noise_than_there_is_is_refused(kind: str) -> None:
    with pytest.raises(ValidationError, match="takes 0 to 1"):
        NoiseConfig(kind=kind, eta=1.2)
