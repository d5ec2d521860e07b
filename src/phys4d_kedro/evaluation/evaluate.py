"""Scoring predictors on held-out clips, and keeping examples of what they predict."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
from tqdm import tqdm

from phys4d_kedro.clips.clip import Clip, missing_annotation
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.evaluation.metrics import REQUIRED, make_reference, score_clip
from phys4d_kedro.evaluation.predictors import Predictor
from phys4d_kedro.evaluation.statistics import COLUMNS


def score_predictors(
    predictors: Sequence[Predictor], clips: ClipStore, *, moving_threshold: float, tracks: int
) -> pd.DataFrame:
    """Every metric of every predictor on every clip, as the tidy table of `statistics`.

    Raises:
        MissingAnnotationError: a clip lacks an exact annotation; found before anything is predicted.
    """
    check_annotations(clips)
    rows = []
    for clip in tqdm(clips, desc=f"Scoring {len(predictors)} predictors", unit="clip", total=len(clips)):
        reference = make_reference(clip, moving_threshold=moving_threshold, tracks=tracks)
        for predictor in predictors:
            for score in score_clip(reference, predictor.predict(clip)):
                identity = (predictor.name, predictor.seed, clip.clip_id, clip.scene)
                rows.append((*identity, score.region, score.metric, score.value))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"seed": "Int64"})


@dataclass(frozen=True)
class ExamplePredictions:
    """Predictions of `count` clips, which show every scene in turn, by each predictor (of its first seed).

    Iterating predicts clip after clip; each is named `<clip_id>.<predictor>`.
    """

    predictors: Sequence[Predictor]
    clips: ClipStore
    count: int

    def __iter__(self) -> Iterator[Clip]:
        chosen = self.clips.subset(choose_examples(self.clips, self.count))
        first = {predictor.name: predictor for predictor in reversed(self.predictors)}
        for clip in tqdm(chosen, desc="Predicting examples", unit="clip", total=len(chosen)):
            for predictor in reversed(first.values()):
                yield predictor.predict(clip).with_(clip_id=f"{clip.clip_id}.{predictor.name}")


def choose_examples(clips: ClipStore, count: int) -> list[str]:
    """Ids of up to `count` clips: the first of each scene, then the second of each, and so on."""
    manifest = clips.manifest
    turn = manifest.groupby("scene").cumcount()
    in_turn = manifest.assign(turn=turn).sort_values(["turn", "scene"], kind="stable")
    return in_turn["clip_id"].head(count).tolist()


def check_annotations(clips: ClipStore) -> None:
    """Raise MissingAnnotationError, naming the first clip that lacks an array that scoring needs."""
    for clip_id, keys in zip(clips.ids, clips.manifest["keys"], strict=True):
        for key in REQUIRED:
            if key not in keys:
                raise missing_annotation(clip_id, key)
