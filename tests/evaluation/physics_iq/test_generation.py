"""The videos that the benchmark asks for: names, length, rate, resuming, and what belongs to another model."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from phys4d_kedro.errors import ConfigurationError, InvalidClipError
from phys4d_kedro.evaluation.physics_iq.config import PhysicsIqGenerationConfig
from phys4d_kedro.evaluation.physics_iq.evaluate import evaluate
from phys4d_kedro.evaluation.physics_iq.generation import choose_frames, generate_videos, resample, video_request
from phys4d_kedro.evaluation.physics_iq.layout import read_dataset
from phys4d_kedro.evaluation.physics_iq.videos import probe
from phys4d_kedro.reporting.video import encode_mp4
from phys4d_kedro.world_model.backbones import load_backbone
from phys4d_kedro.world_model.backbones.base import Backbone
from phys4d_kedro.world_model.config import SamplingConfig
from phys4d_kedro.world_model.nano.wan import build_nano_wan
from tests.evaluation.physics_iq.official_set import VIEWS, Configure, OfficialSet
from tests.world_model.families import PROMPTS, TINY

ENCODE = partial(encode_mp4, least_side=1)
SAMPLING = SamplingConfig(steps=1, guidance=1.0, batch_size=2)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    folder = tmp_path_factory.mktemp("tiny_wan")
    build_nano_wan(folder, TINY, prompts=PROMPTS, seed=0)
    return load_backbone(folder)


@pytest.fixture
def official(tmp_path: Path) -> OfficialSet:
    return OfficialSet(tmp_path / "physics-iq", tmp_path / "generated").write(switch_frames=True)


def config(official: OfficialSet, **changes: Any) -> PhysicsIqGenerationConfig:
    values: dict[str, Any] = {
        "dataset_dir": str(official.root),
        "generated_dir": str(official.generated),
        "seeds": (3,),
        "scenarios": ("ball-falls",),
        "height": 32,
        "width": 48,
        "fps": 8,
        "seconds": 0.5,
    }
    return PhysicsIqGenerationConfig(**(values | changes))


def test_each_moment_shows_the_nearest_frame(official: OfficialSet) -> None:
    frames = np.arange(9, dtype=np.uint8)[:, None, None, None]
    slower, same = config(official, fps=8, seconds=1), config(official, fps=30, seconds=0.2)
    shown = resample(frames, slower).ravel()
    assert len(shown) == 30
    for j, index in enumerate(shown):
        assert abs(index / 8 - j / 30) <= 1 / 16 + 1e-9
    np.testing.assert_array_equal(resample(frames, same).ravel(), range(6))


def test_the_switch_frame_is_stretched_and_the_noise_is_the_views_own(official: OfficialSet) -> None:
    dataset = read_dataset(official.root)
    images = dataset.switch_frames(dataset.views)
    first, second = dataset.views[:2]
    request = video_request(first, images[first.name], 3, 5, config(official))
    with Image.open(images[first.name]) as image:
        expected = np.asarray(image.resize((48, 32), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(request.first_frame, expected)
    assert (request.prompt, request.frames) == ("In ball-falls, things move.", 5)
    seeds = {
        video_request(view, images[view.name], seed, 5, config(official)).seed
        for view in (first, second)
        for seed in (3, 4)
    }
    assert len(seeds) == 4
    assert request.seed in seeds


def test_frames_are_the_fewest_that_fit(official: OfficialSet, backbone: Backbone) -> None:
    assert choose_frames(backbone, config(official)) == 5  # 4 fill the time, and 1 + 4k fit
    assert choose_frames(backbone, config(official, frames=9)) == 9
    with pytest.raises(InvalidClipError):
        choose_frames(backbone, config(official, frames=8))
    with pytest.raises(ValidationError, match="at least 4 frames"):
        config(official, frames=3)


def test_videos_are_made_once_whole_and_scored(official: OfficialSet, backbone: Backbone, configure: Configure) -> None:
    folder = official.generated / "seed_3"
    names = [official.name("ball-falls", view) for view in VIEWS]
    made = generate_videos(backbone, config(official), SAMPLING, ENCODE)
    assert made["seeds"] == {"3": {"videos": 3, "new": 3}}
    assert sorted(path.name for path in folder.glob("[!.]*")) == names
    for name in names:
        info = probe(folder / name)
        assert (info.frames, info.fps, info.height, info.width) == (15, 30, 32, 48)
    content = {name: (folder / name).read_bytes() for name in names}
    assert len(set(content.values())) == 3

    (folder / names[1]).unlink()
    kept = (folder / names[0]).stat().st_mtime_ns
    again = generate_videos(backbone, config(official, seeds=(3, 4)), SAMPLING, ENCODE)
    assert again["seeds"] == {"3": {"videos": 3, "new": 1}, "4": {"videos": 3, "new": 3}}
    assert (folder / names[0]).stat().st_mtime_ns == kept
    other = official.generated / "seed_4"
    assert all((other / name).read_bytes() != content[name] for name in names)

    evaluation = evaluate(configure())
    assert {run: len(records) for run, records in evaluation.records.items()} == {"seed_3": 3, "seed_4": 3}
    assert {p.kind for p in evaluation.problems if p.effect == "left out"} == {"missing"}


def test_videos_of_other_settings_are_not_mixed(official: OfficialSet, backbone: Backbone) -> None:
    generate_videos(backbone, config(official), SAMPLING, ENCODE)
    with pytest.raises(ConfigurationError, match="another model or other settings"):
        generate_videos(backbone, config(official, fps=6), SAMPLING, ENCODE)


def test_what_is_missing_is_named(official: OfficialSet, backbone: Backbone) -> None:
    with pytest.raises(ConfigurationError, match="no sun-rises"):
        generate_videos(backbone, config(official, scenarios=("sun-rises",)), SAMPLING, ENCODE)
    next((official.root / "switch-frames").glob("0001*")).unlink()
    with pytest.raises(ConfigurationError, match="0001_perspective-left"):
        generate_videos(backbone, config(official), SAMPLING, ENCODE)
    (official.root / "descriptions.csv").unlink()
    with pytest.raises(ConfigurationError, match="prompts"):
        generate_videos(backbone, config(official), SAMPLING, ENCODE)
