"""Losses against values worked out by hand."""

import math

import pytest
import torch

from phys4d_kedro.training.objectives import (
    kl_divergence,
    masked_smooth_l1,
    mean_of_each_clip,
    reconstruction_loss,
    sample_noise_levels,
)
from phys4d_kedro.world_model.denoising import denoising_loss


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_noise_levels_fill_every_stratum_once() -> None:
    levels = sample_noise_levels(16, 1.0, generator())
    assert sorted((levels * 16).floor().int().tolist()) == list(range(16))


def test_shift_moves_levels_as_stated() -> None:
    plain = sample_noise_levels(8, 1.0, generator())
    shifted = sample_noise_levels(8, 3.0, generator())
    assert torch.allclose(shifted, 3 * plain / (1 + 2 * plain))
    assert (shifted > plain).all()
    assert (sample_noise_levels(8, 0.5, generator()) < plain).all()


def test_flow_matching_counts_noised_frames_only() -> None:
    target = torch.randn(2, 3, 4, 5, 5, generator=generator())
    velocity = target.clone()
    velocity[:, :, 0] += 100  # the clean first frame
    velocity[:, :, 2] += 2
    mask = torch.ones(1, 1, 4, 1, 1)
    mask[:, :, 0] = 0
    assert float(denoising_loss(velocity, target, mask)) == pytest.approx(4 / 3, rel=1e-5)


def test_smooth_l1_is_quadratic_then_linear_and_ignores_weightless_pixels() -> None:
    target = torch.zeros(1, 1, 2, 2, 1)
    prediction = torch.tensor([0.25, 2.0, 1e6, 0.0]).view(1, 1, 2, 2, 1)
    weight = torch.tensor([1.0, 3.0, 0.0, 0.0]).view(1, 1, 2, 2)
    expected = (1 * 0.5 * 0.25**2 / 0.5 + 3 * (2.0 - 0.25)) / 4
    assert float(masked_smooth_l1(prediction, target, weight, beta=0.5)) == pytest.approx(expected)


def test_the_mean_of_each_clip_is_of_its_own_pixels() -> None:
    values = torch.tensor([[1.0, 2.0, 6.0], [5.0, 1e6, 7.0], [1.0, 1.0, 1.0]])
    weight = torch.tensor([[1.0, 1.0, 2.0], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    assert mean_of_each_clip(values, weight).tolist() == pytest.approx([15 / 4, 6, 0])


def test_smooth_l1_of_nothing_is_zero_with_finite_gradient() -> None:
    prediction = torch.ones(1, 1, 2, 2, 1, requires_grad=True)
    loss = masked_smooth_l1(prediction, torch.zeros(1, 1, 2, 2, 1), torch.zeros(1, 1, 2, 2))
    loss.backward()
    assert float(loss.detach()) == 0
    assert prediction.grad is not None
    assert torch.isfinite(prediction.grad).all()


def test_reconstruction_loss_of_a_grey_and_a_colour_error() -> None:
    video = torch.zeros(1, 3, 1, 2, 2)
    weight = torch.ones(1, 1, 1, 2, 2)
    grey = float(reconstruction_loss(video + 0.3, video, weight))
    assert grey == pytest.approx(0.3 + 0.5 * 0.09, rel=1e-5)  # no chroma in it
    colour = video.clone()
    colour[:, 0] = 0.9
    expected = 0.9 / 3 + 0.5 * 0.81 / 3 + (0.6 + 0.3 + 0.3) / 3
    assert float(reconstruction_loss(colour, video, weight)) == pytest.approx(expected, rel=1e-5)


def test_kl_against_the_closed_form_of_torch() -> None:
    mean, log_variance = torch.tensor([0.5, -1.0]), torch.tensor([-2.0, 0.3])
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    prior = torch.distributions.Normal(torch.zeros(2), torch.ones(2))
    expected = torch.distributions.kl_divergence(posterior, prior).mean()
    assert float(kl_divergence(mean, log_variance)) == pytest.approx(float(expected), rel=1e-5)
    assert math.isclose(float(kl_divergence(torch.zeros(3), torch.zeros(3))), 0)
