"""Stages of training compared: the table of all scores, and what it says with how much certainty; docs/comparison.md.

The table is tidy: a row a kind (perception of true videos, or generation of new ones), stage, training seed, sample
(missing in perception), clip_id and scene (missing where a number is of all clips together), metric and value.
"""

from dataclasses import replace
from typing import Any

import pandas as pd

from phys4d_kedro.evaluation.generation import FRECHET
from phys4d_kedro.evaluation.statistics import (
    METRICS,
    Metric,
    by_clip_and_seed,
    margins,
    mean_over_clips,
    mean_over_seeds,
)
from phys4d_kedro.evaluation.video_metrics import GENERATION_METRICS

STAGES = ("stage1", "appearance_control", "sft", "rl")
"""In their order: each is compared with those before it."""

PERCEPTION, GENERATION = "perception", "generation"
COLUMNS = ("kind", "stage", "seed", "sample", "clip_id", "scene", "metric", "value")

OWN_HEADS, ESTIMATORS = "heads", "estimators"
"""Who says where the surfaces of a generated world are, and how they move."""

_REGIONS = {"image": "whole image", "objects": "moving objects"}
_PERCEPTION_METRICS = {
    f"{name}_{region}": replace(metric, label=f"{metric.label}, {words}")
    for name, metric in METRICS.items()
    for region, words in _REGIONS.items()
}
_GENERATION_METRICS = {
    "world_distance_heads": Metric("World, 4D Chamfer by own heads", "m"),
    "world_distance_estimators": Metric("World, 4D Chamfer by estimators", "m"),
    "scaled_world_distance_heads": Metric("World, 4D Chamfer by own heads, scaled"),
    "scaled_world_distance_estimators": Metric("World, 4D Chamfer by estimators, scaled"),
    "warp_residual": Metric("World, warp residual", "log depth"),
    **GENERATION_METRICS,
    "appearance_drift": Metric("Drift of colours and sharpness"),
    FRECHET: Metric("Frechet distance"),
}
COMPARISON_METRICS = {PERCEPTION: _PERCEPTION_METRICS, GENERATION: _GENERATION_METRICS}
"""How each metric of a kind is written and read."""


def summarise_comparison(table: pd.DataFrame, *, resamples: int, seed: int) -> dict[str, Any]:
    """What the table says, JSON-able, nested kind / metric.

    `means[stage]`: `mean` over clips, samples and seeds, `seed_std`, and `clips` where the metric is of single clips.
    `margins[stage][earlier]`: how far a stage is ahead of one before it, in the metric's unit, positive where it is
    better; see `statistics.margin`. A metric of all clips together has the mean and spread of the seeds' margins alone:
    there is nothing to resample.
    """
    summary: dict[str, dict[str, Any]] = {}
    for kind, metrics in COMPARISON_METRICS.items():
        for name, metric in metrics.items():
            rows = table[(table["kind"] == kind) & (table["metric"] == name)]
            by_stage = {stage: own for stage in STAGES if len(own := rows[rows["stage"] == stage])}
            if by_stage:
                single = rows["clip_id"].notna().all()
                summarise = _of_clips if single else _of_all_together
                summary.setdefault(kind, {})[name] = summarise(metric, by_stage, resamples=resamples, seed=seed)
    return summary


def _of_clips(metric: Metric, rows: dict[str, pd.DataFrame], *, resamples: int, seed: int) -> dict[str, Any]:
    values = {stage: by_clip_and_seed(own) for stage, own in rows.items()}
    options = {"resamples": resamples, "seed": seed}
    return {
        "means": {stage: mean_over_clips(value) for stage, value in values.items()},
        "margins": {
            stage: margins(metric, values, stage, earlier, **options) for stage, earlier in _pairs(list(values))
        },
    }


def _of_all_together(metric: Metric, rows: dict[str, pd.DataFrame], **_: int) -> dict[str, Any]:
    values = {stage: own.groupby("seed")["value"].mean() for stage, own in rows.items()}
    sign = 1 if metric.higher_is_better else -1
    found: dict[str, dict[str, Any]] = {}
    for stage, earlier in _pairs(list(values)):
        found[stage] = {}
        for other in earlier:
            paired = values[stage].index.equals(values[other].index)
            ahead = values[stage] - (values[other] if paired else values[other].mean())
            found[stage][other] = mean_over_seeds(sign * ahead)
    return {"means": {stage: mean_over_seeds(value) for stage, value in values.items()}, "margins": found}


def _pairs(stages: list[str]) -> list[tuple[str, list[str]]]:
    """Each stage but the first with those before it."""
    return [(stage, stages[:index]) for index, stage in enumerate(stages) if index]
