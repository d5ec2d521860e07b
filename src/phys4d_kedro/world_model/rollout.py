"""The sampler as a policy: trajectories with their log-probabilities, and the same log-probabilities with gradients.

Some steps are stochastic; they are what is trained. All others are the deterministic step of the same mixture (Euler
for rectified flow, DDIM for v-prediction), whatever the scheduler of the folder does; the levels are that scheduler's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.world_model.backbones.base import Backbone, Condition, Prediction
from phys4d_kedro.world_model.sampling import initial_noise
from phys4d_kedro.world_model.transitions import Transition, transition
from phys4d_kedro.world_model.transitions_config import NoiseConfig


@dataclass(frozen=True)
class RolloutStep:
    """One stochastic step of B videos, all float32.

    `latents`, `next_latents` (B, C, t, h, w) at `level`, `next_level` (B,); `log_prob` (B,) of the one given the other;
    `value` (B,), where a value function was given.
    """

    latents: torch.Tensor
    next_latents: torch.Tensor
    level: torch.Tensor
    next_level: torch.Tensor
    log_prob: torch.Tensor
    value: torch.Tensor | None


@dataclass(frozen=True)
class Rollout:
    """`latents` (B, C, t, h, w) of the videos, the stochastic steps in order, and the condition guided away from."""

    latents: torch.Tensor
    steps: tuple[RolloutStep, ...]
    away: Condition | None


@torch.no_grad()
def rollout(
    backbone: Backbone,
    condition: Condition,
    *,
    frames: int,
    height: int,
    width: int,
    steps: int,
    guidance: float,
    noise: NoiseConfig,
    stochastic: Sequence[int],
    starts: Sequence[int],
    seeds: Sequence[int],
    negative: str = "",
    value: Callable[[Prediction, torch.Tensor], torch.Tensor] | None = None,
) -> Rollout:
    """Sample one video per row of the condition.

    A video's randomness is of its own seeds, that of a step of the seed and the step's number. The transformer is put
    into evaluation mode and left there.

    Args:
        guidance: classifier-free guidance, as in `sampling.sample`.
        stochastic: numbers of the steps that are stochastic; never the last, which would leave its noise in the video.
        starts: seeds of the noise that videos start from; equal ones start alike.
        seeds: seeds of what stochastic steps draw.
        value: a value function of readings with features (of the guided-to pass) and levels (B,).

    Raises:
        ConfigurationError: steps that cannot be stochastic, no noise for those that are, or noise that does not fit the
            model.
        InvalidClipError: the model does not make videos of this size.
    """
    size = {"frames": frames, "height": height, "width": width}
    backbone.check_size(**size)
    _check_stochastic(stochastic, steps, noise)
    backbone.transformer.eval()
    stepper = backbone.stepper(steps, **size, generators=[])  # for its levels
    away = backbone.unconditional(condition, negative) if guidance != 1 else None
    latents = backbone.place_given(initial_noise(backbone, starts, **size), condition)
    deterministic = noise.model_copy(update={"eta": 0.0})
    taken = []
    levels = zip(stepper.levels, stepper.next_levels, strict=True)
    for index, pair in enumerate(tqdm(levels, total=steps, desc="Rolling out", unit="step", leave=False)):
        level, next_level = (torch.full((len(seeds),), at) for at in pair)
        is_trained = index in stochastic
        step, prediction = _step(
            backbone,
            condition,
            away,
            latents=latents,
            level=level,
            next_level=next_level,
            noise=noise if is_trained else deterministic,
            guidance=guidance,
            features=is_trained and value is not None,
        )
        if not is_trained:
            latents = backbone.place_given(step.mean, condition)
            continue
        after = backbone.place_given(step.sample([_generator(seed, index) for seed in seeds]), condition)
        estimate = None if value is None else value(prediction, level)
        taken.append(RolloutStep(latents, after, level, next_level, step.log_prob(after), estimate))
        latents = after
    return Rollout(latents, tuple(taken), away)


def replay(
    backbone: Backbone,
    condition: Condition,
    *,
    latents: torch.Tensor,
    next_latents: torch.Tensor,
    level: torch.Tensor,
    next_level: torch.Tensor,
    noise: NoiseConfig,
    guidance: float,
    away: Condition | None,
    features: bool = False,
) -> tuple[torch.Tensor, Transition, Prediction]:
    """Log-probabilities (B,) of steps that were taken, with gradients; their distribution; the guided-to pass.

    Rows may be of different trajectories and levels. With the weights, rows and guidance of the rollout, the
    log-probabilities are its very own, to the bit; in another batch they differ by the rounding of the matrix products.
    The transformer is put into evaluation mode and left there.

    Args:
        away: the rows of `Rollout.away`.
        features: whether the pass shows its features, for a value function.

    Raises:
        ConfigurationError: `away` is missing though there is guidance; or as `rollout`.
    """
    # Left so, because gradient checkpointing runs the transformer again in the backward pass.
    backbone.transformer.eval()
    step, prediction = _step(
        backbone,
        condition,
        away,
        latents=latents,
        level=level,
        next_level=next_level,
        noise=noise,
        guidance=guidance,
        features=features,
    )
    return step.log_prob(next_latents), step, prediction


def _step(
    backbone: Backbone,
    condition: Condition,
    away: Condition | None,
    *,
    latents: torch.Tensor,
    level: torch.Tensor,
    next_level: torch.Tensor,
    noise: NoiseConfig,
    guidance: float,
    features: bool,
) -> tuple[Transition, Prediction]:
    """Where the policy goes from latents in which given frames are in place, and the pass that says so."""
    if (away is None) != (guidance == 1):
        raise ConfigurationError(
            f"guidance is {guidance}, and the condition to guide away from is {'missing' if away is None else 'given'}"
        )
    # A training loop may be in autocast where the rollout was not; the ratio of both would not start at 1.
    with torch.autocast(latents.device.type, enabled=False):
        prediction = backbone.predict(latents, level, condition, features=features)
        output = prediction.output.float()
        if away is not None:
            without = backbone.predict(latents, level, away).output.float()
            output = without + guidance * (output - without)
        clean = backbone.to_clean(latents, output, level)
        mask = backbone.loss_mask(latents, condition)
        ends = {"before": backbone.mixture(level), "after": backbone.mixture(next_level)}
        return transition(latents, clean, **ends, mask=mask, config=noise), prediction


def _generator(seed: int, step: int) -> torch.Generator:
    """Of a video's step; none of its draws are those of the video's initial noise."""
    state = np.random.SeedSequence(seed, spawn_key=(step,)).generate_state(1, np.uint64)[0] >> np.uint64(1)
    return torch.Generator().manual_seed(int(state))


def _check_stochastic(stochastic: Sequence[int], steps: int, noise: NoiseConfig) -> None:
    odd = [index for index in stochastic if not 0 <= index < steps - 1]
    if odd:
        raise ConfigurationError(
            f"of {steps} steps, numbers 0 to {steps - 2} can be stochastic (the last would leave its noise in the "
            f"video), not {odd}"
        )
    if stochastic and noise.eta == 0:
        raise ConfigurationError("stochastic steps need noise: eta must be above 0")
