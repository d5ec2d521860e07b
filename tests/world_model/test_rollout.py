"""Rollouts and their replays, on every form of every family."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from phys4d_kedro.errors import ConfigurationError, InvalidClipError
from phys4d_kedro.world_model.backbones.base import Backbone, Condition, Prediction
from phys4d_kedro.world_model.config import LoadingConfig, LoraSettings
from phys4d_kedro.world_model.lora import lora_layers, lora_parameters
from phys4d_kedro.world_model.rollout import Rollout, replay, rollout
from phys4d_kedro.world_model.sampling import sample
from phys4d_kedro.world_model.transitions_config import NoiseConfig
from tests.world_model.families import PROMPTS, SIZE, Form, first_frames
from tests.world_model.lora_cases import move, with_lora

NOISE = NoiseConfig(kind="preserving", eta=0.5)
DROPOUT = LoraSettings(rank=3, alpha=6, dropout=0.5)
OPTIONS: dict[str, Any] = {**SIZE, "steps": 4, "noise": NOISE, "stochastic": (0, 2), "negative": PROMPTS[1]}


@pytest.fixture(scope="module", params=["fp32", "bf16"])
def adapted(request: pytest.FixtureRequest, folder: Path) -> Backbone:
    """With an adapter that does something, left in training mode, where its dropout is on."""
    backbone = with_lora(folder, DROPOUT, LoadingConfig(dtype=request.param, device="cpu"))
    move(backbone.transformer)
    lora_layers(backbone.transformer).train()
    return backbone


def two(form: Form, backbone: Backbone) -> Condition:
    return backbone.encode_condition(PROMPTS, first_frames(form, 2), frames=SIZE["frames"])


def replayed(backbone: Backbone, condition: Condition, taken: Rollout, step: int, guidance: float) -> torch.Tensor:
    at = taken.steps[step]
    return replay(
        backbone,
        condition,
        latents=at.latents,
        next_latents=at.next_latents,
        level=at.level,
        next_level=at.next_level,
        noise=NOISE,
        guidance=guidance,
        away=taken.away,
    )[0]


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_the_ratio_is_exactly_one_before_the_first_update(form: Form, adapted: Backbone, guidance: float) -> None:
    condition = two(form, adapted)
    taken = rollout(adapted, condition, **OPTIONS, guidance=guidance, starts=[1, 2], seeds=[1, 2])
    for step in range(2):
        lora_layers(adapted.transformer).train()  # as a training loop does
        for autocast in (False, True):
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                log_prob = replayed(adapted, condition, taken, step, guidance)
            assert log_prob.dtype == torch.float32
            assert log_prob.requires_grad
            ratio = (log_prob - taken.steps[step].log_prob).exp()
            assert ratio.tolist() == [1.0, 1.0]
    log_prob.sum().backward()
    gradients = [parameter.grad for parameter in lora_parameters(adapted.transformer)]
    assert all(gradient is None or torch.isfinite(gradient).all() for gradient in gradients)
    assert any(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)
    adapted.transformer.zero_grad()


def test_the_ratio_is_another_after_an_update(form: Form, folder: Path) -> None:
    backbone = with_lora(folder)
    condition = two(form, backbone)
    taken = rollout(backbone, condition, **OPTIONS, guidance=1, starts=[1, 2], seeds=[1, 2])
    move(backbone.transformer, seed=7)
    for step in range(2):
        assert not torch.isclose(replayed(backbone, condition, taken, step, 1), taken.steps[step].log_prob).any()


def test_rows_of_several_trajectories_and_levels_make_a_batch(form: Form, backbone: Backbone) -> None:
    """In another batch matrix products round otherwise; nothing more may differ."""
    condition = two(form, backbone)
    taken = rollout(backbone, condition, **OPTIONS, guidance=3.0, starts=[1, 2], seeds=[1, 2])
    first, second = taken.steps
    rows = {
        name: torch.stack([getattr(second, name)[0], getattr(first, name)[1], getattr(first, name)[0]])
        for name in ("latents", "next_latents", "level", "next_level")
    }
    order = [0, 1, 0]
    away = taken.away.rows(order)
    log_prob, step, reading = replay(
        backbone, condition.rows(order), **rows, noise=NOISE, guidance=3.0, away=away, features=True
    )
    expected = torch.stack([second.log_prob[0], first.log_prob[1], first.log_prob[0]])
    assert torch.allclose(log_prob, expected, atol=1e-4)
    assert torch.allclose(log_prob, step.log_prob(rows["next_latents"]))
    assert step.std[1] == step.std[2] != step.std[0]
    assert reading.features.shape[0] == 3


def test_a_trajectory_is_whole(form: Form, backbone: Backbone) -> None:
    condition = two(form, backbone)
    options = {**OPTIONS, "stochastic": range(3)}
    taken = rollout(backbone, condition, **options, guidance=1, starts=[1, 2], seeds=[1, 2])
    assert taken.away is None
    stepper = backbone.stepper(4, **SIZE, generators=[])
    for index, step in enumerate(taken.steps):
        assert step.level.tolist() == pytest.approx([stepper.levels[index]] * 2)
        assert step.next_level.tolist() == pytest.approx([stepper.next_levels[index]] * 2)
    for before, after in zip(taken.steps[:-1], taken.steps[1:], strict=True):
        assert before.next_latents is after.latents
    for step in taken.steps:
        assert step.latents.dtype == step.next_latents.dtype == step.log_prob.dtype == torch.float32
        assert step.log_prob.shape == (2,)
        assert torch.equal(backbone.place_given(step.next_latents, condition), step.next_latents)
        assert not step.log_prob.requires_grad
    assert torch.equal(backbone.place_given(taken.latents, condition), taken.latents)
    assert torch.isfinite(taken.latents).all()


def test_randomness_is_of_the_video_and_the_step(form: Form, backbone: Backbone) -> None:
    condition = two(form, backbone)
    both = rollout(backbone, condition, **OPTIONS, guidance=1, starts=[1, 2], seeds=[1, 2])
    again = rollout(backbone, condition, **OPTIONS, guidance=1, starts=[1, 2], seeds=[1, 2])
    assert torch.equal(both.latents, again.latents)
    alone = rollout(backbone, condition.rows([1]), **OPTIONS, guidance=1, starts=[2], seeds=[2])
    assert torch.allclose(both.latents[1:], alone.latents, atol=1e-3)
    other = rollout(backbone, condition, **OPTIONS, guidance=1, starts=[1, 3], seeds=[1, 3])
    assert torch.allclose(both.latents[0], other.latents[0], atol=1e-3)
    assert not torch.allclose(both.latents[1], other.latents[1], atol=1e-1)
    # What a video starts from is of another seed.
    alike = rollout(backbone, condition.rows([0, 0]), **OPTIONS, guidance=1, starts=[1, 1], seeds=[1, 2])
    assert torch.equal(alike.steps[0].latents[0], alike.steps[0].latents[1])
    assert torch.allclose(alike.latents[0], both.latents[0], atol=1e-3)
    assert not torch.allclose(alike.latents[1], alike.latents[0], atol=1e-1)
    # A step's noise does not depend on which others are stochastic.
    fewer = rollout(backbone, condition, **{**OPTIONS, "stochastic": (0,)}, guidance=1, starts=[1, 2], seeds=[1, 2])
    assert torch.equal(fewer.steps[0].next_latents, both.steps[0].next_latents)
    assert not torch.allclose(fewer.latents, both.latents, atol=1e-2)
    # And none of it is the initial noise again.
    mask = backbone.loss_mask(both.latents, condition).expand_as(both.latents) > 0
    start = both.steps[0].latents[mask]
    step = replay(backbone, condition, **_ends(both), noise=NOISE, guidance=1, away=None)[1]
    fresh = ((both.steps[0].next_latents - step.mean) / step.std.view(-1, 1, 1, 1, 1))[mask]
    correlation = torch.corrcoef(torch.stack([start, fresh.detach()]))[0, 1]
    assert abs(correlation) < 5 / start.numel() ** 0.5


def _ends(taken: Rollout) -> dict[str, torch.Tensor]:
    step = taken.steps[0]
    return {name: getattr(step, name) for name in ("latents", "next_latents", "level", "next_level")}


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_without_stochastic_steps_it_is_the_sampler(form: Form, backbone: Backbone, guidance: float) -> None:
    if form.name in {"Wan 2.1 T2V", "Wan 2.1 I2V"} and "UniPC" in type(backbone.scheduler).__name__:
        pytest.skip("its sampler is of a higher order")
    condition = two(form, backbone)
    taken = rollout(
        backbone, condition, **{**OPTIONS, "stochastic": ()}, guidance=guidance, starts=[1, 2], seeds=[1, 2]
    )
    sampled = sample(backbone, condition, **SIZE, steps=4, guidance=guidance, seeds=[1, 2], negative=PROMPTS[1])
    assert taken.steps == ()
    assert torch.allclose(taken.latents, sampled, atol=1e-3)


def test_values_are_taken_at_the_stochastic_steps(form: Form, backbone: Backbone) -> None:
    condition, seen = two(form, backbone), []

    def value(reading: Prediction, level: torch.Tensor) -> torch.Tensor:
        seen.append(level)
        return reading.features.mean((1, 2, 3, 4)) + level

    taken = rollout(backbone, condition, **OPTIONS, guidance=3.0, starts=[1, 2], seeds=[1, 2], value=value)
    assert [level.tolist() for level in seen] == [step.level.tolist() for step in taken.steps]
    for step in taken.steps:
        reading = backbone.predict(step.latents, step.level, condition, features=True)
        assert torch.allclose(step.value, value(reading, step.level), atol=1e-6)
    without = rollout(backbone, condition, **OPTIONS, guidance=3.0, starts=[1, 2], seeds=[1, 2])
    assert torch.equal(without.latents, taken.latents)
    assert without.steps[0].value is None


@pytest.mark.parametrize("steps", [(3,), (-1,), (0, 7)])
def test_the_last_step_and_others_that_are_not_are_refused(
    backbone: Backbone, condition: Condition, steps: Any
) -> None:
    options = {**OPTIONS, "stochastic": steps}
    with pytest.raises(ConfigurationError, match=r"of 4 steps, numbers 0 to 2 can be stochastic"):
        rollout(backbone, condition, **options, guidance=1, starts=[1], seeds=[1])


def test_what_does_not_fit_is_refused(form: Form, backbone: Backbone, condition: Condition) -> None:
    silent = {**OPTIONS, "noise": NoiseConfig(kind="ddim", eta=0.0)}
    with pytest.raises(ConfigurationError, match="eta must be above 0"):
        rollout(backbone, condition, **silent, guidance=1, starts=[1], seeds=[1])
    with pytest.raises(InvalidClipError, match="do not fit"):
        rollout(backbone, condition, **{**OPTIONS, "frames": 8}, guidance=1, starts=[1], seeds=[1])
    taken = rollout(backbone, condition, **OPTIONS, guidance=3.0, starts=[1], seeds=[1])
    with pytest.raises(ConfigurationError, match="missing"):
        replayed(backbone, condition, replace(taken, away=None), 0, 3.0)
    with pytest.raises(ConfigurationError, match="given"):
        replayed(backbone, condition, taken, 0, 1.0)
    if form.name.startswith("CogVideoX"):
        flow = {**OPTIONS, "noise": NoiseConfig(kind="sde", eta=0.7)}
        with pytest.raises(ConfigurationError, match="rectified flow"):
            rollout(backbone, condition, **flow, guidance=1, starts=[1], seeds=[1])
