"""How worlds and readings are judged in a comparison: the truth itself, a world at rest, contradictions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import MissingAnnotationError
from phys4d_kedro.evaluation.comparison_scores import Judge, Truth, self_consistency
from phys4d_kedro.evaluation.metrics import make_reference
from phys4d_kedro.evaluation.predictors import EstimatorsPredictor
from phys4d_kedro.evaluation.reward_config import WorldConfig
from phys4d_kedro.world_model.latents import LatentSet
from tests.evaluation.tiny_estimators import EVALUATION, tiny_labels
from tests.factories import make_clip


def of(clip: Clip, **arrays: Any) -> Clip:
    """The clip as a world that has these arrays."""
    return clip.with_(source="pseudo", tracks=None, track_instance=None, track_visible=None, **arrays)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    folder = tmp_path_factory.mktemp("depth")
    nothing = LatentSet(folder, (), (), ())
    return Judge(nothing, EstimatorsPredictor.load(tiny_labels(folder)), EVALUATION, WorldConfig())


@pytest.fixture(scope="module")
def truth(judge: Judge, tmp_path_factory: pytest.TempPathFactory) -> Truth:
    folder = tmp_path_factory.mktemp("truth")
    write_shards([make_clip(3, frames=9)], str(folder), clips_per_shard=1)
    (prepared,) = judge.prepare(ClipStore(str(folder)))
    return prepared


def test_exact_depth_and_motion_agree_and_contradictions_do_not() -> None:
    clip = make_clip(0)
    exact = self_consistency(clip)
    assert exact is not None
    assert exact < 0.01
    assert clip.depth is not None
    assert clip.motion is not None
    flicker = clip.depth * np.where(np.arange(clip.frames) % 2, 1.1, 1.0)[:, None, None].astype(np.float32)
    assert self_consistency(clip.with_(depth=flicker)) == pytest.approx(np.log(1.1), rel=0.2)
    away = clip.motion + np.array([0, 0, 0.3], np.float32)
    assert self_consistency(clip.with_(motion=away)) > 3 * exact
    assert self_consistency(clip.with_(motion_valid=np.zeros_like(clip.motion_valid))) is None


def test_the_truth_is_a_world_without_fault(judge: Judge, truth: Truth) -> None:
    scores = dict(judge.generation(of(truth.clip), truth))
    assert scores["mse"] == 0
    assert scores["appearance_drift"] == 0
    assert scores["motion_iou"] == 1
    assert scores["warp_residual"] == self_consistency(truth.clip)
    assert truth.world is not None
    assert scores["scaled_world_distance_heads"] == scores["world_distance_heads"] / truth.world.scale
    still = of(truth.clip, motion=np.zeros_like(truth.clip.motion), depth=truth.clip.depth[:1].repeat(9, axis=0))
    at_rest = dict(judge.generation(still, truth))
    assert at_rest["world_distance_heads"] > 1.5 * scores["world_distance_heads"]
    assert at_rest["world_distance_estimators"] == scores["world_distance_estimators"]  # they see RGB alone


def test_estimators_see_the_world_and_heads_do_not(judge: Judge, truth: Truth) -> None:
    """A world whose RGB stands still, with the true depth and motion beside it."""
    still = of(truth.clip, rgb=truth.clip.rgb[:1].repeat(9, axis=0))
    first, second = (dict(judge.generation(world, truth)) for world in (of(truth.clip), still))
    assert second["world_distance_heads"] == first["world_distance_heads"]
    assert second["world_distance_estimators"] != first["world_distance_estimators"]
    assert second["mse"] > 0


def test_what_shows_no_motion_has_no_world_distance(judge: Judge, truth: Truth) -> None:
    reference = make_reference(truth.clip, moving_threshold=EVALUATION.moving_threshold, tracks=EVALUATION.tracks)
    scores = dict(judge.generation(of(truth.clip), Truth(reference, None, truth.features)))
    assert not [name for name in scores if "world" in name]


def test_clips_without_exact_annotations_are_refused(judge: Judge, tmp_path: Path) -> None:
    write_shards([make_clip(0), make_clip(1).with_(segmentation=None)], str(tmp_path), clips_per_shard=2)
    with pytest.raises(MissingAnnotationError, match=r"sphere-0001.*segmentation"):
        judge.prepare(ClipStore(str(tmp_path)))
