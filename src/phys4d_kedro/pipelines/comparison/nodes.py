"""Nodes of the comparison pipeline: trained stages and held-out clips -> worlds, scores, margins, figures.

Figures are annotated as `Any`: Kedro resolves annotations when pipelines are listed, and neither Plotly nor Matplotlib
is imported then.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.evaluation.comparison_config import ComparisonConfig
from phys4d_kedro.evaluation.config import EvaluationConfig
from phys4d_kedro.perception.config import PseudoLabelConfig
from phys4d_kedro.pipelines.quality import gate
from phys4d_kedro.world_model.config import LoadingConfig
from phys4d_kedro.world_model.latents import LatentCache


def generate_comparison_clips(
    *,
    backbone: Path,
    heldout: ClipStore,
    parameters: ComparisonConfig,
    evaluation: EvaluationConfig,
    loading: LoadingConfig,
    **stages: Path,
) -> ClipSource:
    """Generate worlds by every training of every stage from the same first frames, prompts and noise."""
    from phys4d_kedro.evaluation.comparison_clips import comparison_source, list_trainings, shown_clips
    from phys4d_kedro.world_model.world_model import WorldModel

    trainings = list_trainings(stages)
    return comparison_source(
        WorldModel.load(backbone, trainings[0].folder, noise_level=evaluation.noise_level, loading=loading),
        trainings,
        shown_clips(heldout, parameters.clips),
        range(parameters.seed, parameters.seed + parameters.samples),
        parameters.sampling,
    )


def score_comparison(
    *,
    backbone: Path,
    heldout: ClipStore,
    latents: LatentCache,
    worlds: ClipStore,
    parameters: ComparisonConfig,
    evaluation: EvaluationConfig,
    labels: PseudoLabelConfig,
    loading: LoadingConfig,
    **stages: Path,
) -> pd.DataFrame:
    """Judge what every training reads off true videos, and the worlds that it generates."""
    from phys4d_kedro.evaluation.comparison_clips import list_trainings, shown_clips
    from phys4d_kedro.evaluation.comparison_scores import Judge, score_trainings
    from phys4d_kedro.evaluation.predictors import EstimatorsPredictor
    from phys4d_kedro.world_model.world_model import WorldModel

    trainings = list_trainings(stages)
    model = WorldModel.load(backbone, trainings[0].folder, noise_level=evaluation.noise_level, loading=loading)
    known = latents.open([heldout], model.backbone)
    judge = Judge(known, EstimatorsPredictor.load(labels), evaluation, parameters.world)
    return score_trainings(model, trainings, judge, judge.prepare(shown_clips(heldout, parameters.clips)), worlds)


@gate
def summarise_comparison(table: pd.DataFrame, parameters: ComparisonConfig) -> dict[str, Any]:
    """Average over clips, with the spread over trainings and the margins of each stage over those before it."""
    from phys4d_kedro.evaluation import comparison
    from phys4d_kedro.evaluation.score_quality import validate_figures, validate_scores

    validate_scores(table, parameters.quality, method="stage", group="kind")
    metrics = comparison.summarise_comparison(table, resamples=parameters.bootstrap_resamples, seed=parameters.seed)
    validate_figures(metrics)
    return metrics


def plot_comparison(metrics: dict[str, Any]) -> tuple[Any, Any]:
    """Show the stages beside each other, and the margins between them (Plotly figures)."""
    from phys4d_kedro.reporting.comparison import comparison_margins, comparison_table

    return comparison_table(metrics), comparison_margins(metrics)


def draw_comparison(worlds: ClipStore, heldout: ClipStore, parameters: ComparisonConfig) -> dict[str, Any]:
    """Draw true clips above the worlds of each stage's first training (Matplotlib figures by file name)."""
    from phys4d_kedro.evaluation.comparison_clips import shown_clips, worlds_beside
    from phys4d_kedro.reporting.comparison import draw_worlds

    return {
        f"{truth.clip_id}.png": draw_worlds(truth, beside, columns=parameters.sheet_columns)
        for truth, beside in worlds_beside(shown_clips(heldout, parameters.sheet_clips), worlds)
    }


def film_comparison(
    worlds: ClipStore, heldout: ClipStore, parameters: ComparisonConfig
) -> dict[str, Callable[[], bytes]]:
    """Film the same clips: RGB, depth and motion, a row the truth and each stage (MP4 files by clip)."""
    from phys4d_kedro.evaluation.comparison_clips import shown_clips
    from phys4d_kedro.reporting.films import comparison_films

    return comparison_films(worlds, shown_clips(heldout, parameters.sheet_clips))


def record_comparison(worlds: ClipStore, heldout: ClipStore) -> bytes:
    """Record the first clip of the comparison and the worlds of all stages in space and time (an .rrd file)."""
    from phys4d_kedro.evaluation.comparison_clips import reference_of, worlds_beside
    from phys4d_kedro.reporting.recording import record_worlds

    first = heldout.subset([reference_of(worlds.ids[0])])
    return record_worlds(*next(worlds_beside(first, worlds)))
