"""Scores of a depth model: hand-made estimators on analytic clips."""

from pathlib import Path

import numpy as np
import pytest
from factories import make_clip
from numpy.typing import NDArray

from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.evaluation.depth_model import score_depth_model


class TwiceTheTruth:
    """Depth of these clips times two, but right on their objects."""

    kind = "metric"

    def __init__(self, clips: ClipStore, on_objects: float) -> None:
        self._answers = {c.rgb.tobytes(): c.depth * np.where(c.segmentation > 0, on_objects, 2) for c in clips}

    def predict(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._answers[rgb.tobytes()].astype(np.float32)


def test_scores_of_a_known_error(tmp_path: Path) -> None:
    stores = {}
    for name, first in (("train", 0), ("heldout", 10)):
        write_shards([make_clip(first + i) for i in range(2)], str(tmp_path / name), clips_per_shard=2)
        stores[name] = ClipStore(str(tmp_path / name))
    scores = score_depth_model(TwiceTheTruth(stores["heldout"], 2), stores["heldout"], stores["train"])
    assert scores["model"]["image"] == {"abs_rel_raw": 1, "abs_rel": 0, "delta_1_raw": 0, "delta_1": 1}
    assert scores["model"]["objects"] == scores["model"]["image"]

    scores = score_depth_model(TwiceTheTruth(stores["heldout"], 1), stores["heldout"], stores["train"])
    assert scores["model"]["objects"]["abs_rel_raw"] == 0
    assert scores["model"]["objects"]["abs_rel"] == pytest.approx(0.5, abs=0.01), "the background sets the scale"

    median = np.median(np.concatenate([clip.depth.ravel() for clip in stores["train"]]))
    expected = np.mean([np.abs(median / clip.depth - 1).mean() for clip in stores["heldout"]])
    assert scores["constant_median"]["image"]["abs_rel_raw"] == pytest.approx(expected, abs=1e-3)
