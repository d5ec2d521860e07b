"""The world model: what it predicts, and the heads it refuses."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from phys4d_kedro.errors import CheckpointError, InvalidClipError
from phys4d_kedro.world_model.world_model import WorldModel
from tests.factories import make_clip
from tests.world_model.tiny_heads import write_heads


@pytest.fixture(scope="module")
def heads(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_heads(tiny_backbone, tmp_path_factory.mktemp("heads"))


def test_predicts_in_metres_and_pixels(tiny_backbone: Path, heads: Path) -> None:
    clip = make_clip(0)
    predicted = WorldModel.load(tiny_backbone, heads, noise_level=0.1).perceive(clip, seed=0)
    T, (H, W) = clip.frames, clip.size
    assert predicted.depth is not None
    assert predicted.motion is not None
    assert predicted.depth.shape == (T, H, W)
    np.testing.assert_allclose(predicted.depth, 3.0, rtol=0.05)
    assert predicted.motion.shape == (T - 1, H, W, 3)
    np.testing.assert_allclose(predicted.motion[..., 0], 0.1 * W, atol=0.03 * W)
    np.testing.assert_allclose(predicted.motion[..., 2], 3.0 * np.expm1(0.1), atol=0.1)
    assert predicted.motion_valid is not None
    assert not predicted.motion_valid[:, :, -3:].any()  # these pixels leave the image
    assert predicted.motion_valid[:, 2:-5, 2:-5].all()
    assert predicted.tracks is None
    assert predicted.source == "pseudo"


def test_same_seed_same_prediction(tiny_backbone: Path, heads: Path) -> None:
    model = WorldModel.load(tiny_backbone, heads, noise_level=0.5)
    clip = make_clip(0)
    assert model.perceive(clip, seed=1).content_hash() == model.perceive(clip, seed=1).content_hash()
    assert model.perceive(clip, seed=1).content_hash() != model.perceive(clip, seed=2).content_hash()


def test_heads_of_another_backbone_are_refused(tiny_backbone: Path, heads: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_backbone, other)
    config = other / "transformer" / "config.json"
    config.write_text(config.read_text() + "\n")
    with pytest.raises(CheckpointError, match="trained on another backbone"):
        WorldModel.load(other, heads, noise_level=0.1)


def test_missing_and_foreign_heads_are_named(tiny_backbone: Path, heads: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no head in"):
        WorldModel.load(tiny_backbone, tmp_path, noise_level=0.1)
    shutil.copytree(tiny_backbone / "transformer", tmp_path / "depth")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        WorldModel.load(tiny_backbone, tmp_path, noise_level=0.1)


def test_clip_that_does_not_divide_into_tokens_is_named(tiny_backbone: Path, heads: Path) -> None:
    model = WorldModel.load(tiny_backbone, heads, noise_level=0.1)
    with pytest.raises(InvalidClipError, match="multiples of 8"):
        model.perceive(make_clip(0, height=36), seed=0)
