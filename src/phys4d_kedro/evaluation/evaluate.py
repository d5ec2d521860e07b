"""Scoring predictors on held-out clips, and keeping examples of what they predict."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pandas as pd
from tqdm import tqdm

from phys4d_kedro.clips.clip import Clip, missing_annotation
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.evaluation.metrics import REQUIRED, make_reference, score_clip
from phys4d_kedro.evaluation.predictors import Predictor
from phys4d_kedro.evaluation.statistics import COLUMNS


def score_predictors(
    predictors: Iterable[Predictor], clips: ClipStore, *, moving_threshold: float, tracks: int
) -> pd.DataFrame:
    """Every metric of every predictor on every clip, as the tidy table of `statistics`.

    Raises:
        MissingAnnotationError: a clip lacks an exact annotation; found before anything is predicted.
    """
    check_annotations(clips)
    rows = []
    for predictor in predictors:
        label = predictor.name if predictor.seed is None else f"{predictor.name}, seed {predictor.seed}"
        for clip in tqdm(clips, desc=f"Evaluating {label}", unit="clip", total=len(clips)):
            reference = make_reference(clip, moving_threshold=moving_threshold, tracks=tracks)
            for score in score_clip(reference, predictor.predict(clip)):
                identity = (predictor.name, predictor.seed, clip.clip_id, clip.scene)
                rows.append((*identity, score.region, score.metric, score.value))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"seed": "Int64"})


@dataclass(frozen=True)
class ExamplePredictions:
    """Predictions of `count` clips, which show every scene in turn, by each of some predictors (of different names).

    Iterating predicts clip after clip; each is named `<clip_id>.<predictor>`.
    """

    predictors: Iterable[Predictor]
    clips: ClipStore
    count: int

    def __iter__(self) -> Iterator[Clip]:
        chosen = self.clips.subset(choose_examples(self.clips, self.count))
        for predictor in self.predictors:
            for clip in tqdm(chosen, desc=f"Examples of {predictor.name}", unit="clip", total=len(chosen)):
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
