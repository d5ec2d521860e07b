"""Labels of a clip against its exact annotations, and their making from stores of clips."""

from pathlib import Path

import numpy as np
import pytest
from factories import make_clip
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import ConfigurationError, InvalidClipError
from phys4d_kedro.perception.config import (
    ConsistencyConfig,
    DepthConfig,
    FlowConfig,
    PseudoLabelConfig,
)
from phys4d_kedro.perception.flow import DisFlow
from phys4d_kedro.perception.nano_depth_anything import build_model, save_model
from phys4d_kedro.perception.pseudo_labels import Estimators, label_clip, pseudo_label_source
from tests.perception.tiny_depth import TINY_DEPTH


class KnownDepth:
    """A depth estimator that is right."""

    kind = "metric"

    def __init__(self, depth: NDArray[np.float32]) -> None:
        self._depth = depth

    def predict(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._depth


class KnownInverse(KnownDepth):
    """The same, as inverse depth of unknown scale and shift that flicker from frame to frame."""

    kind = "relative_inverse"

    def predict(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        rng = np.random.default_rng(0)
        scale, shift = rng.uniform(5, 8, (2, len(rgb), 1, 1))
        return (scale / self._depth + shift).astype(np.float32)


def parameters(model: str = "exact", alignment: str = "none", **depth: float) -> PseudoLabelConfig:
    return PseudoLabelConfig(
        flow=FlowConfig(),
        depth=DepthConfig(model=model, **depth),
        consistency=ConsistencyConfig(alignment=alignment, prior=0, smoothing_passes=0),
    )


def test_labels_of_an_approaching_board_are_near_the_truth_and_mask_what_it_covers(textured_clip: Clip) -> None:
    exact = textured_clip
    label = label_clip(exact, parameters(), Estimators(KnownDepth(exact.depth), DisFlow()))
    label.require("depth", "depth_confidence", "motion", "motion_valid", "motion_confidence")
    assert np.allclose(label.depth, exact.depth, rtol=1e-5)
    board = exact.segmentation[:-1] > 0
    both = exact.motion_valid & label.motion_valid
    for where in (both & board, both & ~board):
        error = np.abs(label.motion - exact.motion)[where]
        assert np.median(error[:, 2]) < 1e-3, "dz"
        assert np.median(np.linalg.norm(error[:, :2], axis=-1)) < 0.15, "flow"
    assert np.median(label.motion[..., 2][both & board]) == pytest.approx(-0.1, abs=1e-3)
    assert (~label.motion_valid)[~exact.motion_valid].mean() > 0.7, "covered pixels are masked"
    assert (~label.motion_valid)[exact.motion_valid].mean() < 0.06, "hardly any other is"
    assert (label.motion[..., 2][~label.motion_valid] == 0).all()
    wrong = np.linalg.norm((label.motion - exact.motion)[..., :2], axis=-1)[exact.motion_valid]
    doubted = label.motion_confidence[exact.motion_valid] < 0.5
    assert wrong[doubted].mean() > 5 * wrong[~doubted].mean()


def test_label_keeps_the_video_and_drops_what_only_a_simulator_knows(textured_clip: Clip) -> None:
    label = label_clip(textured_clip, parameters(), Estimators(KnownDepth(textured_clip.depth), DisFlow()))
    assert np.array_equal(label.rgb, textured_clip.rgb)
    assert label.source == "pseudo"
    for name in ("clip_id", "fps", "prompt", "category", "scene", "seed"):
        assert getattr(label, name) == getattr(textured_clip, name)
    assert np.array_equal(label.intrinsics, textured_clip.intrinsics)
    assert np.array_equal(label.world_from_camera, textured_clip.world_from_camera)
    assert label.segmentation is None
    assert label.tracks is None
    assert label.parameters["pseudo_labels"]["video"] == "simulation"
    assert label.parameters["pseudo_labels"]["depth"]["kind"] == "metric"


def test_flickering_relative_depth_becomes_steady_depth_with_a_stated_convention(textured_clip: Clip) -> None:
    config = parameters(alignment="scale_and_shift", median_depth=6.0, depth_ratio=2.4)
    label = label_clip(textured_clip, config, Estimators(KnownInverse(textured_clip.depth), DisFlow()))
    wall = textured_clip.segmentation == 0
    assert np.ptp(np.median(np.where(wall, label.depth, np.nan)[:, :10], (1, 2))) < 0.02, "the wall stands still"
    assert np.median(label.depth) == pytest.approx(6.0, rel=0.01)
    facts = label.parameters["pseudo_labels"]["depth"]
    assert facts["kind"] == "relative_inverse"
    assert "convention" in facts["scale"]
    assert facts["gain"] > 0
    assert np.median(label.depth_confidence) > 0.9


def test_depth_that_jumps_loses_confidence_there(textured_clip: Clip) -> None:
    depth = textured_clip.depth.copy()
    depth[2, 48:60, 8:24] *= 1.5
    label = label_clip(textured_clip, parameters(), Estimators(KnownDepth(depth), DisFlow()))
    assert label.depth_confidence[2, 50:58, 10:22].max() < 0.2
    assert np.median(label.depth_confidence[2, 50:58, 40:56]) > 0.9


def test_unusable_input_names_the_clip(textured_clip: Clip) -> None:
    broken = textured_clip.depth.copy()
    broken[3, 2, 1] = np.nan
    with pytest.raises(InvalidClipError, match=r"'board'.*\(3, 2, 1\)"):
        label_clip(textured_clip, parameters(), Estimators(KnownDepth(broken), DisFlow()))
    with pytest.raises(InvalidClipError, match=r"'board'.*single frame"):
        label_clip(textured_clip.window(0, 1), parameters(), Estimators(KnownDepth(broken), DisFlow()))


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    save_model(build_model(TINY_DEPTH, seed=0), folder)
    return str(folder)


@pytest.fixture
def stores(tmp_path: Path) -> list[ClipStore]:
    paths = [str(tmp_path / name) for name in ("simulated", "real")]
    for index, path in enumerate(paths):
        write_shards([make_clip(10 * index + i) for i in range(3)], path, clips_per_shard=2)
    return [ClipStore(path) for path in paths]


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.slow
def test_labelling_of_stores_resumes_to_the_same_bytes_in_any_number_of_processes(
    tmp_path: Path, stores: list[ClipStore], model_folder: str
) -> None:
    source = pseudo_label_source(stores, parameters(model_folder, alignment="scale"))
    assert len(source) == 6
    write_shards(source, str(tmp_path / "labels"), clips_per_shard=2, jobs=2)
    whole = files(tmp_path / "labels")
    labels = ClipStore(str(tmp_path / "labels"))
    assert labels.ids == [*stores[0].ids, *stores[1].ids]
    assert {clip.source for clip in labels} == {"pseudo"}
    assert np.array_equal(labels[4].rgb, stores[1][1].rgb)

    cut = sorted((tmp_path / "labels" / "shards").iterdir())[1]
    cut.unlink()
    again = pseudo_label_source(stores, parameters(model_folder, alignment="scale"))
    write_shards(again, str(tmp_path / "labels"), clips_per_shard=2)
    assert files(tmp_path / "labels") == whole


def test_fingerprint_covers_clips_parameters_and_weights(
    tmp_path: Path, stores: list[ClipStore], model_folder: str
) -> None:
    def fingerprint(model: str = model_folder, clips: list[ClipStore] = stores, **changes: str) -> str:
        return pseudo_label_source(clips, parameters(model, **changes)).fingerprint

    base = fingerprint()
    assert base == fingerprint(clips=[ClipStore(store.path) for store in stores])
    assert base != fingerprint(clips=[stores[0].subset(stores[0].ids[:2]), stores[1]])
    assert base != fingerprint(alignment="scale")
    weights = Path(model_folder) / "model.safetensors"
    original = weights.read_bytes()
    try:
        weights.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
        assert base != fingerprint()
    finally:
        weights.write_bytes(original)


def test_missing_model_stops_before_the_first_clip(stores: list[ClipStore]) -> None:
    with pytest.raises(ConfigurationError, match="no_such_model"):
        pseudo_label_source(stores, parameters("weights/no_such_model"))


def test_what_is_farther_than_the_limit_is_labelled_as_nothing_hit(textured_clip: Clip) -> None:
    depth = textured_clip.depth.copy()
    depth[:, :4] = 60.0
    label = label_clip(textured_clip, parameters(farthest=50.0), Estimators(KnownDepth(depth), DisFlow()))
    assert np.isinf(label.depth[:, :4]).all()
    assert np.isfinite(label.depth[:, 4:]).all()
    assert not label.motion_valid[:, :4].any()
    assert (label.depth_confidence[:, :4] == 0).all()
    assert (label.motion[:, :4] == 0).all()
