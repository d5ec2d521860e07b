"""Training of the transformer on RGB alone: the denoising loss of the backbone's own schedule."""

from dataclasses import replace

import torch

from phys4d_kedro.training.objectives import sample_noise_levels
from phys4d_kedro.training.task import Task
from phys4d_kedro.world_model.backbones.base import Backbone
from phys4d_kedro.world_model.denoising import denoising_loss
from phys4d_kedro.world_model.latents import LatentSet


class DenoiserTask(Task):
    """Text and first frame in, the rest of the video out.

    Args:
        prompt_dropout: share of clips trained as the family does without a prompt, for classifier-free guidance.
    """

    def __init__(self, backbone: Backbone, latents: LatentSet, *, noise_shift: float, prompt_dropout: float) -> None:
        self.modules = {"transformer": backbone.transformer}
        self.backbone = backbone
        self.latents = latents
        self.noise_shift = noise_shift
        self.prompt_dropout = prompt_dropout
        self._no_prompt = backbone.unconditional(latents.conditions([0])).text.cpu()

    def loss(self, indices: list[int], generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        device = next(self.backbone.transformer.parameters()).device
        latents = self.latents.latents(indices).to(device)
        keep = torch.rand(len(indices), 1, 1, generator=generator) >= self.prompt_dropout
        condition = self.latents.conditions(indices)
        condition = replace(condition, text=torch.where(keep, condition.text, self._no_prompt)).to(device)
        noise = torch.randn(latents.shape, generator=generator).to(device)
        level = sample_noise_levels(len(indices), self.noise_shift, generator).to(device)
        noisy = self.backbone.add_noise(latents, noise, level, condition)
        output = self.backbone.predict(noisy, level, condition).output
        target = self.backbone.target(latents, noise, level)
        return denoising_loss(output, target, self.backbone.loss_mask(latents, condition)), {}
