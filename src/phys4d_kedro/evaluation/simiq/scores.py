"""The table of measured views scored by Physics-IQ's original rules and by those of Physics-IQ Verified."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from phys4d_kedro.evaluation.comparison import STAGES
from phys4d_kedro.evaluation.physics_iq.layout import View
from phys4d_kedro.evaluation.physics_iq.measure import Measured
from phys4d_kedro.evaluation.physics_iq.metrics import Comparison
from phys4d_kedro.evaluation.physics_iq.scores import METRICS, Record, Scores, original, verified
from phys4d_kedro.evaluation.simiq import STILL, TAKES
from phys4d_kedro.evaluation.simiq.frozen import FrozenList
from phys4d_kedro.evaluation.simiq.measure import FIELDS
from phys4d_kedro.evaluation.statistics import mean_over_seeds

Rule = Callable[[Sequence[Record]], Scores]
RULES: dict[str, Rule] = {"original": original, "verified": verified}
KEYS = ("score", *METRICS)
"""What both rules give; the metrics of the Verified ones are shares of what the takes allow, of its MSE too."""

_LOWER_IS_BETTER = {("original", "mse")}

BySeed = Mapping[int, list[list[Record]]]
"""The records of every sample of a training, by its seed."""


def summarise_simiq(table: pd.DataFrame, frozen: FrozenList, *, resamples: int, seed: int) -> dict[str, Any]:
    """JSON-able.

    `version`, `scenarios`, `views`, `size` and `frames` say what was scored. `takes`: the metrics of the second take
    against the first, which the scores divide by. `scores[method][rule]`: `score` (0 to 100) and the metrics of the
    rule, each with `mean` and `seed_std` over trainings; null where the original rule divides by 0. `categories`: the
    score alone, by category, method and rule. `margins[stage][earlier][rule]`: how far its score and each metric are
    ahead, positive where better, with the 95 % interval of a paired bootstrap over scenarios, all views of a scenario
    together; null where the rule divides by 0.
    """
    runs = {method: _runs(table, method) for method in (STILL, *STAGES) if (table["method"] == method).any()}
    variances = _records(table[table["method"] == TAKES], table)
    categories = sorted(table["category"].unique())
    return {
        "version": frozen.version,
        "scenarios": int(table["scenario"].nunique()),
        "views": int(table["clip_id"].nunique()),
        "size": [frozen.height, frozen.width],
        "frames": frozen.frames,
        "takes": {name: original(variances).values[name] for name in METRICS},
        "scores": {method: {name: _scored(own, rule) for name, rule in RULES.items()} for method, own in runs.items()},
        "categories": {
            category: {
                method: {name: _scored(_of(own, category), rule)["score"] for name, rule in RULES.items()}
                for method, own in runs.items()
            }
            for category in categories
        },
        "margins": _margins(runs, resamples, seed),
    }


def _margins(runs: Mapping[str, BySeed], resamples: int, seed: int) -> dict[str, Any]:
    stages = [stage for stage in STAGES if stage in runs]
    scenarios = sorted({record.view.scenario for own in runs.values() for record in next(iter(own.values()))[0]})
    rng = np.random.default_rng(seed)
    draws = [list(rng.choice(scenarios, len(scenarios))) for _ in range(resamples)]
    values = {
        (stage, name): [_by_seed(runs[stage], rule), *(_by_seed(_drawn(runs[stage], draw), rule) for draw in draws)]
        for stage in stages
        for name, rule in RULES.items()
    }
    return {
        stage: {
            earlier: {
                name: {key: _margin(values[stage, name], values[earlier, name], name, key) for key in KEYS}
                for name in RULES
            }
            for earlier in stages[:index]
        }
        for index, stage in enumerate(stages)
        if index
    }


def _margin(
    subject: Sequence[pd.DataFrame], baseline: Sequence[pd.DataFrame], rule: str, key: str
) -> dict[str, float | None] | None:
    """How far values by seed are ahead, of all scenarios and then of each resample; None where there are none."""
    sign = -1 if (rule, key) in _LOWER_IS_BETTER else 1
    ahead, *resampled = (sign * _ahead(*(own[key] for own in pair)) for pair in zip(subject, baseline, strict=True))
    if ahead.isna().any():
        return None
    low, high = np.nanquantile([values.mean() for values in resampled], [0.025, 0.975])
    return mean_over_seeds(ahead) | {"low": float(low), "high": float(high)}


def _ahead(subject: "pd.Series[float]", baseline: "pd.Series[float]") -> "pd.Series[float]":
    return subject - (baseline if subject.index.equals(baseline.index) else baseline.mean(skipna=False))


def _scored(runs: BySeed, rule: Rule) -> dict[str, Any]:
    values = _by_seed(runs, rule)
    return {key: _or_none(values[key]) for key in KEYS}


def _or_none(values: "pd.Series[float]") -> dict[str, Any] | None:
    return None if values.isna().any() else mean_over_seeds(values)


def _by_seed(runs: BySeed, rule: Rule) -> pd.DataFrame:
    """KEYS by training seed, averaged over samples; NaN where one is not defined."""
    means = {}
    for seed, samples in runs.items():
        scored = [rule(records).values for records in samples]
        means[seed] = [np.mean([np.nan if values[key] is None else values[key] for values in scored]) for key in KEYS]
    return pd.DataFrame.from_dict(means, orient="index", columns=list(KEYS))


def _of(runs: BySeed, category: str) -> BySeed:
    return {
        seed: [[r for r in records if r.view.category == category] for records in samples]
        for seed, samples in runs.items()
    }


def _drawn(runs: BySeed, draw: Sequence[str]) -> BySeed:
    """The records of scenarios drawn with replacement; one drawn twice counts as two scenarios."""
    return {
        seed: [
            [
                replace(record, view=replace(record.view, scenario=f"{scenario}#{number}"))
                for number, scenario in enumerate(draw)
                for record in records
                if record.view.scenario == scenario
            ]
            for records in samples
        ]
        for seed, samples in runs.items()
    }


def _runs(table: pd.DataFrame, method: str) -> BySeed:
    own = table[table["method"] == method]
    names = pd.MultiIndex.from_arrays([own["seed"].fillna(-1), own["sample"].fillna(0)])
    runs: dict[int, list[list[Record]]] = {}
    for seed, sample in names.unique().sort_values():
        runs.setdefault(int(seed), []).append(_records(own[names == (seed, sample)], table))
    return runs


def _records(rows: pd.DataFrame, table: pd.DataFrame) -> list[Record]:
    """The rows as Physics-IQ's records, each with the variance of its view."""
    takes = table[table["method"] == TAKES].set_index("clip_id")
    return [
        Record(
            View(
                id="",
                scenario=row["scenario"],
                perspective=row["perspective"],
                name=row["clip_id"],
                category=row["category"],
            ),
            Measured(_comparison(row), _comparison(takes.loc[row["clip_id"]])),
        )
        for _, row in rows.sort_values("clip_id").iterrows()
    ]


def _comparison(row: "pd.Series[Any]") -> Comparison:
    lists = {name: tuple(float(value) for value in row[name]) for name in FIELDS[:2]}
    return Comparison(
        **lists,
        spatial_iou=float(row["spatial_iou"]),
        weighted_spatial_iou=float(row["weighted_spatial_iou"]),
        moves=bool(row["moves"]),
        other_moves=bool(row["other_moves"]),
    )
