from pathlib import Path

import numpy as np
import pytest
import torch
from factories import make_clip
from safetensors.torch import save_file

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import CheckpointError, DataQualityError, InvalidClipError, MissingAnnotationError
from phys4d_kedro.evaluation.baselines import Baselines, fit_baselines, median_depths
from phys4d_kedro.evaluation.predictors import RidgePredictor, StillPredictor
from phys4d_kedro.evaluation.reading import Reader, readout_seed
from phys4d_kedro.world_model.backbones.base import Condition, Prediction
from phys4d_kedro.world_model.latents import LatentSet


class ColourModel:
    """A stand-in for the world model: a token's features are its mean colour, its place, and noise."""

    readings = 0

    def read(self, clip: Clip, *, seed: int, encoded: tuple[torch.Tensor, Condition] | None = None) -> Prediction:
        self.readings += 1
        rgb = torch.from_numpy(clip.rgb[::4]).float().unflatten(1, (-1, 8)).unflatten(3, (-1, 8)).mean((2, 4)) / 255
        rows, columns = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in rgb.shape[1:3]), indexing="ij")
        place = torch.stack([rows, columns, rows * columns], -1).expand(*rgb.shape[:3], 3)
        noise = torch.randn(*rgb.shape[:3], 2, generator=torch.Generator().manual_seed(seed))
        features = torch.cat([rgb, place, 0.01 * noise], -1)[None]
        return Prediction(features, (features,), shift=features, scale=features)

    def annotate(self, clip: Clip, reading: Prediction) -> Clip:
        raise NotImplementedError


def reader_of(clips: ClipStore, folder: Path) -> Reader:
    """A reader of these clips whose cached latents say nothing."""
    for folder_name, name in (("latents", "latents"), ("prompts", "text")):
        (folder / folder_name).mkdir(parents=True, exist_ok=True)
        save_file({name: torch.zeros(1)}, folder / folder_name / "0.safetensors")
    keys = ["0"] * len(clips)
    return Reader(ColourModel(), LatentSet(folder, clips.ids, keys, keys), noise_seed=0)


def store(path: Path, clips: list[Clip]) -> ClipStore:
    write_shards(clips, str(path), clips_per_shard=4)
    return ClipStore(str(path))


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return store(tmp_path_factory.mktemp("training"), [make_clip(i) for i in range(10)])


def test_medians_are_those_of_all_depths_at_once(training):
    constant, pixel = median_depths(training)
    depths = np.concatenate([clip.depth for clip in training])
    assert constant == np.quantile(depths, 0.5, method="lower")
    np.testing.assert_array_equal(pixel, np.quantile(depths, 0.5, axis=0, method="lower"))


def test_pixels_never_hit_take_the_median_of_all(tmp_path):
    clips = []
    for i in range(3):
        clip = make_clip(i)
        depth = clip.depth.copy()
        depth[:, 0] = np.inf
        clips.append(clip.with_(depth=depth))
    constant, pixel = median_depths(store(tmp_path, clips))
    assert (pixel[0] == np.float32(constant)).all()
    assert (pixel[1:] != np.float32(constant)).any()


def test_baselines_survive_saving_and_predict_whole_clips(training, tmp_path):
    reader = reader_of(training, tmp_path)
    fitted = fit_baselines(training, reader, temporal=4, pixels=8, ridge_penalty=1e-3)
    fitted.save(tmp_path)
    loaded = Baselines.load(tmp_path)
    assert loaded.constant == pytest.approx(fitted.constant)
    clip = make_clip(0)
    before = RidgePredictor(fitted.ridge, reader).predict(clip)
    after = RidgePredictor(loaded.ridge, reader).predict(clip)
    np.testing.assert_array_equal(before.depth, after.depth)
    np.testing.assert_array_equal(before.motion, after.motion)
    assert before.source == "pseudo"
    assert before.tracks is None
    assert before.segmentation is None
    # It learnt something: nearer the truth than the constant is.
    error = np.abs(np.log(before.depth / clip.depth)).mean()
    assert error < np.abs(np.log(fitted.constant / clip.depth)).mean()


def test_still_predictions_have_zero_motion_and_one_size():
    clip = make_clip(0)
    pixel = np.random.default_rng(0).uniform(1, 2, clip.size).astype(np.float32)
    predicted = StillPredictor("pixel_median", pixel).predict(clip)
    assert (predicted.depth == pixel).all()
    assert not predicted.motion.any()
    number = StillPredictor("constant_median", np.full((), 2.5, np.float32)).predict(clip)
    assert (number.depth == 2.5).all()
    with pytest.raises(InvalidClipError, match=r"sphere-0000.*32x32.*pixel_median.*16x32"):
        StillPredictor("pixel_median", pixel[:16]).predict(clip)


def test_a_clip_is_read_once_for_all_that_look_at_it(training, tmp_path):
    reader = reader_of(training, tmp_path)
    clip = training[0]
    first = reader.read(clip)
    assert reader.read(clip) is first
    reader.read(training[1])
    again = reader.read(clip)
    assert reader._model.readings == 3
    torch.testing.assert_close(again.features, first.features, rtol=0, atol=0)


def test_the_noise_a_clip_is_read_at_depends_on_seed_and_clip_alone():
    assert readout_seed(0, "a") == readout_seed(0, "a")
    assert len({readout_seed(s, c) for s in (0, 1) for c in ("a", "b")}) == 4


def test_bad_input_is_named(tmp_path):
    sizes = [make_clip(0), make_clip(1, width=40)]
    with pytest.raises(InvalidClipError, match=r"sphere-0001.*\[32, 40\].*\[32, 32\]"):
        median_depths(store(tmp_path / "sizes", sizes))
    sky = make_clip(0)
    with pytest.raises(DataQualityError, match="finite depth"):
        median_depths(store(tmp_path / "sky", [sky.with_(depth=np.full_like(sky.depth, np.inf))]))
    with pytest.raises(MissingAnnotationError, match=r"sphere-0000.*depth"):
        median_depths(store(tmp_path / "rgb", [sky.with_(depth=None)]))
    with pytest.raises(CheckpointError, match="pipeline=evaluation"):
        Baselines.load(tmp_path)
