"""Stage 1: depth and motion heads on a frozen backbone, from labelled clips (Phys4D, pseudo-supervised pretraining)."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from tqdm import tqdm

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.training.objectives import masked_smooth_l1, sample_noise_levels
from phys4d_kedro.training.task import Task
from phys4d_kedro.world_model.backbones.base import Backbone
from phys4d_kedro.world_model.heads import (
    DEPTH_CHANNELS,
    HEADS,
    MOTION_CHANNELS,
    Head,
    statistics,
)
from phys4d_kedro.world_model.labels import Labels, read_labels
from phys4d_kedro.world_model.latents import LatentSet


class LabelReader:
    """Labels of clips by position, kept in memory in the order they are first asked for, up to a budget.

    Args:
        memory: bytes that may be kept; beyond them, clips are read again each time.
        moving_weight: see `read_labels`.
    """

    def __init__(self, clips: ClipStore, memory: int, *, moving_weight: float = 1.0) -> None:
        self.clips = clips
        self.memory = memory
        self.moving_weight = moving_weight
        self._kept: dict[int, Labels] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.clips)

    def read(self, index: int) -> Labels:
        """The labels of one clip, with a batch dimension of 1."""
        if index in self._kept:
            return self._kept[index]
        labels = read_labels(self.clips, self.clips.ids[index], moving_weight=self.moving_weight)
        size = sum(value.nbytes for value in vars(labels).values())
        if self._bytes + size <= self.memory:
            self._kept[index] = labels
            self._bytes += size
        return labels

    @cached_property
    def statistics(self) -> dict[str, tuple[list[float], list[float]]]:
        """Mean and standard deviation per channel of the targets of the `depth` and the `motion` head."""
        depth, motion = _Moments(DEPTH_CHANNELS), _Moments(MOTION_CHANNELS)
        for index in tqdm(range(len(self)), desc="Measuring labels", unit="clip"):
            clip = self.read(index)
            depth.add(clip.depth, clip.depth_weight)
            motion.add(clip.motion, clip.motion_weight)
        return {"depth": depth.statistics(), "motion": motion.statistics()}

    def batch(self, indices: Sequence[int]) -> Labels:
        """The labels of several clips."""
        parts = [self.read(i) for i in indices]
        return Labels(*(torch.cat([vars(part)[name] for part in parts]) for name in Labels.__dataclass_fields__))


def new_heads(backbone: Backbone, labels: LabelReader, kind: str, *, seed: int, **sizes: int) -> dict[str, Head]:
    """Untrained `depth` and `motion` heads for this backbone, standardised to the labels.

    Args:
        kind: a key of `HEADS`; `sizes` are what its class takes beside what all heads do.
    """
    common: dict[str, Any] = {
        "feature_dim": backbone.feature_dim,
        "temporal": backbone.temporal_compression,
        "pixels": backbone.token_pixels,
        "backbone": backbone.fingerprint("transformer", "vae"),
        "chunk": backbone.chunk_latents,
    }
    heads = {}
    with torch.random.fork_rng(devices=[]):
        HEADS[kind](
            channels=1, mean=[0.0], std=[1.0], **common, **sizes
        )  # refuses bad sizes before labels are measured
        torch.manual_seed(seed)
        for name, (mean, std) in labels.statistics.items():
            heads[name] = HEADS[kind](channels=len(mean), mean=mean, std=std, **common, **sizes)
    return heads


class HeadsTask(Task):
    """Depth and motion losses of the heads, on features of noised latents of the frozen transformer."""

    def __init__(
        self,
        backbone: Backbone,
        heads: dict[str, Head],
        latents: LatentSet,
        labels: LabelReader,
        *,
        noise_shift: float,
        depth_weight: float,
        motion_weight: float,
    ) -> None:
        self.modules = dict(heads)
        self.heads = heads
        self.backbone = backbone
        self.latents = latents
        self.labels = labels
        self.noise_shift = noise_shift
        self.depth_weight = depth_weight
        self.motion_weight = motion_weight

    def describe(self, indices: list[int]) -> list[str]:
        return [self.labels.clips.ids[index] for index in indices]

    def loss(self, indices: list[int], generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        depth_head, motion_head = self.heads["depth"], self.heads["motion"]
        device = depth_head.device
        latents = self.latents.latents(indices).to(device)
        noise = torch.randn(latents.shape, generator=generator).to(device)
        level = sample_noise_levels(len(indices), self.noise_shift, generator).to(device)
        with torch.no_grad():
            condition = self.latents.conditions(indices).to(device)
            noisy = self.backbone.add_noise(latents, noise, level, condition)
            seen = self.backbone.predict(noisy, level, condition, features=True)
        labels = self.labels.batch(indices)
        depth = masked_smooth_l1(
            depth_head(seen),
            depth_head.standardise(labels.depth.to(device)),
            labels.depth_weight.to(device),
        )
        motion = masked_smooth_l1(
            motion_head(seen)[:, 1:],
            motion_head.standardise(labels.motion.to(device)),
            labels.motion_weight.to(device),
        )
        loss = self.depth_weight * depth + self.motion_weight * motion
        return loss, {"depth_loss": float(depth.detach()), "motion_loss": float(motion.detach())}


class _Moments:
    """Running weighted sums of values and squares, per channel."""

    def __init__(self, channels: int) -> None:
        self.weight = 0.0
        self.total = torch.zeros(channels, dtype=torch.float64)
        self.squares = torch.zeros(channels, dtype=torch.float64)

    def add(self, values: torch.Tensor, weight: torch.Tensor) -> None:
        weighted = values.double() * weight[..., None].double()
        self.weight += float(weight.double().sum())
        self.total += weighted.flatten(0, -2).sum(0)
        self.squares += (weighted * values.double()).flatten(0, -2).sum(0)

    def statistics(self) -> tuple[list[float], list[float]]:
        return statistics(max(self.weight, 1.0), self.total, self.squares)
