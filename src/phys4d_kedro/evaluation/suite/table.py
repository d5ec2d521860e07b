"""The suite on sets of clips, as a tidy table.

A row a judge (`exact` of the truth itself, `heads` of the model, `estimators` of the RGB), stage (`truth`, a stage of
training, or `videos`), training seed and sample (missing where there is none), clip_id, scene, category, metric,
horizon in seconds (missing: all of the clip) and value.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.evaluation.comparison import ESTIMATORS, OWN_HEADS
from phys4d_kedro.evaluation.comparison_clips import reference_of
from phys4d_kedro.evaluation.predictors import EstimatorsPredictor
from phys4d_kedro.evaluation.suite import EXACT, TRUTH, VIDEOS
from phys4d_kedro.evaluation.suite.config import SuiteConfig
from phys4d_kedro.evaluation.suite.scores import SuiteScore, score_video, score_world
from phys4d_kedro.evaluation.suite.truth import prepare_truth
from phys4d_kedro.perception.flow import FlowEstimator

COLUMNS = ("judge", "stage", "seed", "sample", "clip_id", "scene", "category", "metric", "horizon", "value")

_TYPES = {"seed": "Int64", "sample": "Int64", "horizon": "Float64"}


def score_worlds(
    worlds: ClipStore, truths: ClipStore, estimators: EstimatorsPredictor, config: SuiteConfig
) -> pd.DataFrame:
    """Every world of `comparison_clips` by its own heads and by estimators, and the truth itself: what the metrics come
    to without any error of a model.

    Raises:
        MissingAnnotationError: a truth lacks an exact annotation.
        KeyError: a world's truth is not among them.
    """
    flow = estimators.estimators.flow
    rows: list[tuple[Any, ...]] = []
    with tqdm(total=len(worlds), desc="4D world consistency", unit="world") as bar:
        for reference, names in _by_reference(worlds).items():
            exact = truths.read(reference)
            truth = prepare_truth(exact, config)
            own = score_world(exact, backward_flow(exact, flow), truth, config)
            rows += _rows((EXACT, TRUTH, None, None), exact, own)
            for name in names:
                world = worlds.read(name)
                facts = world.parameters
                who = facts["stage"], facts["training_seed"], facts["sample"]
                # The estimators see the first frame as it was given, not what the VAE left of it.
                given = world.with_(rgb=np.concatenate([exact.rgb[:1], world.rgb[1:]]))
                for judge, seen in ((OWN_HEADS, world), (ESTIMATORS, estimators.predict(given))):
                    found = score_world(seen, backward_flow(seen, flow), truth, config)
                    rows += _rows((judge, *who), exact, found)
                bar.update()
    return _table(rows)


def score_videos(clips: Iterable[Clip], flow: FlowEstimator, config: SuiteConfig) -> pd.DataFrame:
    """Clips with depth and motion by what needs no truth, such as real videos that estimators labelled.

    Raises:
        MissingAnnotationError: a clip lacks depth or motion.
    """
    rows: list[tuple[Any, ...]] = []
    for clip in tqdm(clips, desc="4D consistency of videos", unit="video"):
        found = score_video(clip, backward_flow(clip, flow), config)
        rows += _rows((ESTIMATORS, VIDEOS, None, None), clip, found)
    return _table(rows)


def backward_flow(clip: Clip, estimator: FlowEstimator) -> torch.Tensor:
    """Optical flow (T-1, 2, H, W) from frame t+1 to t, at the pixels of t+1, from the RGB alone."""
    flows = [estimator.predict(clip.rgb[t + 1], clip.rgb[t]) for t in range(clip.frames - 1)]
    return torch.from_numpy(np.stack(flows)).movedim(-1, 1)


def _by_reference(worlds: ClipStore) -> dict[str, list[str]]:
    """Ids of worlds, <reference>.<stage>.seed<n>.<sample>, by that of the true clip."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in worlds.ids:
        found[reference_of(name)].append(name)
    return found


def _rows(who: tuple[Any, ...], clip: Clip, scores: Iterable[SuiteScore]) -> list[tuple[Any, ...]]:
    about = clip.clip_id, clip.scene, clip.category
    return [(*who, *about, score.metric, score.horizon, score.value) for score in scores]


def _table(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(_TYPES)
