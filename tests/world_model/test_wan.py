"""What is Wan's own: its causal latents, timesteps and given frames; and taps and the errors of bad folders."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from phys4d_kedro.errors import CheckpointError, InvalidClipError
from phys4d_kedro.world_model.backbones import load_backbone
from phys4d_kedro.world_model.backbones.taps import taps
from phys4d_kedro.world_model.backbones.wan import WanBackbone
from tests.world_model.families import FORMS, Form, randomise

SIZE = 32


@pytest.fixture(scope="module")
def backbone(tiny_backbone: Path) -> WanBackbone:
    backbone = WanBackbone(tiny_backbone)
    randomise(backbone.transformer)  # which puts out zeros before it is trained
    return backbone


def clip(seed: int = 0, frames: int = 9) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (1, frames, SIZE, SIZE, 3), generator=generator, dtype=torch.uint8)


def test_latents_are_compressed_and_causal(backbone: WanBackbone) -> None:
    video = clip()
    latents = backbone.encode_video(video)
    assert latents.shape == (1, 4, 3, SIZE // 4, SIZE // 4)
    changed = video.clone()
    changed[:, 5:] = 0
    again = backbone.encode_video(changed)
    assert torch.equal(latents[:, :, :2], again[:, :, :2])
    assert not torch.allclose(latents[:, :, 2], again[:, :, 2])
    assert backbone.decode_video(latents).shape == video.shape
    assert backbone.decode_video(latents).dtype == torch.uint8


def test_every_token_has_its_timestep(backbone: WanBackbone) -> None:
    """Where a given frame stands in the place of noise its tokens are told that they are clean."""
    latents = backbone.encode_video(clip())
    condition = backbone.encode_condition(["A red ball rolls left."], clip()[:, :1], frames=9)
    told = torch.tensor([[0.0] * 16 + [500.0] * 32])  # 4 x 4 tokens of the clean frame, then two noisy frames
    expected = backbone.transformer(latents, told, condition.text)[0]
    assert torch.equal(backbone.predict(latents, torch.tensor([0.5]), condition).output, expected)
    alone = backbone.encode_condition(["A red ball rolls left."], None, frames=9)
    expected = backbone.transformer(latents, torch.full((1, 48), 500.0), condition.text)[0]
    assert torch.equal(backbone.predict(latents, torch.tensor([0.5]), alone).output, expected)


@pytest.mark.parametrize("given", [1, 5, 9])
def test_given_frames_are_marked_beside_the_noisy_ones(folder_of: Callable[[Form], Path], given: int) -> None:
    """Wan 2.1 I2V: four channels say which of a latent frame's pixel frames are given; the first stands for one."""
    backbone = WanBackbone(folder_of(next(form for form in FORMS if form.name == "Wan 2.1 I2V")))
    video = clip()
    condition = backbone.encode_condition(["A red ball rolls left."], video[:, :given], frames=9)
    mask, latents = condition.frames.split([4, 4], 1)
    latent_frames = (given - 1) // 4 + 1
    assert (mask[:, :, :latent_frames] == 1).all()
    assert (mask[:, :, latent_frames:] == 0).all()
    grey = torch.cat([video[:, :given].float(), torch.full_like(video[:, given:].float(), 127.5)], 1)
    pixels = (grey / 127.5 - 1).permute(0, 4, 1, 2, 3)
    assert torch.allclose(latents, backbone.vae.encode(pixels).latent_dist.mode(), atol=1e-5)
    with pytest.raises(InvalidClipError, match=r"cannot be given of 5: 1 \+ 4 k can"):
        backbone.encode_condition(["A red ball rolls left."], video, frames=5)


@pytest.mark.parametrize(("blocks", "last"), [(2, [0, 0, 1, 1]), (6, [1, 2, 4, 5]), (30, [7, 14, 22, 29])])
def test_layers_are_those_after_each_quarter_of_the_blocks(blocks: int, last: list[int]) -> None:
    modules = torch.nn.ModuleList([torch.nn.Identity() for _ in range(blocks)])
    end = torch.nn.Identity()
    with taps(modules, {"end": end}) as tapped:
        for number, block in enumerate([*modules, end]):
            block(torch.tensor(number))
    assert [int(layer) for layer in tapped.layers(blocks)] == last
    assert int(tapped.modules["end"]) == blocks
    modules[last[0]](torch.tensor(-1))
    assert int(tapped.blocks[last[0]]) == last[0]  # the taps are gone


def test_fingerprint_follows_content(tiny_backbone: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_backbone, copy)
    assert WanBackbone(copy).fingerprint("vae") == WanBackbone(tiny_backbone).fingerprint("vae")
    config = copy / "vae" / "config.json"
    config.write_text(config.read_text() + " ")
    assert WanBackbone(copy).fingerprint("vae") != WanBackbone(tiny_backbone).fingerprint("vae")
    assert WanBackbone(copy).fingerprint("transformer") == WanBackbone(tiny_backbone).fingerprint("transformer")


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no model folder"):
        WanBackbone(tmp_path / "nothing")


def test_partial_folder_is_named(tiny_backbone: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_backbone, copy)
    shutil.rmtree(copy / "tokenizer")
    with pytest.raises(CheckpointError, match="it has no tokenizer"):
        WanBackbone(copy)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"_class_name": "CogVideoXPipeline"}, "CogVideoXPipeline, not a Wan"),
        ({"transformer_2": ["diffusers", "WanTransformer3DModel"]}, "two transformers"),
    ],
)
def test_models_that_are_not_taken_are_refused(
    tiny_backbone: Path, tmp_path: Path, values: dict[str, object], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        WanBackbone(with_index(tiny_backbone, tmp_path / "copy", **values))


def test_an_unknown_family_is_named_with_the_known_ones(tiny_backbone: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds a MochiPipeline; .* Wan, CogVideoX, OpenSora"):
        load_backbone(with_index(tiny_backbone, tmp_path / "copy", _class_name="MochiPipeline"))


def with_index(folder: Path, target: Path, **values: object) -> Path:
    """A copy of a folder with other values in its model_index.json."""
    shutil.copytree(folder, target)
    index = json.loads((target / "model_index.json").read_text())
    (target / "model_index.json").write_text(json.dumps({**index, **values}))
    return target


def test_unreachable_hub_is_said_quickly() -> None:
    started = time.monotonic()
    with pytest.raises(CheckpointError, match="could not be fetched from the hub"):
        WanBackbone("Wan-AI/Wan2.2-TI2V-5B-Diffusers")
    assert time.monotonic() - started < 20
