"""The denoising loss of a backbone on clips that it was not trained on, with noise that is the same every time."""

import pandas as pd
import torch
from tqdm import tqdm

from phys4d_kedro.evaluation.reading import readout_seed
from phys4d_kedro.world_model.backbones.base import Backbone
from phys4d_kedro.world_model.denoising import denoising_loss, shift_noise_levels
from phys4d_kedro.world_model.latents import LatentSet


@torch.no_grad()
def denoising_losses(backbone: Backbone, latents: LatentSet, *, levels: int, shift: float, seed: int) -> pd.DataFrame:
    """A row a clip and noise level: clip_id, noise_level, loss.

    The `levels` noise levels are the middles of as many equal parts of the training distribution (see
    `sample_noise_levels` for `shift`), so that their mean estimates the expected training loss. Each clip has noise of
    its own.
    """
    noise_levels = shift_noise_levels((torch.arange(levels) + 0.5) / levels, shift)
    rows = []
    for index, clip_id in enumerate(tqdm(latents.clip_ids, desc="Measuring the denoising loss", unit="clip")):
        clean = latents.latents([index]).to(backbone.device)
        condition = latents.conditions([index]).to(backbone.device)
        generator = torch.Generator().manual_seed(readout_seed(seed, clip_id))
        for level in noise_levels:
            noise = torch.randn(clean.shape, generator=generator).to(clean)
            level_of_batch = level[None].to(clean.device)
            noisy = backbone.add_noise(clean, noise, level_of_batch, condition)
            output = backbone.predict(noisy, level_of_batch, condition).output
            target = backbone.target(clean, noise, level_of_batch)
            loss = float(denoising_loss(output, target, backbone.loss_mask(clean, condition)))
            rows.append((clip_id, float(level), loss))
    return pd.DataFrame(rows, columns=["clip_id", "noise_level", "loss"])
