"""How predictors and values are written, and the evaluation's tidy table by scene and by clip."""

import math

import pandas as pd

from phys4d_kedro.evaluation.statistics import METRICS

PREDICTORS = {
    "heads": "heads",
    "ridge": "ridge regression on the same features",
    "pixel_median": "per-pixel median depth, no motion",
    "constant_median": "constant median depth, no motion",
    "estimators": "estimators (labels of the training)",
    "exact": "exact annotations",
}
REGIONS = {"image": "whole image", "objects": "moving objects"}


def predictor_label(name: str) -> str:
    """What a predictor does, or its name."""
    return PREDICTORS.get(name, name)


def metric_label(metric: str, region: str) -> str:
    """A metric with its unit and region."""
    info = METRICS[metric]
    return f"{info.label}{f' ({info.unit})' if info.unit else ''}, {REGIONS[region]}"


def by_scene(table: pd.DataFrame, metric: str, region: str) -> pd.DataFrame:
    """Mean value of one metric over clips and seeds: a row a scene, a column a predictor."""
    chosen = table[(table["metric"] == metric) & (table["region"] == region)]
    return chosen.pivot_table(index="scene", columns="predictor", values="value", aggfunc="mean").sort_index()


def describe_clip(table: pd.DataFrame, predictor: str, clip_id: str) -> str:
    """Depth and motion errors of one clip over the whole image, as a caption; means over seeds."""
    rows = table[(table["predictor"] == predictor) & (table["clip_id"] == clip_id) & (table["region"] == "image")]
    values = rows.groupby("metric")["value"].mean()
    shown = [metric for metric in ("abs_rel", "epe") if metric in values]
    return ", ".join(f"{METRICS[m].label} {values[m]:.3g} {METRICS[m].unit}".strip() for m in shown)


def format_value(mean: float, spread: float | None) -> str:
    """A mean with its spread, if there is one, to the digits that matter: `0.123 ± 0.004`."""
    if spread is None or not spread > 0:
        return f"{mean:.3g}"
    digits = max(0, 1 - math.floor(math.log10(spread)) - 1)
    return f"{mean:.{max(digits, 1)}f} ± {spread:.{max(digits, 1)}f}"
