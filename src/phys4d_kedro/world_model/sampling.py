"""Generation of latents: the deterministic sampler of every family, by the scheduler of the model's own folder."""

from collections.abc import Sequence

import torch
from tqdm import tqdm

from phys4d_kedro.world_model.backbones.base import Backbone, Condition


@torch.no_grad()
def sample(
    backbone: Backbone,
    condition: Condition,
    *,
    frames: int,
    height: int,
    width: int,
    steps: int,
    guidance: float,
    seeds: Sequence[int],
    negative: str = "",
) -> torch.Tensor:
    """Latents (B, C, t, h, w) of one video per row of the condition, each from noise of its own seed.

    Args:
        guidance: classifier-free guidance, output = without prompt + guidance (with - without); 1 is none, and saves
            half of the time.
        negative: the prompt of what is guided away from.

    Raises:
        InvalidClipError: the model does not make videos of this size.
    """
    size = {"frames": frames, "height": height, "width": width}
    backbone.check_size(**size)
    noise = initial_noise(backbone, seeds, **size)
    stepper = backbone.stepper(steps, **size, generators=[torch.Generator().manual_seed(seed) for seed in seeds])
    away = backbone.unconditional(condition, negative) if guidance != 1 else None
    latents = noise
    for index, level in enumerate(tqdm(stepper.levels, desc="Sampling", unit="step", leave=False)):
        levels = torch.full((len(latents),), level)
        noisy = backbone.place_given(latents, condition)
        output = backbone.predict(noisy, levels, condition).output
        if away is not None:
            without = backbone.predict(noisy, levels, away).output
            output = without + guidance * (output - without)
        latents = stepper.step(output, index, latents)
    return backbone.place_given(latents, condition)


def initial_noise(backbone: Backbone, seeds: Sequence[int], *, frames: int, height: int, width: int) -> torch.Tensor:
    """Standard normal latents (B, C, t, h, w); a video's depend on its seed alone, not on its batch."""
    shape = backbone.latent_shape(frames=frames, height=height, width=width)
    rows = [torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(rows).to(backbone.device)
