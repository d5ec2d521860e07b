"""What a table of scores says: means over clips, spread over seeds, margins and how sure they are.

The table is tidy: a row a predictor, seed (missing where a predictor has none), clip_id, scene, region, metric, value.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# The predictor whose scores are what each metric comes to without any error: a floor, nothing to be ahead of.
FLOOR = "exact"

COLUMNS = ("predictor", "seed", "clip_id", "scene", "region", "metric", "value")


@dataclass(frozen=True)
class Metric:
    """How a metric is written and read; docs/metrics.md has the formulas."""

    label: str
    unit: str = ""
    higher_is_better: bool = False


METRICS = {
    "abs_rel": Metric("Depth AbsRel, scale-aligned"),
    "abs_rel_raw": Metric("Depth AbsRel, raw"),
    "delta_1": Metric("Depth δ < 1.25, scale-aligned", higher_is_better=True),
    "delta_1_raw": Metric("Depth δ < 1.25, raw", higher_is_better=True),
    "epe": Metric("Motion end-point error", "pixels"),
    "warp_residual": Metric("Warp residual", "log depth"),
    "chamfer_4d": Metric("4D Chamfer", "m"),
}


def summarise_scores(table: pd.DataFrame, *, subject: str, resamples: int, seed: int) -> dict[str, Any]:
    """Means of every predictor and margins of one over the others (but FLOOR), JSON-able, nested metric / region.

    `means[predictor]`: `mean` over clips and seeds, `seed_std` (the sample standard deviation of the seeds' means;
    null with one seed), `clips`. `margins[predictor]`: how far `subject` is ahead, in the metric's unit, positive where
    it is better, on the clips both have: `mean`, `seed_std`, and `low`, `high`, the 95 % interval of a paired bootstrap
    over clips of the margin averaged over seeds.
    """
    summary: dict[str, Any] = {}
    for (metric, region), scores in table.groupby(["metric", "region"], sort=False):
        values = {str(name): by_clip_and_seed(rows) for name, rows in scores.groupby("predictor", sort=False)}
        others = [name for name in values if name != FLOOR]
        summary.setdefault(str(metric), {})[str(region)] = {
            "means": {name: mean_over_clips(value) for name, value in values.items()},
            "margins": margins(METRICS[str(metric)], values, subject, others, resamples=resamples, seed=seed),
        }
    return summary


def by_clip_and_seed(rows: pd.DataFrame) -> pd.DataFrame:
    """Values of one method and metric, a row a clip, a column a seed; what is there several times is averaged."""
    seeds = rows["seed"].fillna(-1).astype(np.int64)
    return rows.assign(seed=seeds).pivot_table(index="clip_id", columns="seed", values="value", aggfunc="mean")


def mean_over_clips(values: pd.DataFrame) -> dict[str, Any]:
    """`mean`, `seed_std` and `clips` of values (clips, seeds)."""
    return mean_over_seeds(values.mean(axis=0)) | {"clips": len(values)}


def mean_over_seeds(by_seed: "pd.Series[float]") -> dict[str, Any]:
    """`mean`, and `seed_std`, the sample standard deviation of the seeds' values; null with one seed."""
    return {"mean": float(by_seed.mean()), "seed_std": float(by_seed.std(ddof=1)) if len(by_seed) > 1 else None}


def margins(
    metric: Metric,
    values: Mapping[str, pd.DataFrame],
    subject: str,
    others: Iterable[str],
    *,
    resamples: int,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """The `margin` of one method over each of the others, by their names, from values (clips, seeds) by method.

    Left out: the method itself, and one that has no clip in common with it.
    """
    if subject not in values:
        return {}
    found = {
        name: margin(metric, values[subject], values[name], resamples=resamples, seed=seed)
        for name in others
        if name != subject
    }
    return {name: ahead for name, ahead in found.items() if ahead}


def margin(
    metric: Metric, subject: pd.DataFrame, baseline: pd.DataFrame, *, resamples: int, seed: int
) -> dict[str, Any] | None:
    """How far a subject is ahead of a baseline, positive where it is better, on the clips both have; None: on none.

    Both are values (clips, seeds). Seeds are compared one by one where both have the same, else each of the subject's
    with the mean of the baseline's. `mean`, `seed_std` and `clips` as of `mean_over_clips`; `low` and `high`, the 95 %
    interval of a paired bootstrap over clips of the margin averaged over seeds.
    """
    if not subject.columns.equals(baseline.columns):
        baseline = pd.DataFrame({column: baseline.mean(axis=1) for column in subject.columns})
    ahead = subject.sub(baseline).dropna() * (1 if metric.higher_is_better else -1)
    if ahead.empty:
        return None
    rng = np.random.default_rng(seed)
    low, high = bootstrap_interval(ahead.mean(axis=1).to_numpy(), resamples=resamples, rng=rng)
    return mean_over_clips(ahead) | {"low": low, "high": high}


def bootstrap_interval(
    values: NDArray[np.float64], *, resamples: int, rng: np.random.Generator, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of values (N,)."""
    means = np.array([values[rng.integers(len(values), size=len(values))].mean() for _ in range(resamples)])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
