"""The losses of stage 2 (Phys4D, physics-grounded fine-tuning), and of its control, which has the first of them alone.

    denoising + depth + motion + warp consistency (+ photometric consistency), each with its weight in conf

Letters: B clips, C latent channels, t h w latent frames, rows and columns.
"""

from collections import defaultdict
from dataclasses import dataclass, replace

import torch

from phys4d_kedro.training.heads import LabelReader
from phys4d_kedro.training.objectives import (
    geometry_weight,
    mean_of_each_clip,
    sample_mixed_noise_levels,
    smooth_l1,
)
from phys4d_kedro.training.sft_config import SftConfig
from phys4d_kedro.training.task import Task
from phys4d_kedro.training.warp_loss import photometric_consistency, warp_consistency
from phys4d_kedro.world_model.backbones.base import Backbone, Prediction
from phys4d_kedro.world_model.denoising import denoising_loss
from phys4d_kedro.world_model.heads import Head
from phys4d_kedro.world_model.labels import Labels
from phys4d_kedro.world_model.latents import LatentSet
from phys4d_kedro.world_model.lora import lora_layers


@dataclass(frozen=True)
class LabelledLatents:
    """The latents and the exact labels of a set of clips, in one order."""

    latents: LatentSet
    labels: LabelReader


class SftTask(Task):
    """The losses of stage 2: one pass of the adapted transformer gives the denoising loss and what the heads read."""

    def __init__(
        self,
        backbone: Backbone,
        heads: dict[str, Head],
        config: SftConfig,
        train: LabelledLatents,
        validation: LabelledLatents,
    ) -> None:
        self.modules = {"lora": lora_layers(backbone.transformer), **(heads if config.trains_heads else {})}
        self.backbone = backbone
        self.heads = {name: head.to(backbone.device) for name, head in heads.items()}
        self.config = config
        self.train = train
        self.validation = validation
        self._no_prompt = backbone.unconditional(train.latents.conditions([0])).text.cpu()

    def loss(self, indices: list[int], generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        losses = self._losses(
            self.train,
            indices,
            generator,
            prompt_dropout=self.config.prompt_dropout,
            with_geometry=self.config.trains_heads,
        )
        values = torch.stack(list(losses.values()))
        weights = values.new_tensor([self.config.weights[name] for name in losses])
        figures = dict(zip(losses, values.tolist(), strict=True))
        # Not a matrix product, which autocast would round.
        return (weights * values).sum(), {f"{name}_loss": value for name, value in figures.items()}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """All losses of the validation clips, with the same noise every time; the heads' too where they do not train.

        `validation_loss` is the sum that training lowers.
        """
        clips, loop = self.validation, self.config.loop
        batch = loop.micro_batch_size or loop.batch_size
        means: dict[str, float] = defaultdict(float)
        for start in range(0, len(clips.labels), batch):
            indices = list(range(start, min(start + batch, len(clips.labels))))
            generator = torch.Generator().manual_seed(start)
            losses = self._losses(clips, indices, generator, prompt_dropout=0.0, with_geometry=True)
            for name, loss in losses.items():
                means[name] += float(loss) * len(indices) / len(clips.labels)
        total = sum(self.config.weights[name] * value for name, value in means.items())
        return {"validation_loss": total, **{f"{name}_loss": value for name, value in means.items()}}

    def describe(self, indices: list[int]) -> list[str]:
        return [self.train.latents.clip_ids[i] for i in indices]

    def _losses(
        self,
        clips: LabelledLatents,
        indices: list[int],
        generator: torch.Generator,
        *,
        prompt_dropout: float,
        with_geometry: bool,
    ) -> dict[str, torch.Tensor]:
        """Each loss by name, float32 and not yet weighted."""
        backbone, config = self.backbone, self.config
        latents = clips.latents.latents(indices).to(backbone.device)
        keep = torch.rand(len(indices), 1, 1, generator=generator) >= prompt_dropout
        condition = clips.latents.conditions(indices)
        condition = replace(condition, text=torch.where(keep, condition.text, self._no_prompt)).to(backbone.device)
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        level = sample_mixed_noise_levels(
            len(indices),
            config.noise_shift,
            share=config.geometry_share,
            share_shift=config.geometry_shift,
            generator=generator,
        ).to(latents)
        noisy = backbone.add_noise(latents, noise, level, condition)
        seen = backbone.predict(noisy, level, condition, features=with_geometry)
        with torch.autocast(backbone.device.type, enabled=False):
            target = backbone.target(latents, noise, level)
            losses = {"denoising": denoising_loss(seen.output.float(), target, backbone.loss_mask(latents, condition))}
            if with_geometry:
                clean = backbone.place_given(backbone.to_clean(noisy, seen.output.float(), level), condition)
                weight = geometry_weight(level, config.geometry_power)
                of_clips = self._geometry_losses(seen, clean, clips.labels.batch(indices))
                losses |= {name: (weight * loss).mean() for name, loss in of_clips.items()}
        return losses

    def _geometry_losses(self, seen: Prediction, clean: torch.Tensor, labels: Labels) -> dict[str, torch.Tensor]:
        """Losses of each clip (B,): of the heads' depth and motion, and of their consistency.

        Args:
            clean: latents (B, C, t, h, w) that the transformer's output means.
        """
        labels = Labels(*(value.to(clean.device) for value in vars(labels).values()))
        depth_head, motion_head = self.heads["depth"], self.heads["motion"]
        depth, motion = depth_head(seen), motion_head(seen)[:, 1:]
        depth_values, motion_values = depth_head.destandardise(depth), motion_head.destandardise(motion)
        depth_error = smooth_l1(depth, depth_head.standardise(labels.depth))
        motion_error = smooth_l1(motion, motion_head.standardise(labels.motion))
        losses = {
            "depth": mean_of_each_clip(depth_error, labels.depth_weight),
            "motion": mean_of_each_clip(motion_error, labels.motion_weight),
            "warp": warp_consistency(depth_values, motion_values, labels.depth_weight, labels.motion_weight),
        }
        if self.config.photometric_weight:
            pixels = self.backbone.decode_pixels(clean)
            losses["photometric"] = photometric_consistency(pixels, motion_values, labels.motion_weight)
        return losses
