"""Nodes of the evaluation pipeline: model and clips -> scores on held-out clips with exact annotations."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.evaluation.config import EvaluationConfig
from phys4d_kedro.perception.config import PseudoLabelConfig
from phys4d_kedro.pipelines.quality import gate
from phys4d_kedro.world_model.config import LoadingConfig
from phys4d_kedro.world_model.latents import LatentCache


def fit_baselines(
    *,
    backbone: Path,
    heads: Path,
    clips: ClipStore,
    latents: LatentCache,
    parameters: EvaluationConfig,
    loading: LoadingConfig,
) -> Callable[[Path], None]:
    """Learn median depths and a ridge regression on the backbone's features from the labelled clips."""
    from phys4d_kedro.evaluation import baselines
    from phys4d_kedro.evaluation.reading import Reader
    from phys4d_kedro.world_model.stage_folders import seed_folders
    from phys4d_kedro.world_model.world_model import WorldModel

    first = next(iter(seed_folders(heads).values()))
    model = WorldModel.load(backbone, first, noise_level=parameters.noise_level, loading=loading)
    return baselines.fit_baselines(
        clips,
        Reader(model, latents.open([clips], model.backbone), noise_seed=parameters.seed),
        temporal=model.backbone.temporal_compression,
        pixels=model.backbone.token_pixels,
        chunk=model.backbone.chunk_latents,
        ridge_penalty=parameters.ridge_penalty,
    ).save


def score_predictors(
    *,
    backbone: Path,
    heads: Path,
    baselines: Path,
    clips: ClipStore,
    latents: LatentCache,
    parameters: EvaluationConfig,
    labels: PseudoLabelConfig,
    loading: LoadingConfig,
) -> tuple[pd.DataFrame, Iterable[Clip]]:
    """Score the heads of every seed, the baselines and the estimators against exact annotations, and keep examples."""
    from phys4d_kedro.evaluation import evaluate
    from phys4d_kedro.evaluation.baselines import Baselines
    from phys4d_kedro.evaluation.predictors import ExactPredictor, make_predictors
    from phys4d_kedro.world_model.stage_folders import seed_folders
    from phys4d_kedro.world_model.world_model import WorldModel

    folders = seed_folders(heads)
    model = WorldModel.load(backbone, next(iter(folders.values())), noise_level=parameters.noise_level, loading=loading)
    predictors = make_predictors(
        model,
        folders,
        latents.open([clips], model.backbone),
        Baselines.load(baselines),
        labels,
        noise_seed=parameters.seed,
    )
    table = evaluate.score_predictors(
        [*predictors, ExactPredictor()],
        clips,
        moving_threshold=parameters.moving_threshold,
        tracks=parameters.tracks,
    )
    return table, evaluate.ExamplePredictions(predictors, clips, parameters.example_clips)


@gate
def summarise_scores(table: pd.DataFrame, parameters: EvaluationConfig) -> dict[str, Any]:
    """Average over clips, with the spread over seeds and the margins of the heads over everything else."""
    from phys4d_kedro.evaluation import statistics
    from phys4d_kedro.evaluation.score_quality import validate_figures, validate_scores

    validate_scores(table, parameters.quality, method="predictor", metric=("metric", "region"))
    metrics = statistics.summarise_scores(
        table, subject="heads", resamples=parameters.bootstrap_resamples, seed=parameters.seed
    )
    validate_figures(metrics)
    return metrics
