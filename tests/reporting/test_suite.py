"""The figure of horizons: a curve and a band a stage in every panel, and the truth in each."""

from typing import Any

import pytest

from phys4d_kedro.reporting.suite import suite_horizons


def curve(*means: float) -> list[dict[str, float]]:
    return [{"seconds": 0.5 * i, "mean": m, "low": m - 0.1, "high": m + 0.1} for i, m in enumerate(means, start=1)]


METRICS: dict[str, Any] = {
    "exact": {"chamfer_4d": {"horizons": {"truth": curve(0.1, 0.1)}}},
    "heads": {
        "chamfer_4d": {"horizons": {"stage1": curve(1, 2), "sft": curve(1, 1.5)}},
        "energy_gain": {"means": {}},
    },
    "estimators": {"chamfer_4d": {"horizons": {"stage1": curve(2, 3), "sft": curve(2, 2.5)}}},
}


def test_every_panel_has_a_curve_and_a_band_of_each_stage_and_the_legend_names_each_once() -> None:
    figure = suite_horizons(METRICS)
    curves = [trace for trace in figure.data if trace.name]
    bands = [trace for trace in figure.data if not trace.name]
    assert len(curves) == len(bands) == 2 * 3
    assert [trace.name for trace in curves if trace.showlegend] == [
        "the truth itself",
        "video model",
        "+ stages 1-2",
    ]
    assert {trace.xaxis for trace in curves} == {"x", "x2"}
    rising = next(trace for trace in curves if trace.name == "video model" and trace.xaxis == "x2")
    assert list(rising.y) == [2, 3]
    band = next(trace for trace in bands if trace.legendgroup == "stage1" and trace.xaxis == "x2")
    assert list(band.y) == pytest.approx([2.1, 3.1, 2.9, 1.9])


def test_without_curves_there_is_an_empty_figure() -> None:
    assert not suite_horizons({"heads": {"energy_gain": {"means": {}}}}).data
