"""Scores of every training of every stage: what it reads off true videos, and the worlds that it generates."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.evaluation.comparison import COLUMNS, ESTIMATORS, GENERATION, OWN_HEADS, PERCEPTION
from phys4d_kedro.evaluation.comparison_clips import Training
from phys4d_kedro.evaluation.config import EvaluationConfig
from phys4d_kedro.evaluation.evaluate import check_annotations
from phys4d_kedro.evaluation.generation import FRECHET
from phys4d_kedro.evaluation.metrics import Reference, make_reference, score_clip
from phys4d_kedro.evaluation.predictors import EstimatorsPredictor
from phys4d_kedro.evaluation.reading import Reader
from phys4d_kedro.evaluation.reward import appearance_drift
from phys4d_kedro.evaluation.reward_config import WorldConfig
from phys4d_kedro.evaluation.video_features import frechet_distance, video_features
from phys4d_kedro.evaluation.video_metrics import score_video
from phys4d_kedro.evaluation.worlds import WorldReference, prepare_reference, with_given_frame, world_distance
from phys4d_kedro.geometry.flow import warp_residual
from phys4d_kedro.world_model.latents import LatentSet
from phys4d_kedro.world_model.world_model import WorldModel


@dataclass(frozen=True)
class Truth:
    """A held-out clip, prepared to judge what a stage sees in it and makes of its beginning.

    `world`: None where no moving object is seen, and worlds have no distance from it.
    """

    reference: Reference
    world: WorldReference | None
    features: NDArray[np.float64]

    @property
    def clip(self) -> Clip:
        """The clip itself."""
        return self.reference.clip


@dataclass(frozen=True)
class Judge:
    """How clips are judged, all stages alike. `latents` are those of the true clips."""

    latents: LatentSet
    estimators: EstimatorsPredictor
    evaluation: EvaluationConfig
    world: WorldConfig

    def prepare(self, clips: ClipStore) -> list[Truth]:
        """The clips to judge by, in memory.

        Raises:
            MissingAnnotationError: a clip lacks an exact annotation; found before anything is judged.
        """
        check_annotations(clips)
        threshold, tracks = self.evaluation.moving_threshold, self.evaluation.tracks
        return [
            Truth(
                make_reference(clip, moving_threshold=threshold, tracks=tracks),
                prepare_reference(clip, self.world),
                video_features(clip.rgb),
            )
            for clip in tqdm(clips, desc="Preparing true clips", unit="clip", total=len(clips))
        ]

    def reader(self, model: WorldModel) -> Reader:
        """Reads the true clips with a model, with the same noise whatever the model."""
        return Reader(model, self.latents, noise_seed=self.evaluation.seed)

    def perception(self, model: WorldModel, reader: Reader, truth: Truth) -> Iterator[tuple[str, float]]:
        """Metric and value of what a model reads off the true video."""
        for score in score_clip(truth.reference, model.annotate(truth.clip, reader.read(truth.clip))):
            yield f"{score.metric}_{score.region}", score.value

    def generation(self, world: Clip, truth: Truth) -> Iterator[tuple[str, float]]:
        """Metric and value of a generated world."""
        yield from score_video(world.rgb, truth.clip.rgb).items()
        yield "appearance_drift", appearance_drift(world.rgb, truth.clip.rgb)
        residual = self_consistency(world)
        if residual is not None:
            yield "warp_residual", residual
        if truth.world is not None:
            seen = self.estimators.predict(with_given_frame(world, truth.world))
            for judge, annotated in ((OWN_HEADS, world), (ESTIMATORS, seen)):
                distance = world_distance(annotated, truth.world, align=self.world.align)
                yield f"world_distance_{judge}", distance.chamfer_4d
                yield f"scaled_world_distance_{judge}", distance.chamfer_4d / distance.scale


def self_consistency(world: Clip) -> float | None:
    """Mean warp residual in log metres between a world's own depth and motion, where that stays in the frame.

    None where it nowhere does.
    """
    world.require("depth", "motion")
    depth, motion, inside = (torch.from_numpy(world.arrays()[key]) for key in ("depth", "motion", "motion_valid"))
    residual, judged = warp_residual(depth[:-1], depth[1:], motion.movedim(-1, -3), inside)
    return float(residual[judged].double().mean()) if judged.any() else None


def score_trainings(
    model: WorldModel, trainings: Sequence[Training], judge: Judge, truths: Sequence[Truth], worlds: ClipStore
) -> pd.DataFrame:
    """The table of `comparison`: every metric of every training, on every clip.

    Args:
        model: of any of the trainings.
        worlds: what `comparison_source` generates.
    """
    rows: list[tuple[Any, ...]] = []
    with tqdm(total=len(trainings) * len(truths), desc="Judging stages", unit="clip") as bar:
        for training in trainings:
            model = model.with_stage(training.folder)
            reader = judge.reader(model)
            who, features = (training.stage, training.seed), defaultdict(list)
            for truth in truths:
                clip = truth.clip
                seen = judge.perception(model, reader, truth)
                rows += [(PERCEPTION, *who, None, clip.clip_id, clip.scene, *score) for score in seen]
                for world in _worlds_of(training, clip, worlds):
                    sample = world.parameters["sample"]
                    made = judge.generation(world, truth)
                    rows += [(GENERATION, *who, sample, clip.clip_id, clip.scene, *score) for score in made]
                    features[sample].append(video_features(world.rgb))
                bar.update()
            true = np.stack([truth.features for truth in truths])
            for sample, found in features.items():
                distance = frechet_distance(np.stack(found), true)
                rows.append((GENERATION, *who, sample, None, None, FRECHET, distance))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"seed": "Int64", "sample": "Int64"})


def _worlds_of(training: Training, truth: Clip, worlds: ClipStore) -> list[Clip]:
    """What a training generated from a true clip, sample by sample."""
    beginning = training.name(truth.clip_id, 0).removesuffix("0")
    return [worlds.read(name) for name in worlds.ids if name.startswith(beginning)]
