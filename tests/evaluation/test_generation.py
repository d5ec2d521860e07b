"""Tables of generated videos beside their baselines, and what the summary makes of them."""

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from phys4d_kedro.errors import InvalidClipError
from phys4d_kedro.evaluation.generation import (
    ALL,
    COLUMNS,
    FRECHET,
    JudgedClip,
    frechet_means,
    judge_generation,
    summarise_generation,
)
from phys4d_kedro.evaluation.video_metrics import GENERATION_METRICS, copy_first_frame, score_video


def moving(index: int, speed: int) -> np.ndarray:
    """A square of the clip's own colour that moves right before a texture: (9, 32, 32, 3)."""
    rng = np.random.default_rng(index)
    video = np.tile(rng.integers(60, 120, (32, 32, 3), np.uint8), (9, 1, 1, 1))
    for frame in range(9):
        left = 2 + speed * frame
        video[frame, 10:18, left : left + 8] = rng.integers(200, 255)
    return video


def judged(count: int = 6) -> Iterator[JudgedClip]:
    """Of two categories; seed 0 is perfect, seed 1 half as fast, and the VAE one level brighter."""
    for index in range(count):
        truth = moving(index, 2)
        slow = moving(index, 1)
        slow[0] = truth[0]
        category = ("ropes", "fluids")[index % 2]
        yield JudgedClip(f"clip-{index}", category, truth, {0: truth.copy(), 1: slow}, truth + np.uint8(1))


@pytest.fixture(scope="module")
def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    return judge_generation(judged())


def test_every_clip_method_seed_and_metric_has_a_row(tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    scores, features = tables
    assert tuple(scores.columns) == COLUMNS
    assert len(scores) == 6 * 4 * len(GENERATION_METRICS)
    assert not scores.duplicated(["method", "seed", "clip_id", "metric"]).any()
    assert len(features) == 6 * 5
    assert set(features["method"]) == {"truth", "generated", "copy", "vae"}
    assert scores["seed"].isna().equals(scores["method"] != "generated")


def test_values_are_those_of_the_metrics(tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    scores = tables[0].set_index(["method", "seed", "clip_id", "metric"])["value"]
    clip = list(judged())[3]
    for method, seed, video in [
        ("generated", 1, clip.generated[1]),
        ("copy", pd.NA, copy_first_frame(clip.truth)),
        ("vae", pd.NA, clip.reconstructed),
    ]:
        for metric, value in score_video(video, clip.truth).items():
            found = scores.xs((method, "clip-3", metric), level=("method", "clip_id", "metric"))
            found = found.loc[[seed]] if method == "generated" else found
            assert found.tolist() == [value]


class TestSummary:
    """Means, margins and distances."""

    def test_by_hand(self) -> None:
        rows = [("generated", seed, "a", "ropes", "mse", value) for seed, value in ((0, 1.0), (1, 2.0))]
        rows += [("generated", seed, "b", "fluids", "mse", value) for seed, value in ((0, 2.0), (1, 5.0))]
        rows += [
            ("copy", None, clip, name, "mse", value) for clip, name, value in (("a", "ropes", 4.0), ("b", "", 8.0))
        ]
        rows += [("vae", None, "a", "ropes", "mse", 0.5)]
        rows += [(method, seed, clip, category, "psnr", -value) for method, seed, clip, category, _, value in rows]
        scores = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"seed": "Int64"})
        features = pd.DataFrame(columns=["method", "seed", "clip_id", "category"])
        features = features.reindex(columns=[*features.columns, *(f"feature_{k:02d}" for k in range(64))])
        summary = summarise_generation(scores, features, resamples=100, seed=0)
        everything = summary["mse"][ALL]
        assert everything["means"]["generated"] == {"mean": 2.5, "seed_std": pytest.approx(2**0.5), "clips": 2}
        assert everything["means"]["copy"] == {"mean": 6.0, "seed_std": None, "clips": 2}
        # Ahead of the copy by 2.5 and 4.5; of the VAE on the one clip it has.
        spread = pytest.approx(2**0.5)  # of the two seeds' margins, 4.5 and 2.5, and -0.5 and -1.5 below
        assert everything["margins"]["copy"] == {"mean": 3.5, "seed_std": spread, "low": 2.5, "high": 4.5, "clips": 2}
        spread = pytest.approx(0.5**0.5)
        assert everything["margins"]["vae"] == {"mean": -1.0, "seed_std": spread, "low": -1.0, "high": -1.0, "clips": 1}
        assert summary["psnr"][ALL]["margins"] == everything["margins"]  # less error is more dB
        assert set(summary["mse"]) == {ALL, "ropes", "fluids"}
        assert summary["mse"]["ropes"]["means"]["generated"]["mean"] == 1.5
        assert summary[FRECHET][ALL]["means"] == {}

    def test_of_a_run_is_json_and_in_order(self, tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
        summary = json.loads(json.dumps(summarise_generation(*tables, resamples=200, seed=0), allow_nan=False))
        assert set(summary) == {*GENERATION_METRICS, FRECHET}
        assert set(summary["mse"]) == {ALL, "ropes", "fluids"}
        for metric in GENERATION_METRICS:
            margin = summary[metric]["ropes"]["margins"]["copy"]
            assert 0 < margin["low"] <= margin["mean"] <= margin["high"]
            assert margin["clips"] == 3
        assert summary == summarise_generation(*tables, resamples=200, seed=0)

    def test_distance_is_zero_for_the_seed_that_is_perfect(self, tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
        features = tables[1]
        alone = frechet_means(features[features["seed"].isna() | (features["seed"] == 0)])
        assert alone["generated"]["mean"] == pytest.approx(0, abs=1e-6)
        both = frechet_means(features)
        assert both["generated"]["clips"] == 6
        assert both["generated"]["seed_std"] == pytest.approx(2 * both["generated"]["mean"] / 2**0.5)
        assert both["vae"]["mean"] < both["generated"]["mean"] < both["copy"]["mean"]

    def test_nothing_generated_leaves_the_baselines(self) -> None:
        clips = [JudgedClip(f"clip-{i}", "", moving(i, 2)) for i in range(3)]
        summary = summarise_generation(*judge_generation(clips), resamples=10, seed=0)
        assert set(summary["mse"]) == {ALL}
        assert set(summary["mse"][ALL]["means"]) == {"copy"}
        assert summary["mse"][ALL]["margins"] == {}


@pytest.mark.parametrize(
    ("video", "message"),
    [
        (np.zeros((5, 32, 32, 3), np.uint8), r"'clip-0'.*'generated' \(seed 3\) is uint8 \(5, 32, 32, 3\)"),
        (np.zeros((9, 32, 32, 3), np.float32), r"'clip-0'.*'generated' \(seed 3\) is float32"),
    ],
)
def test_videos_of_another_shape_are_named(video: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidClipError, match=message):
        JudgedClip("clip-0", "", moving(0, 2), {3: video})


def test_a_single_frame_cannot_be_judged_by() -> None:
    with pytest.raises(InvalidClipError, match="'clip-0': a single frame"):
        JudgedClip("clip-0", "", moving(0, 2)[:1])
