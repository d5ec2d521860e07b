"""What the table of the suite says: means, margins between stages, and curves over horizons, with their certainty."""

from typing import Any

import numpy as np
import pandas as pd

from phys4d_kedro.evaluation.comparison import STAGES
from phys4d_kedro.evaluation.statistics import bootstrap_interval, by_clip_and_seed, margins, mean_over_clips
from phys4d_kedro.evaluation.suite import EXACT, HORIZON_METRICS, SUITE_METRICS, TRUTH, VIDEOS


def summarise_suite(table: pd.DataFrame, *, resamples: int, seed: int) -> dict[str, Any]:
    """JSON-able, nested judge / metric.

    `means[stage]` and `margins[stage][earlier]`: as of `summarise_comparison`; the truth and real videos have means
    alone. `horizons[stage]`: a list over time of `seconds`, `mean`, and `low`, `high`, the 95 % interval of a
    bootstrap over clips, each clip averaged over trainings and samples.
    """
    options = {"resamples": resamples, "seed": seed}
    summary: dict[str, dict[str, Any]] = {}
    for judge, judged in table.groupby("judge", sort=False):
        for name, metric in SUITE_METRICS.items():
            rows = judged[judged["metric"] == name]
            if rows.empty:
                continue
            whole = _by_stage(rows[rows["horizon"].isna()])
            trained = [stage for stage in whole if stage in STAGES]
            found: dict[str, Any] = {
                "means": {stage: mean_over_clips(values) for stage, values in whole.items()},
                "margins": {
                    stage: margins(metric, whole, stage, trained[:index], **options)
                    for index, stage in enumerate(trained)
                    if index
                },
            }
            if name in HORIZON_METRICS:
                found["horizons"] = _curves(rows[rows["horizon"].notna()], **options)
            summary.setdefault(str(judge), {})[name] = found
    return {judge: summary[judge] for judge in (EXACT, *sorted(summary.keys() - {EXACT})) if judge in summary}


def _by_stage(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Values (clips, seeds) of each stage, in order."""
    there = set(rows["stage"])
    return {
        stage: by_clip_and_seed(rows[rows["stage"] == stage]) for stage in (TRUTH, *STAGES, VIDEOS) if stage in there
    }


def _curves(rows: pd.DataFrame, *, resamples: int, seed: int) -> dict[str, list[dict[str, float]]]:
    curves: dict[str, list[dict[str, float]]] = {}
    for horizon in sorted(rows["horizon"].unique()):
        at = rows[rows["horizon"] == horizon]
        for stage, values in _by_stage(at).items():
            clips = values.mean(axis=1).to_numpy()
            low, high = bootstrap_interval(clips, resamples=resamples, rng=np.random.default_rng(seed))
            point = {"seconds": float(horizon), "mean": float(clips.mean()), "low": low, "high": high}
            curves.setdefault(stage, []).append(point)
    return curves
