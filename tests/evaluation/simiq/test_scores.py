"""SimIQ's scores: those of both rules on cases worked by hand, and margins as sure as the scenarios allow."""

import json

import numpy as np
import pandas as pd
import pytest

from phys4d_kedro.evaluation.physics_iq.layout import PERSPECTIVES
from phys4d_kedro.evaluation.simiq.measure import COLUMNS
from phys4d_kedro.evaluation.simiq.scores import summarise_simiq
from tests.evaluation.simiq.squares import frozen_list

SCENARIOS = ("a-0", "a-1", "b-0", "c-0")
FROZEN = frozen_list("ball_collide")


def row(method: str, seed: int | None, scenario: str, view: int, *, mse: float, iou: float) -> tuple:
    about = (f"simiq-{scenario}-v{view}-t0", scenario, PERSPECTIVES[view], scenario[0], f"kind-{scenario[0]}")
    return (method, seed, None if seed is None else 0, *about, [mse] * 4, [iou] * 4, iou, iou, True, True)


def table(stages: dict[str, list[float]], error: float = 0.02) -> pd.DataFrame:
    """IoU of every stage, by training seed; takes agree to 0.8 with an error of 0.01."""
    rows = [row("takes", None, scenario, view, mse=0.01, iou=0.8) for scenario in SCENARIOS for view in range(3)]
    for stage, by_seed in stages.items():
        seeds = [None] if stage == "still" else range(len(by_seed))
        for seed, iou in zip(seeds, by_seed, strict=True):
            rows += [
                row(stage, seed, scenario, view, mse=error, iou=iou) for scenario in SCENARIOS for view in range(3)
            ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"seed": "Int64", "sample": "Int64"})


def summary(scores: pd.DataFrame) -> dict:
    found = summarise_simiq(scores, FROZEN, resamples=20, seed=0)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


def test_scores_are_those_of_the_formulas() -> None:
    found = summary(table({"still": [0.0], "stage1": [0.4], "sft": [0.5, 0.7]}))
    scores = found["scores"]
    assert scores["stage1"]["original"]["score"] == {"mean": pytest.approx(100 * (0.5 - 0.01)), "seed_std": None}
    assert scores["stage1"]["verified"]["score"]["mean"] == pytest.approx(100 * (3 * 0.5 + 0.5) / 4)
    assert scores["still"]["verified"]["score"]["mean"] == pytest.approx(100 * 0.5 / 4)
    assert scores["stage1"]["verified"]["mse"]["mean"] == pytest.approx(0.5)
    sft = [100 * (iou / 0.8 - 0.01) for iou in (0.5, 0.7)]
    assert scores["sft"]["original"]["score"]["mean"] == pytest.approx(np.mean(sft))
    assert scores["sft"]["original"]["score"]["seed_std"] == pytest.approx(np.std(sft, ddof=1))
    assert found["takes"]["spatial_iou"] == pytest.approx(0.8)
    assert (found["version"], found["scenarios"], found["views"]) == ("tiny", 4, 12)


def test_categories_are_scored_alone() -> None:
    scores = table({"stage1": [0.4]})
    better = (scores["method"] == "stage1") & (scores["category"] == "kind-b")
    scores.loc[better, ["spatial_iou", "weighted_spatial_iou"]] = 0.8
    found = summary(scores)["categories"]
    assert set(found) == {"kind-a", "kind-b", "kind-c"}
    assert found["kind-a"]["stage1"]["verified"]["mean"] == pytest.approx(100 * 2 / 4)
    assert found["kind-b"]["stage1"]["verified"]["mean"] == pytest.approx(100 * 3 / 4)


def test_equal_stages_have_margins_of_zero_and_a_gain_everywhere_has_no_spread() -> None:
    margins = summary(table({"stage1": [0.4], "appearance_control": [0.4], "sft": [0.6]}))["margins"]
    for rule in ("original", "verified"):
        nothing = {"mean": 0, "seed_std": None, "low": 0, "high": 0}
        assert all(found == nothing for found in margins["appearance_control"]["stage1"][rule].values())
    gain = margins["sft"]["stage1"]["original"]["score"]
    assert gain["mean"] == pytest.approx(25)
    assert (gain["low"], gain["high"]) == (pytest.approx(25), pytest.approx(25))
    assert margins["sft"]["appearance_control"]["verified"]["score"]["mean"] == pytest.approx(100 * 3 / 4 * 0.25)


def test_a_gain_in_one_scenario_is_not_sure() -> None:
    scores = table({"stage1": [0.4], "sft": [0.4]})
    better = (scores["method"] == "sft") & (scores["scenario"] == "c-0")
    scores.loc[better, ["spatial_iou", "weighted_spatial_iou"]] = 0.8
    margin = summary(scores)["margins"]["sft"]["stage1"]["verified"]["score"]
    assert margin["mean"] == pytest.approx(100 * 2 * 0.5 / 4 / 4)
    assert margin["low"] == pytest.approx(0, abs=1e-9)
    assert margin["high"] > margin["mean"]


def test_where_the_takes_share_nothing_the_original_score_is_null_and_the_verified_one_is_not() -> None:
    scores = table({"stage1": [0.4], "sft": [0.5]})
    takes = scores["method"] == "takes"
    scores.loc[takes, ["spatial_iou"]] = 0.0
    found = summary(scores)
    assert found["scores"]["sft"]["original"]["score"] is None
    assert found["margins"]["sft"]["stage1"]["original"]["score"] is None
    assert found["margins"]["sft"]["stage1"]["original"]["spatial_iou"]["mean"] == pytest.approx(0.1)
    assert found["scores"]["sft"]["verified"]["score"]["mean"] > 0


def test_less_error_and_more_overlap_are_both_ahead() -> None:
    scores = table({"stage1": [0.4], "sft": [0.6]})
    scores["mse"] = [[0.02 if method == "sft" else 0.03] * 4 for method in scores["method"]]
    found = summary(scores)["margins"]["sft"]["stage1"]["original"]
    assert found["mse"]["mean"] == pytest.approx(0.01)
    assert found["spatiotemporal_iou"]["mean"] == pytest.approx(0.2)
