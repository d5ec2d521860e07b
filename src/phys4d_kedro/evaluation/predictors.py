"""Everything that predicts depth and motion of a clip, behind one protocol: heads, baselines, estimators, the truth."""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.errors import CheckpointError, InvalidClipError
from phys4d_kedro.evaluation.statistics import FLOOR

if TYPE_CHECKING:
    from phys4d_kedro.evaluation.baselines import Baselines
    from phys4d_kedro.evaluation.ridge import RidgeHeads
    from phys4d_kedro.perception.config import PseudoLabelConfig
    from phys4d_kedro.perception.pseudo_labels import Estimators


class Predictor(Protocol):
    """`name` says what it is, `seed` which of several training runs (None where there is one)."""

    @property
    def name(self) -> str: ...

    @property
    def seed(self) -> int | None: ...

    def predict(self, clip: Clip) -> Clip:
        """The clip with predicted depth, motion and motion_valid, from its RGB and prompt alone."""
        ...


class VideoModel(Protocol):
    """What a `WorldModel` does here."""

    def perceive(self, clip: Clip, *, seed: int) -> Clip:
        """The clip with the heads' depth and motion."""
        ...

    def features(self, clip: Clip, *, seed: int) -> torch.Tensor:
        """(t, h, w, D)."""
        ...


def readout_seed(seed: int, clip_id: str) -> int:
    """The seed of the noise that a clip is read at: its own, whatever clips are beside it."""
    return int(np.random.default_rng([seed, zlib.crc32(clip_id.encode())]).integers(2**31))


@dataclass(frozen=True)
class HeadsPredictor:
    """The trained heads of one seed."""

    model: VideoModel
    seed: int | None
    noise_seed: int
    name: str = "heads"

    def predict(self, clip: Clip) -> Clip:
        return self.model.perceive(clip, seed=readout_seed(self.noise_seed, clip.clip_id))


@dataclass(frozen=True)
class RidgePredictor:
    """Ridge regression on the features that the heads read."""

    model: VideoModel
    heads: "RidgeHeads"
    noise_seed: int
    name: str = "ridge"
    seed: int | None = None

    def predict(self, clip: Clip) -> Clip:
        features = self.model.features(clip, seed=readout_seed(self.noise_seed, clip.clip_id))
        depth, motion = self.heads.predict(features.cpu())
        return with_prediction(clip, depth.numpy(), motion.numpy())


@dataclass(frozen=True)
class StillPredictor:
    """A depth map that is the same in every frame of every clip, (H, W) or a single number, and zero motion."""

    name: str
    depth: NDArray[np.float32]
    seed: int | None = None

    def predict(self, clip: Clip) -> Clip:
        if self.depth.ndim and self.depth.shape != clip.size:
            raise InvalidClipError(
                f"clip '{clip.clip_id}' is {clip.size[0]}x{clip.size[1]} pixels, the training clips behind "
                f"'{self.name}' are {self.depth.shape[0]}x{self.depth.shape[1]}; make both of one size"
            )
        depth = np.broadcast_to(self.depth, clip.rgb.shape[:3])
        return with_prediction(clip, depth, np.zeros((clip.frames - 1, *clip.size, 3)))


@dataclass(frozen=True)
class EstimatorsPredictor:
    """The estimators whose labels the heads were trained on: the ceiling that label noise sets."""

    config: "PseudoLabelConfig"
    estimators: "Estimators"
    name: str = "estimators"
    seed: int | None = None

    def predict(self, clip: Clip) -> Clip:
        from phys4d_kedro.perception.pseudo_labels import label_clip

        return label_clip(clip, self.config, self.estimators)


@dataclass(frozen=True)
class ExactPredictor:
    """The clip's own annotations: what sampling and interpolation leave of each metric."""

    name: str = FLOOR
    seed: int | None = None

    def predict(self, clip: Clip) -> Clip:
        return clip


def with_prediction(clip: Clip, depth: NDArray[np.floating], motion: NDArray[np.floating]) -> Clip:
    """The clip with this depth (T, H, W) and motion (T-1, H, W, 3) in place of all annotations but the camera."""
    return Clip(
        clip_id=clip.clip_id,
        rgb=clip.rgb,
        fps=clip.fps,
        source="pseudo",
        depth=np.ascontiguousarray(depth, np.float32),
        motion=np.ascontiguousarray(motion, np.float32),
        motion_valid=np.ones(motion.shape[:3], np.bool_),
        intrinsics=clip.intrinsics,
        world_from_camera=clip.world_from_camera,
        prompt=clip.prompt,
        category=clip.category,
        scene=clip.scene,
        seed=clip.seed,
        parameters=clip.parameters,
    )


def head_folders(heads: Path) -> dict[int, Path]:
    """The folders of a set of heads by training seed. Raises CheckpointError where there are none."""
    found = {int(folder.name.removeprefix("seed_")): folder for folder in heads.glob("seed_*")}
    if not found:
        raise CheckpointError(f"there are no heads in {heads} (seed_<n>/...); kedro run --pipeline=pretrain makes them")
    return dict(sorted(found.items()))


def make_predictors(
    backbone: Path,
    heads: Mapping[int, Path],
    baselines: "Baselines",
    labels: "PseudoLabelConfig",
    *,
    noise_level: float,
    noise_seed: int,
) -> Iterator[Predictor]:
    """The heads of each training seed, and the baselines; each is made when it is asked for.

    Args:
        heads: folders by seed, see `head_folders`.
        labels: the estimators' parameters.
        noise_level, noise_seed: at which, and by which, noise is added to a video before it is read.
    """
    from phys4d_kedro.perception.pseudo_labels import load_estimators
    from phys4d_kedro.world_model.world_model import WorldModel

    for seed, folder in heads.items():
        model = WorldModel.load(backbone, folder, noise_level=noise_level)
        yield HeadsPredictor(model, seed, noise_seed)
    yield RidgePredictor(model, baselines.ridge, noise_seed)
    yield StillPredictor("pixel_median", baselines.pixel)
    yield StillPredictor("constant_median", np.full((), baselines.constant, np.float32))
    yield EstimatorsPredictor(labels, load_estimators(labels))
