"""The scores of an evaluation as one JSON document; docs/physics_iq.md says what every key means."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from phys4d_kedro.evaluation.physics_iq.config import PhysicsIqConfig
from phys4d_kedro.evaluation.physics_iq.evaluate import Evaluation
from phys4d_kedro.evaluation.physics_iq.layout import FPS, PERSPECTIVES
from phys4d_kedro.evaluation.physics_iq.problems import Problem, sort_problems
from phys4d_kedro.evaluation.physics_iq.scores import METRICS, Record, Scores, original, verified

RULES: dict[str, Callable[[Sequence[Record]], Scores]] = {"original": original, "verified": verified}
KEYS = ("score", *METRICS)

_EXACT = "exact: masks through mp4v video, as the official evaluator has them"
_IN_MEMORY = "approximate: masks without the official evaluator's video codec, off by up to 0.8 points"

Values = dict[str, float | None]


def summarise(evaluation: Evaluation, config: PhysicsIqConfig) -> dict[str, Any]:
    """Everything together (see `_group`), and by scenario, view, category and seed; then problems and rules."""
    runs = evaluation.records
    categories = {view.scenario: view.category for view in evaluation.dataset.views}
    expected = len(evaluation.dataset.views)
    return {
        **_group(runs, lambda record: True),
        "complete": all(len(records) == expected for records in runs.values()),
        "expected_videos": expected,
        "seeds": {
            run.name: {"folder": str(run.folder), "scored_videos": len(runs[run.name])} | _run(runs[run.name])
            for run in evaluation.runs
        },
        "categories": {
            name: _group(runs, lambda record, name=name: record.view.category == name)
            for name in sorted(set(categories.values()))
        },
        "views": {
            name: _group(runs, lambda record, name=name: record.view.perspective == name) for name in PERSPECTIVES
        },
        "scenarios": {
            name: {"category": category} | _group(runs, lambda record, name=name: record.view.scenario == name)
            for name, category in categories.items()
        },
        "problems": [p.as_json() for p in sort_problems([*evaluation.problems, *_undefined(runs)])],
        "rules": _rules(evaluation, config),
    }


def _group(runs: dict[str, list[Record]], belongs: Callable[..., bool]) -> dict[str, Any]:
    """Scores of some views: by each rule the mean over seeds of every figure, and `std`, the sample standard deviation.

    `scored_videos` counts those of all seeds. A figure that a seed lacks has no mean; with one seed there is no
    deviation: both are None.
    """
    members = [[record for record in records if belongs(record)] for records in runs.values()]
    members = [records for records in members if records]
    group: dict[str, Any] = {"scored_videos": sum(map(len, members))}
    for rule, score in RULES.items():
        seeds = [score(records).values for records in members]
        means = {key: _over_seeds([values[key] for values in seeds], np.mean, least=1) for key in KEYS}
        spreads = {key: _over_seeds([values[key] for values in seeds], _sample_std, least=2) for key in KEYS}
        group[rule] = {**means, "std": spreads}
    return group


def _run(records: Sequence[Record]) -> dict[str, Values]:
    """Scores of one seed by each rule."""
    return {rule: score(records).values if records else dict.fromkeys(KEYS) for rule, score in RULES.items()}


def _over_seeds(values: Sequence[float | None], statistic: Callable[..., Any], *, least: int) -> float | None:
    known = [value for value in values if value is not None]
    return float(statistic(known)) if len(known) == len(values) >= least else None


def _sample_std(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1))


def _undefined(runs: dict[str, list[Record]]) -> list[Problem]:
    """Seeds without an original score, by name."""
    found = []
    for run, records in runs.items():
        if names := original(records).undefined if records else ():
            message = f"variance of {', '.join(names)} over all scored views is 0: the official score is inf or NaN"
            found.append(Problem("zero_variance", "original.score", "left out", message, run))
    return found


def _rules(evaluation: Evaluation, config: PhysicsIqConfig) -> dict[str, Any]:
    """What was scored by what, as far as it decides the figures."""
    import av
    import cv2

    return {
        "masks": _EXACT if config.exact else _IN_MEMORY,
        "shipped_masks": config.exact and config.shipped_masks,
        "seconds": config.seconds,
        "fps": FPS,
        "shortest": config.shortest,
        "opencv": cv2.__version__,
        "pyav": av.__version__,
        "dataset_dir": str(evaluation.dataset.root),
        "descriptions": evaluation.dataset.described,
    }
