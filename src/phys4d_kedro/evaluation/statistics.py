"""What a table of scores says: means over clips, spread over seeds, margins and how sure they are.

The table is tidy: a row a predictor, seed (missing where a predictor has none), clip_id, scene, region, metric, value.
"""

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
        sign = 1 if METRICS[str(metric)].higher_is_better else -1
        values = {str(name): _by_clip_and_seed(rows) for name, rows in scores.groupby("predictor", sort=False)}
        margins = {}
        for name, baseline in values.items():
            if name in (subject, FLOOR) or subject not in values:
                continue
            ahead = values[subject].sub(baseline.mean(axis=1), axis=0).dropna() * sign
            if len(ahead):
                interval = bootstrap_interval(
                    ahead.mean(axis=1).to_numpy(), resamples=resamples, rng=np.random.default_rng(seed)
                )
                margins[name] = _mean_and_spread(ahead) | {"low": interval[0], "high": interval[1]}
        means = {name: _mean_and_spread(value) for name, value in values.items()}
        summary.setdefault(str(metric), {})[str(region)] = {"means": means, "margins": margins}
    return summary


def bootstrap_interval(
    values: NDArray[np.float64], *, resamples: int, rng: np.random.Generator, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of values (N,)."""
    means = np.array([values[rng.integers(len(values), size=len(values))].mean() for _ in range(resamples)])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _by_clip_and_seed(rows: pd.DataFrame) -> pd.DataFrame:
    """Values of one predictor, metric and region: a row a clip, a column a seed."""
    seeds = rows["seed"].fillna(-1).astype(np.int64)
    return rows.assign(seed=seeds).pivot(index="clip_id", columns="seed", values="value")


def _mean_and_spread(values: pd.DataFrame) -> dict[str, Any]:
    """Over values (clips, seeds)."""
    by_seed = values.mean(axis=0)
    return {
        "mean": float(by_seed.mean()),
        "seed_std": float(by_seed.std(ddof=1)) if len(by_seed) > 1 else None,
        "clips": len(values),
    }
