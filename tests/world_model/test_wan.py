"""The Wan backbone: identities of its schedule, its taps, and the errors of bad folders."""

import json
import shutil
import time
from pathlib import Path

import pytest
import torch
from diffusers import WanImageToVideoPipeline
from PIL import Image

from phys4d_kedro.errors import CheckpointError
from phys4d_kedro.world_model.backbones.wan import WanBackbone, _layer_ends, _taps

SIZE = 32


@pytest.fixture(scope="module")
def backbone(tiny_backbone: Path) -> WanBackbone:
    return WanBackbone(tiny_backbone)


def clip(seed: int = 0, frames: int = 9) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (1, frames, SIZE, SIZE, 3), generator=generator, dtype=torch.uint8)


def noise_like(latents: torch.Tensor) -> torch.Tensor:
    return torch.randn(latents.shape, generator=torch.Generator().manual_seed(1))


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


def test_noise_and_target_identities(backbone: WanBackbone) -> None:
    latents = backbone.encode_video(clip())
    noise = noise_like(latents)
    clean = backbone.add_noise(latents, noise, torch.zeros(1))
    assert torch.equal(clean, latents)
    pure = backbone.add_noise(latents, noise, torch.ones(1))
    assert torch.equal(pure[:, :, 1:], noise[:, :, 1:])
    assert torch.equal(pure[:, :, 0], latents[:, :, 0])  # the condition
    level = torch.tensor([0.3])
    noisy = backbone.add_noise(latents, noise, level)
    recovered = noisy - 0.3 * backbone.loss_mask(latents) * backbone.target(latents, noise)
    assert torch.allclose(recovered, latents, atol=1e-5)


def test_velocity_is_the_transformers_own(backbone: WanBackbone) -> None:
    latents = backbone.encode_video(clip())
    embeddings = backbone.encode_prompts(["A red ball rolls left."])
    prediction = backbone.predict(latents, torch.tensor([0.5]), embeddings)
    timestep = torch.tensor([[0.0] * 16 + [500.0] * 32])  # 4 x 4 tokens of the clean frame, then two noisy frames
    assert torch.equal(prediction.velocity, backbone.transformer(latents, timestep, embeddings)[0])


def test_tapped_features_give_the_velocity(tiny_backbone: Path) -> None:
    """Norm, modulation and projection of what is tapped must be what the transformer puts out."""
    backbone = WanBackbone(tiny_backbone)
    transformer = backbone.transformer
    torch.nn.init.normal_(transformer.proj_out.weight, generator=torch.Generator().manual_seed(0))
    latents = backbone.encode_video(clip())
    prediction = backbone.predict(latents, torch.tensor([0.7]), backbone.encode_prompts(["A blue box falls."]))
    table = transformer.scale_shift_table[0]
    tokens = transformer.norm_out(prediction.features) * (1 + table[1] + prediction.time_embedding)
    tokens = transformer.proj_out(tokens + table[0] + prediction.time_embedding)
    patches = tokens.unflatten(-1, (1, 2, 2, 4))[:, :, :, :, 0]  # B t h w 2 2 C
    velocity = patches.permute(0, 6, 1, 2, 4, 3, 5).reshape(prediction.velocity.shape)
    assert torch.allclose(velocity, prediction.velocity, atol=1e-5)


@pytest.mark.parametrize("place", [(0, 0, 0), (1, 2, 3), (2, 3, 0)])
def test_planted_signal_comes_out_at_its_token(tiny_backbone: Path, place: tuple[int, int, int]) -> None:
    """Without self-attention a token sees its own patch alone."""
    t, row, column = place
    backbone = WanBackbone(tiny_backbone)
    embeddings = backbone.encode_prompts(["A blue box falls."])
    latents = torch.zeros(1, 4, 3, SIZE // 4, SIZE // 4)
    planted = latents.clone()
    planted[:, :, t, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = 1
    with torch.no_grad():
        for block in backbone.transformer.blocks:
            block.attn1.to_out[0].weight.zero_()
            block.attn1.to_out[0].bias.zero_()
    plain = backbone.predict(latents, torch.tensor([0.5]), embeddings)
    signal = backbone.predict(planted, torch.tensor([0.5]), embeddings)
    assert signal.layers[-1] is signal.features
    for before, after in zip(plain.layers, signal.layers, strict=True):
        changed = (after - before).abs().sum(-1)[0].nonzero().tolist()
        assert changed == [[t, row, column]]


@pytest.mark.parametrize(("blocks", "last"), [(2, [0, 0, 1, 1]), (6, [1, 2, 4, 5]), (30, [7, 14, 22, 29])])
def test_layers_are_those_after_each_quarter_of_the_blocks(blocks: int, last: list[int]) -> None:
    transformer = torch.nn.Module()
    transformer.condition_embedder = torch.nn.Identity()
    transformer.blocks = torch.nn.ModuleList([torch.nn.Identity() for _ in range(blocks)])
    with _taps(transformer) as tapped:
        for number, block in enumerate(transformer.blocks):
            block(torch.tensor(number))
    assert [int(tapped.tokens[end]) for end in _layer_ends(transformer)] == last


def test_prompts_are_told_apart_and_strange_words_are_read(backbone: WanBackbone) -> None:
    embeddings = backbone.encode_prompts(["A red ball rolls left.", "A blue box falls.", "", "Quizzical zebra, naïve"])
    assert embeddings.shape == (4, 12, 16)
    assert torch.isfinite(embeddings).all()
    distances = torch.cdist(embeddings.flatten(1), embeddings.flatten(1))
    assert (distances + torch.eye(4) > 0.1).all()


def test_stock_pipeline_samples_from_the_folder(tiny_backbone: Path) -> None:
    pipeline = WanImageToVideoPipeline.from_pretrained(tiny_backbone)
    pipeline.set_progress_bar_config(disable=True)
    frames = pipeline(
        image=Image.fromarray(clip()[0, 0].numpy()),
        prompt="A red ball rolls left.",
        height=SIZE,
        width=SIZE,
        num_frames=9,
        num_inference_steps=2,
        guidance_scale=1.0,
        output_type="pt",
        generator=torch.Generator().manual_seed(0),
    ).frames
    assert frames.shape == (1, 9, 3, SIZE, SIZE)
    assert torch.isfinite(frames).all()


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


def test_other_family_is_named(tiny_backbone: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_backbone, copy)
    index = json.loads((copy / "model_index.json").read_text())
    index["_class_name"] = "CogVideoXPipeline"
    (copy / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="CogVideoXPipeline, not a Wan"):
        WanBackbone(copy)


def test_unreachable_hub_is_said_quickly() -> None:
    started = time.monotonic()
    with pytest.raises(CheckpointError, match="could not be fetched from the hub"):
        WanBackbone("Wan-AI/Wan2.2-TI2V-5B-Diffusers")
    assert time.monotonic() - started < 20
