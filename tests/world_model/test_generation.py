"""Generation: what decides a clip, batches, resuming, images of one's own, and what is refused early."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import ConfigurationError, InvalidClipError, MissingAnnotationError
from phys4d_kedro.world_model.backbones import load_backbone
from phys4d_kedro.world_model.config import GenerationConfig, ImageRequest, LoadingConfig, SamplingConfig
from phys4d_kedro.world_model.generation import generate_rgb, generate_worlds, world_source
from phys4d_kedro.world_model.requests import read_images, request_like
from phys4d_kedro.world_model.sampling import initial_noise
from phys4d_kedro.world_model.world_model import WorldModel
from tests.factories import make_clip
from tests.world_model.tiny_heads import write_heads

SAMPLING = SamplingConfig(steps=2, guidance=2.0, batch_size=2)
CONFIG = GenerationConfig(
    clips=3, height=32, width=32, frames=5, fps=4, samples=1, sampling=SAMPLING, noise_level=0.1, seed=0
)


@pytest.fixture(scope="module")
def heads(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_heads(tiny_backbone, tmp_path_factory.mktemp("heads"))


@pytest.fixture(scope="module")
def model(tiny_backbone: Path, heads: Path) -> WorldModel:
    return WorldModel.load(tiny_backbone, heads, noise_level=0.1)


def test_a_generated_clip_is_whole_and_begins_with_its_first_frame(model: WorldModel) -> None:
    true = make_clip(0)
    clip = generate_worlds(model, [request_like(true, 0)], SAMPLING)[0]
    assert clip.rgb.shape == (5, *true.size, 3)
    assert clip.depth is not None
    assert clip.motion is not None
    assert clip.depth.shape == (5, *true.size)
    assert clip.motion.shape == (4, *true.size, 3)
    assert (clip.prompt, clip.scene, clip.category) == (true.prompt, true.scene, true.category)
    assert clip.parameters["reference"] == true.clip_id
    backbone = model.backbone
    first = backbone.decode_video(backbone.encode_video(torch.from_numpy(true.rgb[None, :1])))[0, 0]
    np.testing.assert_array_equal(clip.rgb[0], first.numpy())


def test_a_clip_depends_on_its_request_alone(model: WorldModel) -> None:
    requests = [request_like(make_clip(i), 0) for i in range(3)]
    together = generate_worlds(model, requests, SAMPLING)
    alone = generate_worlds(model, requests[1:2], SAMPLING)[0]
    assert np.abs(together[1].rgb.astype(int) - alone.rgb).max() <= 1
    again = generate_worlds(model, requests, SAMPLING)
    assert [clip.content_hash() for clip in together] == [clip.content_hash() for clip in again]
    other = generate_worlds(model, [request_like(make_clip(1), 1)], SAMPLING)[0]
    assert (other.rgb != alone.rgb).any()


def test_rgb_alone_is_the_same_rgb(model: WorldModel) -> None:
    requests = [request_like(make_clip(i), 0) for i in range(3)]
    videos = [clip.rgb for clip in generate_rgb(model.backbone, requests, SAMPLING)]
    clips = generate_worlds(model, requests, SAMPLING)
    assert len(videos) == 3
    assert np.abs(videos[0].astype(int) - clips[0].rgb).max() <= 1


def test_noise_does_not_depend_on_the_batch(tiny_backbone: Path) -> None:
    backbone = load_backbone(tiny_backbone)
    size = {"frames": 9, "height": 32, "width": 32}
    both = initial_noise(backbone, [3, 4], **size)
    assert torch.equal(both[1], initial_noise(backbone, [4], **size)[0])
    assert both.shape[1:] == backbone.latent_shape(**size)


def test_generation_is_resumed_and_the_same(tiny_backbone: Path, heads: Path, tmp_path: Path) -> None:
    requests = [request_like(make_clip(i), 0) for i in range(4)]

    def source(noise_level: float = 0.1):
        loading = LoadingConfig(device="cpu")
        return world_source(tiny_backbone, heads, requests, SAMPLING, noise_level=noise_level, loading=loading)

    whole, cut = source(), source()
    write_shards(whole, str(tmp_path / "whole"), clips_per_shard=2)
    made: list[int] = []
    make = cut.make

    def stop_at_the_last(index: int):
        made.append(index)
        if index == 3:
            raise KeyboardInterrupt
        return make(index)

    object.__setattr__(cut, "make", stop_at_the_last)
    with pytest.raises(KeyboardInterrupt):
        write_shards(cut, str(tmp_path / "cut"), clips_per_shard=2)
    rest = source()
    make = rest.make
    object.__setattr__(rest, "make", lambda index: made.append(10 + index) or make(index))
    write_shards(rest, str(tmp_path / "cut"), clips_per_shard=2)
    assert made == [0, 1, 2, 3, 12, 13]
    hashes = [[clip.content_hash() for clip in ClipStore(str(tmp_path / name))] for name in ("whole", "cut")]
    assert hashes[0] == hashes[1]
    assert source(0.2).fingerprint != whole.fingerprint


def test_images_are_fitted_and_bad_ones_named(tmp_path: Path) -> None:
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, 20:60] = 255  # the square in the middle
    Image.fromarray(pixels).save(tmp_path / "scene.png")
    asked = [ImageRequest(image=str(tmp_path / "scene.png"), prompt="A ball falls.", field_of_view=90)]
    requests = read_images(CONFIG.model_copy(update={"requests": asked}), range(2))
    assert [request.clip_id for request in requests] == ["scene.sample0", "scene.sample1"]
    assert (requests[0].first_frame[:, 1:-1] == 255).all()  # but for the edge, where the filter sees black
    assert requests[0].intrinsics[1, 1] == pytest.approx(16)  # 90 degrees: focal length is half the height
    assert requests[0].seed != requests[1].seed
    (tmp_path / "text.png").write_text("no image")
    for name in ("text.png", "missing.png"):
        bad = ImageRequest(image=str(tmp_path / name), prompt="")
        with pytest.raises(ConfigurationError, match=name):
            read_images(CONFIG.model_copy(update={"requests": (bad,)}), [0])


def test_a_size_the_model_does_not_make_is_refused_before_sampling(tiny_backbone: Path, heads: Path) -> None:
    odd = replace(request_like(make_clip(0), 0), world_from_camera=np.tile(np.eye(4), (10, 1, 1)))
    with pytest.raises(InvalidClipError, match=r"1 \+ 4 k"):
        world_source(tiny_backbone, heads, [odd], SAMPLING, noise_level=0.1, loading=LoadingConfig(device="cpu"))


def test_a_batch_of_several_sizes_is_refused(model: WorldModel) -> None:
    requests = [request_like(make_clip(0), 0), request_like(make_clip(1, height=40), 0)]
    with pytest.raises(InvalidClipError, match="several sizes"):
        generate_rgb(model.backbone, requests, SAMPLING)


def test_a_clip_without_a_camera_is_named() -> None:
    clip = make_clip(0)
    bare = Clip(clip_id=clip.clip_id, rgb=clip.rgb, fps=clip.fps, source="import")
    with pytest.raises(MissingAnnotationError, match="intrinsics"):
        request_like(bare, 0)
