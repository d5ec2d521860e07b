"""Scores of measured views by the original rules (Motamed et al., 2025) and by those of Physics-IQ Verified (2026).

Rounding is the official evaluator's: figures of single frames to 4 decimals, in both rules.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from phys4d_kedro.evaluation.physics_iq.layout import PERSPECTIVES, View
from phys4d_kedro.evaluation.physics_iq.measure import Measured
from phys4d_kedro.evaluation.physics_iq.metrics import Comparison

METRICS = ("mse", "spatiotemporal_iou", "spatial_iou", "weighted_spatial_iou")
_EPSILON = 1e-8
_FRAMES, _SPATIAL = 4, 5  # decimals of figures of frames and of variances, and of the variance of the spatial IoU


@dataclass(frozen=True)
class Record:
    """A view, measured for one seed."""

    view: View
    measured: Measured


@dataclass(frozen=True)
class Scores:
    """`values`: `score` (0 to 100) and METRICS, by name; None where it is not defined, for what `undefined` says."""

    values: dict[str, float | None]
    undefined: tuple[str, ...] = field(default=())


def original(records: Sequence[Record]) -> Scores:
    """100 [(ST/vST + SP/vSP + WS/vWS)/3 - (MSE - vMSE)], clamped to 0..100 and rounded to 2 decimals.

    Metrics are means over the views of a scenario and their frames, and then over scenarios (MSE, ST), or over the
    scenarios of a view and then over views (SP, WS, and every variance v, which is rounded). A variance of 0 leaves no
    score.
    """
    metrics = {
        "mse": _over_scenarios(records, lambda c: c.mse),
        "spatiotemporal_iou": _over_scenarios(records, lambda c: c.spatiotemporal_iou),
        "spatial_iou": _over_views(records, lambda r: [r.measured.generated.spatial_iou]),
        "weighted_spatial_iou": _over_views(records, lambda r: [r.measured.generated.weighted_spatial_iou]),
    }
    variances = {
        "mse": round(_over_views(records, lambda r: _rounded(r.measured.variance.mse)), _FRAMES),
        "spatiotemporal_iou": round(
            _over_views(records, lambda r: _rounded(r.measured.variance.spatiotemporal_iou)), _FRAMES
        ),
        "spatial_iou": round(_over_views(records, lambda r: [r.measured.variance.spatial_iou]), _SPATIAL),
        "weighted_spatial_iou": round(
            _over_views(records, lambda r: [r.measured.variance.weighted_spatial_iou]), _FRAMES
        ),
    }
    ratios = ("spatiotemporal_iou", "spatial_iou", "weighted_spatial_iou")
    undefined = tuple(name for name in ratios if variances[name] == 0)
    score = None
    if not undefined:
        shares = [metrics[name] / variances[name] for name in ratios]
        raw = 100 * (sum(shares) / 3 - (metrics["mse"] - variances["mse"]))
        score = float(round(max(min(raw, 100.0), 0.0), 2))
    return Scores({"score": score, **{name: float(value) for name, value in metrics.items()}}, undefined)


def verified(records: Sequence[Record]) -> Scores:
    """Four ratios of each view, clipped to [0, 1]: their means over views, and 100 times the mean of these.

    SP/(vSP + e), WS/(vWS + e), ST/(vST + e), and 1 over MSE/(vMSE + e); e = 1e-8.
    """
    views = np.array([_verified_ratios(record.measured) for record in records])
    components = {name: float(views[:, i].mean()) for i, name in enumerate(METRICS)}
    return Scores({"score": 100 * float(views.mean(axis=1).mean()), **components})


def _verified_ratios(measured: Measured) -> list[float]:
    """In the order of METRICS."""
    model, variance = _means(measured.generated), _means(measured.variance)
    ratios = {name: model[name] / (variance[name] + _EPSILON) for name in METRICS}
    ratios["mse"] = 1 / ratios["mse"] if ratios["mse"] else 1.0  # infinite, and clipped
    return [float(np.clip(ratios[name], 0.0, 1.0)) for name in METRICS]


def _means(comparison: Comparison) -> dict[str, float]:
    return {
        "mse": float(np.mean(_rounded(comparison.mse))),
        "spatiotemporal_iou": float(np.mean(_rounded(comparison.spatiotemporal_iou))),
        "spatial_iou": comparison.spatial_iou,
        "weighted_spatial_iou": comparison.weighted_spatial_iou,
    }


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, _FRAMES) for value in values]


def _over_scenarios(records: Sequence[Record], frames: Callable[[Comparison], Sequence[float]]) -> np.float64:
    """Mean over the frames of all views of a scenario, then over scenarios."""
    scenarios: dict[str, list[Record]] = {}
    for record in records:
        scenarios.setdefault(record.view.scenario, []).append(record)
    by_view = [sorted(members, key=lambda r: PERSPECTIVES.index(r.view.perspective)) for members in scenarios.values()]
    means = [np.mean(np.concatenate([_rounded(frames(r.measured.generated)) for r in members])) for members in by_view]
    return np.float64(np.mean(means))


def _over_views(records: Sequence[Record], values: Callable[[Record], Sequence[float]]) -> np.float64:
    """Mean of all that the scenarios of a view have, then over views."""
    means = []
    for perspective in PERSPECTIVES:
        found = [value for record in records if record.view.perspective == perspective for value in values(record)]
        if found:
            means.append(pd.Series(found, dtype=object).mean())  # sums in the official order: ties in rounding
    return np.float64(np.mean(means))
