"""Nodes of the evaluation pipeline: model and clips -> scores on held-out clips with exact annotations."""

from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.evaluation.config import EvaluationConfig
from phys4d_kedro.perception.config import PseudoLabelConfig


def fit_baselines(
    backbone: Path, heads: Path, clips: ClipStore, quality: dict[str, Any], parameters: EvaluationConfig
) -> Callable[[Path], None]:
    """Learn median depths and a ridge regression on the backbone's features from the labelled clips.

    `quality` stands for the passed validation of the clips.
    """
    from phys4d_kedro.evaluation import baselines
    from phys4d_kedro.evaluation.predictors import head_folders
    from phys4d_kedro.world_model.world_model import WorldModel

    first = next(iter(head_folders(heads).values()))
    model = WorldModel.load(backbone, first, noise_level=parameters.noise_level)
    fitted = baselines.fit_baselines(
        clips,
        model,
        temporal=model.backbone.temporal_compression,
        pixels=model.backbone.token_pixels,
        ridge_penalty=parameters.ridge_penalty,
        seed=parameters.seed,
    )
    return fitted.save


def score_predictors(
    *,
    backbone: Path,
    heads: Path,
    baselines: Path,
    clips: ClipStore,
    quality: dict[str, Any],
    parameters: EvaluationConfig,
    labels: PseudoLabelConfig,
) -> pd.DataFrame:
    """Score the heads of every seed, the baselines and the estimators against the exact annotations.

    `quality` stands for the passed validation of the clips.
    """
    from phys4d_kedro.evaluation import evaluate
    from phys4d_kedro.evaluation.baselines import Baselines
    from phys4d_kedro.evaluation.predictors import ExactPredictor, head_folders, make_predictors

    predictors = make_predictors(
        backbone,
        head_folders(heads),
        Baselines.load(baselines),
        labels,
        noise_level=parameters.noise_level,
        noise_seed=parameters.seed,
    )
    return evaluate.score_predictors(
        chain(predictors, [ExactPredictor()]),
        clips,
        moving_threshold=parameters.moving_threshold,
        tracks=parameters.tracks,
    )


def predict_examples(
    *,
    backbone: Path,
    heads: Path,
    baselines: Path,
    clips: ClipStore,
    parameters: EvaluationConfig,
    labels: PseudoLabelConfig,
) -> Iterable[Clip]:
    """Keep what the first seed's heads, the baselines and the estimators predict for some clips of every scene."""
    from phys4d_kedro.evaluation.baselines import Baselines
    from phys4d_kedro.evaluation.evaluate import ExamplePredictions
    from phys4d_kedro.evaluation.predictors import head_folders, make_predictors

    predictors = make_predictors(
        backbone,
        dict(list(head_folders(heads).items())[:1]),
        Baselines.load(baselines),
        labels,
        noise_level=parameters.noise_level,
        noise_seed=parameters.seed,
    )
    return ExamplePredictions(predictors, clips, parameters.example_clips)


def summarise_scores(table: pd.DataFrame, parameters: EvaluationConfig) -> dict[str, Any]:
    """Average over clips, with the spread over seeds and the margins of the heads over everything else."""
    from phys4d_kedro.evaluation import statistics

    return statistics.summarise_scores(
        table, subject="heads", resamples=parameters.bootstrap_resamples, seed=parameters.seed
    )
