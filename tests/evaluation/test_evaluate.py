from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from factories import make_clip

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import MissingAnnotationError
from phys4d_kedro.evaluation.evaluate import ExamplePredictions, choose_examples, score_predictors
from phys4d_kedro.evaluation.predictors import ExactPredictor, StillPredictor
from phys4d_kedro.evaluation.statistics import METRICS, summarise_scores


@dataclass
class NoisyTruth:
    """A stand-in for trained heads: the truth with an error of its seed's own."""

    seed: int | None
    name: str = "heads"

    def predict(self, clip: Clip) -> Clip:
        assert self.seed is not None
        factor = np.exp(np.random.default_rng(self.seed).normal(0, 0.05, clip.depth.shape)).astype(np.float32)
        return clip.with_(depth=clip.depth * factor, motion=clip.motion + np.float32(0.1))


def store(path: Path, clips: list[Clip]) -> ClipStore:
    write_shards(clips, str(path), clips_per_shard=2)
    return ClipStore(str(path))


@pytest.fixture(scope="module")
def heldout(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    scenes = ["roll", "roll", "fall"]
    return store(tmp_path_factory.mktemp("heldout"), [make_clip(i).with_(scene=scenes[i]) for i in range(3)])


def test_the_table_is_tidy_and_complete(heldout):
    constant = StillPredictor("constant_median", np.full((), 5.0, np.float32))
    predictors = [NoisyTruth(0), NoisyTruth(1), constant, ExactPredictor()]
    table = score_predictors(predictors, heldout, moving_threshold=0.01, tracks=64)
    assert len(table) == 4 * 3 * 2 * len(METRICS)
    assert not table.duplicated(["predictor", "seed", "clip_id", "region", "metric"]).any()
    assert np.isfinite(table["value"]).all()
    assert set(table["metric"]) == set(METRICS)
    assert table.groupby("predictor")["seed"].nunique().to_dict() == {"constant_median": 0, "exact": 0, "heads": 2}
    summary = summarise_scores(table, subject="heads", resamples=100, seed=0)
    for metric in ("abs_rel", "epe", "chamfer_4d"):
        for region in ("image", "objects"):
            margins = summary[metric][region]["margins"]
            assert margins["constant_median"]["low"] > 0
            assert set(margins) == {"constant_median"}
            assert summary[metric][region]["means"]["exact"]["mean"] < summary[metric][region]["means"]["heads"]["mean"]


def test_the_same_evaluation_gives_the_same_table(heldout):
    first, second = (score_predictors([NoisyTruth(0)], heldout, moving_threshold=0.01, tracks=64) for _ in range(2))
    assert first.equals(second)


def test_examples_show_every_scene_and_are_named_by_predictor(heldout):
    assert choose_examples(heldout, 2) == ["sphere-0002", "sphere-0000"]
    clips = list(ExamplePredictions([NoisyTruth(0), NoisyTruth(1), ExactPredictor()], heldout, 2))
    assert [clip.clip_id for clip in clips] == [
        "sphere-0002.heads",
        "sphere-0002.exact",
        "sphere-0000.heads",
        "sphere-0000.exact",
    ]
    np.testing.assert_array_equal(clips[0].depth, NoisyTruth(0).predict(heldout.read("sphere-0002")).depth)


def test_a_missing_annotation_is_found_before_anything_is_predicted(tmp_path):
    clips = [make_clip(0), make_clip(1).with_(tracks=None, track_instance=None, track_visible=None)]
    with pytest.raises(MissingAnnotationError, match=r"sphere-0001.*tracks"):
        score_predictors([], store(tmp_path, clips), moving_threshold=0.01, tracks=64)
