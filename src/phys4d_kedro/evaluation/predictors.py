"""Everything that predicts depth and motion of a clip, behind one protocol: heads, baselines, estimators, the truth."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.errors import ConfigurationError, InvalidClipError
from phys4d_kedro.evaluation.reading import Reader, VideoModel
from phys4d_kedro.evaluation.statistics import FLOOR
from phys4d_kedro.world_model.latents import LatentSet
from phys4d_kedro.world_model.stage_folders import adapter_folder

if TYPE_CHECKING:
    from phys4d_kedro.evaluation.baselines import Baselines
    from phys4d_kedro.evaluation.ridge import RidgeHeads
    from phys4d_kedro.perception.config import PseudoLabelConfig
    from phys4d_kedro.perception.pseudo_labels import Estimators
    from phys4d_kedro.world_model.world_model import WorldModel


class Predictor(Protocol):
    """`name` says what it is, `seed` which of several training runs (None where there is one)."""

    @property
    def name(self) -> str: ...

    @property
    def seed(self) -> int | None: ...

    def predict(self, clip: Clip) -> Clip:
        """The clip with predicted depth, motion and motion_valid, from its RGB and prompt alone."""
        ...


@dataclass(frozen=True)
class HeadsPredictor:
    """The trained heads of one seed."""

    model: VideoModel
    reader: Reader
    seed: int | None
    name: str = "heads"

    def predict(self, clip: Clip) -> Clip:
        return self.model.annotate(clip, self.reader.read(clip))


@dataclass(frozen=True)
class RidgePredictor:
    """Ridge regression on the features that the heads read."""

    heads: "RidgeHeads"
    reader: Reader
    name: str = "ridge"
    seed: int | None = None

    def predict(self, clip: Clip) -> Clip:
        depth, motion = self.heads.predict(self.reader.read(clip).features[0].cpu())
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

    @classmethod
    def load(cls, labels: "PseudoLabelConfig") -> "EstimatorsPredictor":
        """Of the labels' parameters, but at every pixel: also where a label would be left out as sky.

        Raises:
            ConfigurationError, CheckpointError: an estimator cannot be loaded.
        """
        from phys4d_kedro.perception.pseudo_labels import load_estimators

        everywhere = labels.model_copy(update={"depth": labels.depth.model_copy(update={"farthest": None})})
        return cls(everywhere, load_estimators(everywhere))

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


def make_predictors(
    model: "WorldModel",
    heads: Mapping[int, Path],
    latents: LatentSet,
    baselines: "Baselines",
    labels: "PseudoLabelConfig",
    *,
    noise_seed: int,
) -> list[Predictor]:
    """The heads of each training seed, the baselines and the estimators, around one backbone.

    Args:
        model: of any of the heads.
        heads: folders by seed, see `seed_folders`; without adapters, as all read with the backbone that is there.
        latents: of the clips to predict.
        labels: the estimators' parameters.
        noise_seed: of the noise that videos are read at.

    Raises:
        ConfigurationError: heads come with an adapter.
    """
    adapted = [str(folder) for folder in heads.values() if adapter_folder(folder)]
    if adapted:
        raise ConfigurationError(
            f"{adapted[0]} has a LoRA adapter, but the evaluation is of heads on the backbone as it is: give it those "
            f"of stage 1; kedro run --pipeline=comparison judges stages with adapters"
        )
    reader = Reader(model, latents, noise_seed=noise_seed)
    return [
        *(HeadsPredictor(model.with_stage(folder), reader, seed) for seed, folder in heads.items()),
        RidgePredictor(baselines.ridge, reader),
        StillPredictor("pixel_median", baselines.pixel),
        StillPredictor("constant_median", np.full((), baselines.constant, np.float32)),
        EstimatorsPredictor.load(labels),
    ]
