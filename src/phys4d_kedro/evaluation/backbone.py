"""A backbone as a video model: its denoising loss, and what it generates from held-out first frames and prompts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.evaluation.generation import JudgedClip, summarise_generation
from phys4d_kedro.world_model.backbones.base import Backbone


@dataclass(frozen=True)
class GeneratedBesideTruth:
    """Generated clips, grouped by the true clip that each was generated from, beside what the VAE leaves of that one.

    Raises, when iterated:
        ShardError: a true clip is not in `truths`.
    """

    backbone: Backbone
    generated: ClipStore
    truths: ClipStore

    def __iter__(self) -> Iterator[JudgedClip]:
        samples: dict[str, dict[int, NDArray[np.uint8]]] = {}
        for clip in self.generated:
            samples.setdefault(clip.parameters["reference"], {})[clip.parameters["sample"]] = clip.rgb
        for reference, generated in tqdm(samples.items(), desc="Judging generated clips", unit="clip"):
            truth = self.truths.read(reference)
            yield JudgedClip(
                clip_id=reference,
                category=truth.category,
                truth=truth.rgb,
                generated=generated,
                reconstructed=self._reconstruct(truth.rgb),
            )

    def _reconstruct(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        latents = self.backbone.encode_video(torch.from_numpy(rgb.copy())[None])
        return np.asarray(self.backbone.decode_video(latents)[0].cpu().numpy())


def summarise_backbone(
    losses: pd.DataFrame, scores: pd.DataFrame, features: pd.DataFrame, *, resamples: int, seed: int
) -> dict[str, Any]:
    """The figures of a backbone, JSON-able: `denoising_loss` (`mean`, `by_noise_level`, `clips`), and `generation`,
    see `summarise_generation`.
    """
    by_level = losses.groupby("noise_level")["loss"].mean()
    return {
        "denoising_loss": {
            "mean": float(losses["loss"].mean()),
            "by_noise_level": {f"{level:.3f}": float(loss) for level, loss in by_level.items()},
            "clips": int(losses["clip_id"].nunique()),
        },
        "generation": summarise_generation(scores, features, resamples=resamples, seed=seed),
    }
