"""Nodes of the world_suite pipeline: generated worlds, their truths, labelled videos -> scores, margins, curves.

Figures are annotated as `Any`: Kedro resolves annotations when pipelines are listed, and Plotly is not imported then.
"""

from typing import Any

import pandas as pd

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.evaluation.suite.config import SuiteConfig
from phys4d_kedro.perception.config import PseudoLabelConfig
from phys4d_kedro.pipelines.quality import gate


def score_worlds(
    worlds: ClipStore, heldout: ClipStore, parameters: SuiteConfig, labels: PseudoLabelConfig
) -> pd.DataFrame:
    """Judge every world by the stage's own heads and by estimators, beside the truth itself."""
    from phys4d_kedro.evaluation.predictors import EstimatorsPredictor
    from phys4d_kedro.evaluation.suite import table

    return table.score_worlds(worlds, heldout, EstimatorsPredictor.load(labels), parameters)


def score_videos(
    labeled: ClipStore, real: ClipStore, parameters: SuiteConfig, labels: PseudoLabelConfig
) -> pd.DataFrame:
    """Judge real videos, as estimators labelled them, by what needs no truth."""
    from phys4d_kedro.evaluation.suite import table
    from phys4d_kedro.perception.flow import load_flow_estimator

    there = set(labeled.ids)
    chosen = [clip_id for clip_id in real.ids if clip_id in there][: parameters.videos]
    return table.score_videos(labeled.subset(chosen), load_flow_estimator(labels.flow), parameters)


@gate
def summarise_suite(worlds: pd.DataFrame, videos: pd.DataFrame, parameters: SuiteConfig) -> dict[str, Any]:
    """Average over clips, with margins of each stage over those before it, and curves over growing horizons."""
    from phys4d_kedro.evaluation.score_quality import validate_figures, validate_scores
    from phys4d_kedro.evaluation.suite import summary

    table = pd.concat([table for table in (worlds, videos) if len(table)], ignore_index=True)
    validate_scores(worlds, parameters.quality, method="stage", metric=("metric", "horizon"), group="judge")
    metrics = summary.summarise_suite(table, resamples=parameters.bootstrap_resamples, seed=parameters.seed)
    validate_figures(metrics)
    return metrics


def plot_horizons(metrics: dict[str, Any]) -> Any:
    """Draw what grows with the horizon, a curve a stage with its interval (a Plotly figure)."""
    from phys4d_kedro.reporting.suite import suite_horizons

    return suite_horizons(metrics)
