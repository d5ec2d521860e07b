"""What every family says of how its noised latents are made, proved on every form of every family."""

import pytest
import torch

from phys4d_kedro.world_model.backbones.base import Backbone, Condition
from tests.world_model.families import SIZE, noise_like

LEVELS = torch.tensor([0.0, 0.001, 0.25, 0.7, 0.999, 1.0])


def test_noised_latents_are_the_mixture(backbone: Backbone, latents: torch.Tensor, condition: Condition) -> None:
    clean = latents.expand(len(LEVELS), -1, -1, -1, -1)
    conditions, noise = Condition.stack([condition] * len(LEVELS)), noise_like(clean)
    signal, spread = backbone.mixture(LEVELS)
    assert signal.shape == spread.shape == LEVELS.shape
    mixed = signal.view(-1, 1, 1, 1, 1) * clean + spread.view(-1, 1, 1, 1, 1) * noise
    mask = backbone.loss_mask(clean, conditions)
    assert torch.allclose(mixed * mask, backbone.add_noise(clean, noise, LEVELS, conditions) * mask, atol=1e-6)


@pytest.mark.parametrize("steps", [3, 7, 10])
def test_a_step_arrives_at_its_next_level(
    backbone: Backbone, latents: torch.Tensor, condition: Condition, steps: int
) -> None:
    """Told the true clean latents, the first step of any sampler gives those at the next level."""
    stepper = backbone.stepper(steps, **SIZE, generators=[torch.Generator().manual_seed(0)])
    assert len(stepper.levels) == len(stepper.next_levels) == steps
    assert stepper.next_levels[-1] in {0.0, 0.001}
    assert all(after < before for before, after in zip(stepper.levels, stepper.next_levels, strict=True))
    noise, level = noise_like(latents), torch.tensor([stepper.levels[0]])
    noisy = backbone.add_noise(latents, noise, level, condition)
    stepped = stepper.step(backbone.target(latents, noise, level), 0, noisy)
    expected = backbone.add_noise(latents, noise, torch.tensor([stepper.next_levels[0]]), condition)
    mask = backbone.loss_mask(latents, condition)
    # UniPC's timesteps are its levels cut to integers, so they are up to 1/1000 off.
    assert torch.allclose(stepped * mask, expected * mask, atol=5e-3)


def test_rows_of_a_condition_are_its_parts(condition: Condition) -> None:
    other = Condition(**{name: value + 1 for name, value in condition.tensors().items() if name != "text_mask"})
    masks = {} if condition.text_mask is None else {"text_mask": ~condition.text_mask}
    other = Condition(**other.tensors(), **masks)
    rows = Condition.stack([condition, other]).rows([1, 0, 1]).tensors()
    assert rows.keys() == condition.tensors().keys()
    for name, value in rows.items():
        first, second = condition.tensors()[name], other.tensors()[name]
        assert torch.equal(value, torch.cat([second, first, second]))
