"""How values are written."""

import pandas as pd
import pytest

from phys4d_kedro.reporting.tables import by_scene, describe_clip, format_value, metric_label, predictor_label


def test_by_scene_averages_clips_and_seeds(table: pd.DataFrame) -> None:
    scenes = by_scene(table, "epe", "objects")
    assert scenes.index.tolist() == ["ball_ramp", "block_domino"]
    assert scenes.loc["ball_ramp", "heads"] == pytest.approx(1.0)
    assert scenes.loc["block_domino", "heads"] == pytest.approx(1.02)
    assert "pixel_median" not in scenes


def test_a_clip_in_short(table: pd.DataFrame) -> None:
    first = table["clip_id"].iloc[0]
    assert describe_clip(table, "heads", first) == "Depth AbsRel, scale-aligned 0.1, Motion end-point error 0.5 pixels"
    assert describe_clip(table, "pixel_median", first) == "Depth AbsRel, scale-aligned 0.03"


@pytest.mark.parametrize(
    ("mean", "spread", "text"),
    [
        (0.12345, 0.0044, "0.123 ± 0.004"),
        (0.12345, 0.044, "0.12 ± 0.04"),
        (12.345, 3.4, "12.3 ± 3.4"),
        (0.5, None, "0.5"),
        (0.5, 0.0, "0.5"),
        (1234.5, float("nan"), "1.23e+03"),
    ],
)
def test_a_mean_has_the_digits_its_spread_allows(mean: float, spread: float | None, text: str) -> None:
    assert format_value(mean, spread) == text


def test_labels() -> None:
    assert metric_label("epe", "objects") == "Motion end-point error (pixels), moving objects"
    assert metric_label("abs_rel", "image") == "Depth AbsRel, scale-aligned, whole image"
    assert predictor_label("ridge") == "ridge regression on the same features"
    assert predictor_label("another") == "another"
