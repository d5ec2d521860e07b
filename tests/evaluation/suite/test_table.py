"""The suite on sets of clips: every judge has its rows, and the summary finds a planted gain and known curves."""

import json

import numpy as np
import pandas as pd
import pytest

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.evaluation.predictors import EstimatorsPredictor
from phys4d_kedro.evaluation.suite import EXACT, SUITE_METRICS, TRUTH, VIDEOS
from phys4d_kedro.evaluation.suite.summary import summarise_suite
from phys4d_kedro.evaluation.suite.table import COLUMNS, score_videos, score_worlds
from tests.evaluation.suite.scenes import CONFIG, at_rest, two_balls, world_of
from tests.evaluation.tiny_estimators import tiny_labels


def made_by(world: Clip, stage: str, seed: int) -> Clip:
    facts = {"reference": world.clip_id, "stage": stage, "training_seed": seed, "sample": 0}
    return world.with_(clip_id=f"{world.clip_id}.{stage}.seed{seed}.0", parameters=facts)


@pytest.fixture(scope="module")
def estimators(tmp_path_factory: pytest.TempPathFactory) -> EstimatorsPredictor:
    return EstimatorsPredictor.load(tiny_labels(tmp_path_factory.mktemp("depth")))


@pytest.fixture(scope="module")
def table(estimators: EstimatorsPredictor, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Stage 2 makes the truth, stage 1 a world at rest; stage 3 another first frame, which is not asked for."""
    folder, truth = tmp_path_factory.mktemp("clips"), two_balls()
    write_shards([truth], str(folder / "truths"), clips_per_shard=9)
    marred = truth.rgb.copy()
    marred[0] = 255 - marred[0]
    worlds = [
        made_by(at_rest(truth), "stage1", 0),
        made_by(world_of(truth), "sft", 0),
        made_by(world_of(truth), "sft", 1),
        made_by(world_of(truth, rgb=marred), "rl", 0),
    ]
    write_shards(worlds, str(folder / "worlds"), clips_per_shard=9)
    return score_worlds(ClipStore(str(folder / "worlds")), ClipStore(str(folder / "truths")), estimators, CONFIG)


def of(table: pd.DataFrame, judge: str, stage: str, seed: int | None = None) -> pd.Series:
    rows = table[(table["judge"] == judge) & (table["stage"] == stage) & table["horizon"].isna()]
    rows = rows if seed is None else rows[rows["seed"] == seed]
    return rows.set_index("metric")["value"]


def test_every_world_has_two_judges_and_the_truth_its_own(table: pd.DataFrame) -> None:
    assert list(table.columns) == list(COLUMNS)
    assert not table.duplicated(["judge", "stage", "seed", "sample", "clip_id", "metric", "horizon"]).any()
    whole = table[table["horizon"].isna()]
    assert set(map(tuple, whole[["judge", "stage"]].drop_duplicates().to_numpy())) == {
        (EXACT, TRUTH),
        *((judge, stage) for judge in ("heads", "estimators") for stage in ("stage1", "sft", "rl")),
    }
    assert set(whole["metric"]) == set(SUITE_METRICS)


def test_the_heads_are_judged_by_what_they_see_and_the_estimators_by_the_pixels(table: pd.DataFrame) -> None:
    exact = of(table, EXACT, TRUTH)
    assert of(table, "heads", "sft", 1).to_dict() == pytest.approx(exact.to_dict(), abs=1e-3)
    assert of(table, "heads", "stage1")["chamfer_4d"] > 2 * exact["chamfer_4d"]
    assert of(table, "estimators", "sft", 0)["depth_abs_rel"] > 0.01  # estimators of random weights


def test_the_estimators_see_the_first_frame_as_it_was_given(table: pd.DataFrame) -> None:
    assert of(table, "estimators", "rl").to_dict() == pytest.approx(of(table, "estimators", "sft", 0).to_dict())


def test_videos_are_scored_without_a_truth(estimators: EstimatorsPredictor) -> None:
    clips = [estimators.predict(two_balls(name).with_(category="")) for name in ("a", "b")]
    found = score_videos(clips, estimators.estimators.flow, CONFIG)
    assert set(found["stage"]) == {VIDEOS}
    assert set(found["clip_id"]) == {"a", "b"}
    assert set(found["metric"]) == {name for name, metric in SUITE_METRICS.items() if metric.needs == "clip"}
    assert len(score_videos([], estimators.estimators.flow, CONFIG)) == 0


CLIPS, RNG = 10, np.random.default_rng(0)
HARD = RNG.uniform(1, 2, CLIPS)


def synthetic(metric: str, gains: dict[str, float], horizon: float | None = None) -> pd.DataFrame:
    """A metric that is as hard as the clip is, times what the stage makes of it."""
    rows = [
        ("heads", stage, seed, 0, f"clip{clip}", "s", "c", metric, horizon, HARD[clip] * gain + 0.1 * (seed or 0))
        for stage, gain in gains.items()
        for seed in ((0, 1) if stage != TRUTH else (None,))
        for clip in range(CLIPS)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"seed": "Int64", "sample": "Int64", "horizon": "Float64"})


def test_a_planted_gain_is_found_with_its_interval_and_the_truth_has_means_alone() -> None:
    whole = synthetic("energy_error", {TRUTH: 0.1, "stage1": 1.0, "sft": 0.9, "rl": 0.9})
    found = summarise_suite(whole, resamples=200, seed=0)["heads"]["energy_error"]
    assert list(found["means"]) == [TRUTH, "stage1", "sft", "rl"]
    assert set(found["margins"]) == {"sft", "rl"}
    gain = found["margins"]["sft"]["stage1"]
    assert gain["mean"] == pytest.approx(0.1 * HARD.mean())
    assert 0 < gain["low"] < gain["mean"] < gain["high"]
    assert found["margins"]["rl"]["sft"]["mean"] == pytest.approx(0, abs=1e-12)
    better = summarise_suite(whole.assign(metric="permanence"), resamples=200, seed=0)["heads"]["permanence"]
    assert better["margins"]["sft"]["stage1"]["mean"] == pytest.approx(-0.1 * HARD.mean())


def test_curves_are_means_over_clips_at_each_horizon_with_intervals_around_them() -> None:
    parts = [synthetic("chamfer_4d", {"stage1": 1.0, "sft": 0.5}, horizon) for horizon in (2.0, 0.5)]
    whole = synthetic("chamfer_4d", {"stage1": 3.0, "sft": 1.0})
    summary = summarise_suite(pd.concat([*parts, whole]), resamples=200, seed=0)
    found = summary["heads"]["chamfer_4d"]
    assert found["means"]["stage1"]["mean"] == pytest.approx(3 * HARD.mean() + 0.05)
    assert list(found["horizons"]) == ["stage1", "sft"]
    for stage, gain in (("stage1", 1.0), ("sft", 0.5)):
        curve = found["horizons"][stage]
        assert [point["seconds"] for point in curve] == [0.5, 2.0]
        for point in curve:
            assert point["mean"] == pytest.approx(gain * HARD.mean() + 0.05)
            assert point["low"] < point["mean"] < point["high"]
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
