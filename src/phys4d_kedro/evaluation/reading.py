"""Reading clips with the backbone, once for all that look at the same reading."""

import zlib
from typing import Protocol

import numpy as np
import torch

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.world_model.backbones.base import Condition, Prediction
from phys4d_kedro.world_model.latents import LatentSet


class VideoModel(Protocol):
    """What a `WorldModel` does here."""

    def read(self, clip: Clip, *, seed: int, encoded: tuple[torch.Tensor, Condition] | None = None) -> Prediction:
        """One pass of the backbone over the clip."""
        ...

    def annotate(self, clip: Clip, reading: Prediction) -> Clip:
        """The clip with the heads' depth and motion."""
        ...


class Reader:
    """Reads clips with a model's backbone at its noise level, the latents taken from a cache.

    Each clip has noise of its own, whatever clips are beside it. The last reading is kept: the heads of several seeds
    and the ridge regression cost one pass together.
    """

    def __init__(self, model: VideoModel, latents: LatentSet, *, noise_seed: int) -> None:
        self._model = model
        self._latents = latents
        self._noise_seed = noise_seed
        self._index = {clip_id: index for index, clip_id in enumerate(latents.clip_ids)}
        self._last: tuple[Clip, Prediction] | None = None

    def read(self, clip: Clip) -> Prediction:
        """The reading of a clip of the cached set."""
        if self._last is None or self._last[0] is not clip:
            index = [self._index[clip.clip_id]]
            encoded = self._latents.latents(index), self._latents.conditions(index)
            seed = readout_seed(self._noise_seed, clip.clip_id)
            self._last = clip, self._model.read(clip, seed=seed, encoded=encoded)
        return self._last[1]


def readout_seed(seed: int, clip_id: str) -> int:
    """The seed of a clip's noise."""
    return int(np.random.default_rng([seed, zlib.crc32(clip_id.encode())]).integers(2**31))
