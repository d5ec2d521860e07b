"""Both rules on cases worked by hand: formulas, order of means, rounding, clipping and zero variances."""

from typing import Any

import pytest

from phys4d_kedro.evaluation.physics_iq.layout import View
from phys4d_kedro.evaluation.physics_iq.measure import Measured
from phys4d_kedro.evaluation.physics_iq.metrics import Comparison
from phys4d_kedro.evaluation.physics_iq.scores import Record, original, verified


def comparison(mse: list[float], st: list[float], sp: float, ws: float) -> Comparison:
    return Comparison(tuple(mse), tuple(st), sp, ws, moves=True, other_moves=True)


def record(scenario: str, view: str, generated: Any, variance: Any) -> Record:
    name = f"0001_perspective-{view}_{scenario}.mp4"
    where = View("0001", scenario, f"perspective-{view}", name)
    return Record(where, Measured(comparison(*generated), comparison(*variance)))


def test_original_of_one_view() -> None:
    scores = original([record("a", "left", ([0.01, 0.03], [0.2, 0.4], 0.3, 0.2), ([0.01, 0.01], [0.5, 0.7], 0.6, 0.5))])
    # 100 ((0.3/0.6 + 0.3/0.6 + 0.2/0.5)/3 - (0.02 - 0.01)) = 100 (1.4/3 - 0.01)
    assert scores.values["score"] == pytest.approx(45.67, abs=1e-9)
    assert scores.values["mse"] == pytest.approx(0.02, abs=1e-12)
    assert scores.values["spatiotemporal_iou"] == pytest.approx(0.3, abs=1e-12)
    assert scores.values["spatial_iou"] == 0.3
    assert scores.values["weighted_spatial_iou"] == 0.2


def test_original_averages_and_rounds_as_the_official_evaluator() -> None:
    records = [
        record("a", "left", ([0.00104, 0.00316], [0.33336, 0.5], 0.4, 0.3), ([0.00204, 0.0], [0.6, 0.8], 0.7, 0.6)),
        record("a", "center", ([0.002, 0.002], [0.25, 0.25], 0.5, 0.4), ([0.001, 0.001], [0.5, 0.5], 0.8, 0.7)),
        record("b", "left", ([0.004, 0.004], [0.1, 0.3], 0.6, 0.5), ([0.003, 0.003], [0.4, 0.4], 0.9, 0.55555)),
    ]
    # Frames: a left 0.0010 0.0032, 0.3334 0.5000; so a = (0.0042 + 0.004)/4 = 0.00205, (0.8334 + 0.5)/4 = 0.33335;
    # b = 0.004, 0.2. Means over scenarios: 0.003025, 0.266675.
    mse, st = 0.003025, 0.266675
    sp, ws = (0.5 + 0.5) / 2, (0.4 + 0.4) / 2  # left (0.4 + 0.6)/2, center 0.5; left (0.3 + 0.5)/2, center 0.4
    # Variances: MSE left (0.0020 + 0 + 0.003 + 0.003)/4 = 0.002, center 0.001: 0.0015. ST left 0.55, center 0.5: 0.525.
    # SP left 0.8, center 0.8. WS left 0.577775, center 0.7: 0.6388875, rounded 0.6389.
    raw = 100 * ((st / 0.525 + sp / 0.8 + ws / 0.6389) / 3 - (mse - 0.0015))
    scores = original(records)
    assert scores.values["mse"] == pytest.approx(mse, abs=1e-12)
    assert scores.values["spatiotemporal_iou"] == pytest.approx(st, abs=1e-12)
    assert scores.values["score"] == pytest.approx(round(raw, 2), abs=1e-9)
    assert scores.values["score"] == 58.48


@pytest.mark.parametrize(("sp", "mse", "expected"), [(1.0, 0.0, 100.0), (0.0, 1.0, 0.0)])
def test_original_is_clamped(sp: float, mse: float, expected: float) -> None:
    scores = original([record("a", "left", ([mse], [sp], sp, sp), ([0.0], [0.5], 0.5, 0.5))])
    assert scores.values["score"] == expected


@pytest.mark.parametrize(
    ("variance", "names"),
    [
        (([0.1], [0.0], 0.5, 0.5), ("spatiotemporal_iou",)),
        (([0.1], [0.5], 0.0, 0.5), ("spatial_iou",)),
        (([0.0], [0.00004], 0.5, 0.00004), ("spatiotemporal_iou", "weighted_spatial_iou")),  # 0 when rounded
    ],
)
def test_original_without_variance_is_named_and_not_infinite(variance: Any, names: tuple[str, ...]) -> None:
    scores = original([record("a", "left", ([0.1], [0.5], 0.5, 0.5), variance)])
    assert scores.values["score"] is None
    assert scores.undefined == names
    assert scores.values["spatial_iou"] == 0.5


def test_verified_of_two_views() -> None:
    records = [
        record("a", "left", ([0.02, 0.02], [0.2, 0.4], 0.3, 0.2), ([0.01, 0.01], [0.5, 0.7], 0.6, 0.5)),
        record("a", "right", ([0.01, 0.03], [0.9, 0.9], 0.2, 0.8), ([0.05, 0.03], [0.6, 0.6], 0.4, 0.4)),
    ]
    # left: ST 0.5, SP 0.5, WS 0.4, MSE 0.01/0.02 = 0.5. right: ST 1.5 -> 1, SP 0.5, WS 2 -> 1, MSE 2 -> 1.
    scores = verified(records).values
    expected = {"mse": 0.75, "spatiotemporal_iou": 0.75, "spatial_iou": 0.5, "weighted_spatial_iou": 0.7}
    assert {key: scores[key] for key in expected} == pytest.approx(expected, abs=1e-6)
    assert scores["score"] == pytest.approx(100 * (1.9 / 4 + 3.5 / 4) / 2, abs=1e-4)
    assert scores["score"] == pytest.approx(67.5, abs=1e-4)


def test_verified_survives_zeros() -> None:
    still = ([0.0], [0.0], 0.0, 0.0)
    # IoU 0 over 0 + e is 0; MSE 0 is the best there is.
    assert verified([record("a", "left", still, still)]).values == pytest.approx(
        {"score": 25, "mse": 1, "spatiotemporal_iou": 0, "spatial_iou": 0, "weighted_spatial_iou": 0}
    )
    moving = ([0.5], [0.5], 0.5, 0.5)
    assert verified([record("a", "left", moving, still)]).values == pytest.approx(
        {"score": 75, "mse": 0, "spatiotemporal_iou": 1, "spatial_iou": 1, "weighted_spatial_iou": 1}, abs=1e-5
    )


def test_verified_takes_figures_of_frames_as_the_official_tables_have_them() -> None:
    """Rounded to 4 decimals: 0.00004 is 0, and 0.00006 is 0.0001."""
    variance = ([0.0001, 0.0001], [0.5, 0.5], 0.5, 0.5)
    found = verified([record("a", "left", ([0.00004, 0.00036], [0.5, 0.5], 0.5, 0.5), variance)]).values
    assert found["mse"] == pytest.approx(0.0001 / 0.0002, abs=1e-4)
