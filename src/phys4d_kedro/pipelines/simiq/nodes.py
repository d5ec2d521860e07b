"""Nodes of the simiq pipeline: a frozen list and trained stages -> clips, worlds, scores, a figure.

Figures are annotated as `Any`: Kedro resolves annotations when pipelines are listed, and Plotly is not imported then.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.evaluation.config import EvaluationConfig
from phys4d_kedro.evaluation.simiq.config import SimiqConfig
from phys4d_kedro.pipelines.quality import gate
from phys4d_kedro.world_model.config import LoadingConfig


def simulate_simiq_clips(parameters: SimiqConfig) -> ClipSource:
    """Simulate the frozen configurations: every view of both takes."""
    from phys4d_kedro.evaluation.simiq.frozen import load_version, simiq_source

    return simiq_source(load_version(parameters.version))


def generate_simiq_worlds(
    *,
    backbone: Path,
    clips: ClipStore,
    parameters: SimiqConfig,
    evaluation: EvaluationConfig,
    loading: LoadingConfig,
    **stages: Path,
) -> ClipSource:
    """Generate what happens after the first frame of every first take, by every training that makes other RGB."""
    from phys4d_kedro.evaluation.comparison_clips import comparison_source, list_trainings
    from phys4d_kedro.evaluation.simiq.frozen import first_takes
    from phys4d_kedro.world_model.stage_folders import adapter_folder
    from phys4d_kedro.world_model.world_model import WorldModel

    trainings = list_trainings(stages)
    # Without an adapter the RGB is the backbone's own, whatever the heads.
    plain = [training for training in trainings if not adapter_folder(training.folder)]
    return comparison_source(
        WorldModel.load(backbone, trainings[0].folder, noise_level=evaluation.noise_level, loading=loading),
        [*plain[:1], *(training for training in trainings if training not in plain)],
        first_takes(clips),
        range(parameters.seed, parameters.seed + parameters.samples),
        parameters.sampling,
    )


def measure_simiq(worlds: ClipStore, clips: ClipStore, parameters: SimiqConfig) -> pd.DataFrame:
    """Measure every world, and the second take, against the first take by Physics-IQ's four metrics."""
    from phys4d_kedro.evaluation.simiq.frozen import load_version
    from phys4d_kedro.evaluation.simiq.measure import measure_worlds

    return measure_worlds(worlds, clips, least_side=load_version(parameters.version).least_side)


@gate
def summarise_simiq(table: pd.DataFrame, parameters: SimiqConfig) -> dict[str, Any]:
    """Score them by the original and the Verified rules, with the margins of each stage over those before it."""
    from phys4d_kedro.evaluation.score_quality import validate_figures, validate_scores
    from phys4d_kedro.evaluation.simiq import scores
    from phys4d_kedro.evaluation.simiq.frozen import load_version
    from phys4d_kedro.evaluation.simiq.measure import FIELDS

    frozen = load_version(parameters.version)
    tidy = table.melt(["method", "seed", "sample", "clip_id"], FIELDS[:4], "metric")
    means = tidy.assign(value=tidy["value"].map(np.mean))  # over frames, where a metric has a value for each
    validate_scores(means, parameters.quality, method="method")
    metrics = scores.summarise_simiq(table, frozen, resamples=parameters.bootstrap_resamples, seed=parameters.seed)
    validate_figures(metrics)
    return metrics


def plot_simiq(metrics: dict[str, Any]) -> Any:
    """Draw the Verified score of every stage, of all scenarios and by category (a Plotly figure)."""
    from phys4d_kedro.reporting.simiq import simiq_scores

    return simiq_scores(metrics)
