"""What is Open-Sora's own: lengths in chunks, what its transformer is told, no prompt, and its timesteps."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from phys4d_kedro.errors import InvalidClipError
from phys4d_kedro.world_model.backbones import load_backbone
from phys4d_kedro.world_model.backbones.base import Condition, Prediction
from phys4d_kedro.world_model.backbones.opensora import OpenSoraBackbone
from phys4d_kedro.world_model.backbones.taps import layer_ends
from phys4d_kedro.world_model.config import LoadingConfig
from phys4d_kedro.world_model.opensora.scheduler import OpenSoraScheduler
from tests.world_model.opensora.tiny_pipeline import FPS, FRAMES, PROMPTS, SIZE, TINY, video, write

GRID = (3, 4, 6)  # tokens
LEVEL = torch.tensor([0.5])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("opensora"))


@pytest.fixture(scope="module")
def backbone(folder: Path) -> OpenSoraBackbone:
    """Shared: not to be changed."""
    backbone = load_backbone(folder)
    assert isinstance(backbone, OpenSoraBackbone)
    return backbone


def condition_of(backbone: OpenSoraBackbone, given: int = 1, prompt: str = PROMPTS[0]) -> Condition:
    return backbone.encode_condition([prompt], video(given) if given else None, frames=FRAMES)


@contextmanager
def told(backbone: OpenSoraBackbone) -> Iterator[dict[str, Any]]:
    """What the transformer is called with."""
    calls: dict[str, Any] = {}
    hook = backbone.transformer.register_forward_pre_hook(
        lambda _module, _args, named: calls.update(named), with_kwargs=True
    )
    yield calls
    hook.remove()


@pytest.mark.parametrize("frames", range(1, 53))
def test_lengths_are_taken_whose_frames_can_be_told_apart(backbone: OpenSoraBackbone, frames: int) -> None:
    """Either all of a video's latent frames but the first stand for four frames, or it is of whole chunks."""
    if frames in (1, 5, 9, 13, 17, 34, 51):
        backbone.check_size(frames=frames, **SIZE)
    else:
        with pytest.raises(InvalidClipError, match=r"frames must be 1 \+ 4 k up to 17, or multiples of 17"):
            backbone.check_size(frames=frames, **SIZE)


@pytest.mark.parametrize(("frames", "latent_frames"), [(1, 1), (5, 2), (9, 3), (13, 4), (17, 5), (34, 10), (51, 15)])
def test_videos_come_back_as_long_as_they_were(backbone: OpenSoraBackbone, frames: int, latent_frames: int) -> None:
    latents = backbone.encode_video(video(frames))
    assert latents.shape == (1, *backbone.latent_shape(frames=frames, **SIZE))
    assert latents.shape[1:3] == (TINY.latent_channels, latent_frames)
    assert backbone.decode_video(latents).shape == video(frames).shape


def test_latents_are_those_of_the_vae(backbone: OpenSoraBackbone) -> None:
    rgb = video()
    pixels = rgb.permute(0, 4, 1, 2, 3) / 127.5 - 1
    latents = backbone.encode_video(rgb)
    assert torch.allclose(latents, backbone.vae.encode(pixels).latent_dist.mode(), atol=1e-5)
    decoded = ((backbone.vae.decode(latents, num_frames=FRAMES).sample + 1) * 127.5).clamp(0, 255)
    assert (backbone.decode_video(latents) - decoded.movedim(1, -1)).abs().max() <= 0.51


@pytest.mark.parametrize(("given", "clean"), [(0, 0), (1, 1), (5, 2), (9, 3)])
def test_every_frame_has_its_timestep(backbone: OpenSoraBackbone, given: int, clean: int) -> None:
    """Frames that are given stand clean in the place of noise, are told to be so, and count for no loss."""
    condition, latents = condition_of(backbone, given), backbone.encode_video(video(seed=1))
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(2))
    noisy = backbone.add_noise(latents, noise, torch.tensor([0.7]), condition)
    with told(backbone) as calls:
        backbone.predict(noisy, torch.tensor([0.7]), condition)
    assert calls["timestep"].tolist() == [pytest.approx([0.0] * clean + [700.0] * (3 - clean))]
    assert torch.equal(calls["hidden_states"], noisy)
    if clean:
        assert torch.equal(noisy[:, :, :clean], backbone.encode_video(video(given)))
    assert torch.allclose(noisy[:, :, clean:], (0.3 * latents + 0.7 * noise)[:, :, clean:])
    assert backbone.loss_mask(latents, condition).flatten().tolist() == [0.0] * clean + [1.0] * (3 - clean)


@pytest.mark.parametrize("given", [2, 8, 13, 17])
def test_first_frames_that_are_not_taken_are_refused(backbone: OpenSoraBackbone, given: int) -> None:
    with pytest.raises(InvalidClipError, match=rf"{given} frames cannot be given of 9: 1 \+ 4 k up to 17"):
        condition_of(backbone, given)


@pytest.mark.parametrize(("frames", "fps"), [(FRAMES, FPS), (1, 120.0)])
def test_size_and_frame_rate_are_told(backbone: OpenSoraBackbone, frames: int, fps: float) -> None:
    latents = torch.zeros(2, *backbone.latent_shape(frames=frames, **SIZE))
    condition = Condition.stack([condition_of(backbone, 0, prompt) for prompt in PROMPTS])
    with told(backbone) as calls:
        backbone.predict(latents, torch.tensor([0.5, 0.6]), condition)
    assert (calls["height"], calls["width"]) == (SIZE["height"], SIZE["width"])
    assert calls["fps"].tolist() == [fps] * 2
    assert calls["encoder_attention_mask"].sum(1).tolist() == [6, 5]


def test_no_prompt_is_as_long_as_the_prompt(backbone: OpenSoraBackbone) -> None:
    condition = Condition.stack([condition_of(backbone, prompt=prompt) for prompt in PROMPTS])
    away = backbone.unconditional(condition)
    null = backbone.transformer.y_embedder.y_embedding
    assert torch.equal(away.text, torch.stack([null, null]))
    assert torch.equal(away.text_mask, condition.text_mask)
    assert torch.equal(away.frames, condition.frames)
    other = backbone.unconditional(condition, PROMPTS[1])
    expected = condition_of(backbone, prompt=PROMPTS[1])
    assert torch.allclose(other.text, expected.text.expand(2, -1, -1), atol=1e-6)
    assert torch.equal(other.text_mask, expected.text_mask.expand(2, -1))
    assert torch.equal(other.frames, condition.frames)


def test_the_target_is_clean_latents_minus_noise(backbone: OpenSoraBackbone) -> None:
    clean, noise = torch.randn(2, 3, 4, 3, 8, 12, generator=torch.Generator().manual_seed(0)).unbind(0)
    levels, condition = torch.tensor([0.0, 0.4, 1.0]), Condition(torch.zeros(3, 1, 1))
    target = backbone.target(clean, noise, levels)
    assert torch.equal(target, OpenSoraScheduler().get_velocity(clean, noise))
    noisy = backbone.add_noise(clean, noise, levels, condition)
    assert torch.allclose(noisy, OpenSoraScheduler().add_noise(clean, noise, 1000 * levels), atol=1e-6)
    assert torch.allclose(backbone.to_clean(noisy, target, levels), clean, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 9, 34])
def test_a_sampler_goes_through_the_folders_timesteps(backbone: OpenSoraBackbone, frames: int) -> None:
    stepper = backbone.stepper(7, frames=frames, **SIZE, generators=[])
    scheduler = OpenSoraScheduler.from_pretrained(backbone.folder, subfolder="scheduler")
    scheduler.set_timesteps(7, num_frames=frames, **SIZE)
    assert stepper.levels == pytest.approx((scheduler.timesteps / 1000).tolist())
    assert stepper.levels[0] == 1
    assert scheduler.config.transform_scale != 1  # the folder's, not the published
    assert len(backbone.scheduler.timesteps) == 0  # a sampler takes a copy


def finish(backbone: OpenSoraBackbone, reading: Prediction) -> torch.Tensor:
    """The output, of the last layer by its norm, the reading's modulation, and the projection."""
    layer = backbone.transformer.final_layer
    tokens = layer.norm_final(reading.features) * (1 + reading.scale) + reading.shift
    patches = layer.linear(tokens).unflatten(-1, (2, 2, -1))  # B t h w 2 2 C
    return patches.permute(0, 6, 1, 2, 4, 3, 5).flatten(5, 6).flatten(3, 4)[:, : TINY.latent_channels]


@torch.no_grad()
@pytest.mark.parametrize("given", [0, 1])
def test_features_give_the_output(backbone: OpenSoraBackbone, given: int) -> None:
    condition, latents = condition_of(backbone, given), backbone.encode_video(video())
    reading = backbone.predict(latents, LEVEL, condition, features=True)
    for part in (*reading.layers, reading.shift, reading.scale):
        assert part.shape == (1, *GRID, backbone.feature_dim)
        assert part.dtype == torch.float32
    assert torch.equal(reading.output, backbone.predict(latents, LEVEL, condition).output)
    assert torch.allclose(finish(backbone, reading), reading.output, atol=1e-5)
    clean_differs = not torch.allclose(reading.shift[:, 0], reading.shift[:, 1], atol=1e-3)
    assert clean_differs == bool(given)
    assert torch.equal(reading.scale[:, 1], reading.scale[:, 2])


@torch.no_grad()
def test_layers_are_those_after_each_quarter_of_the_pairs(backbone: OpenSoraBackbone) -> None:
    outputs: list[torch.Tensor] = []
    hooks = [
        block.register_forward_hook(lambda _module, _inputs, output: outputs.append(output.unflatten(2, GRID[1:])))
        for block in backbone.transformer.temporal_blocks
    ]
    reading = backbone.predict(backbone.encode_video(video()), LEVEL, condition_of(backbone), features=True)
    for hook in hooks:
        hook.remove()
    for layer, end in zip(reading.layers, layer_ends(TINY.layers), strict=True):
        assert torch.equal(layer, outputs[end])
    assert not torch.allclose(outputs[0], outputs[1], atol=1e-2)


@torch.no_grad()
@pytest.mark.parametrize("place", [(0, 0, 0), (1, 2, 5), (2, 3, 0)])
def test_planted_signal_comes_out_at_its_token(folder: Path, place: tuple[int, int, int]) -> None:
    """Where tokens do not see each other, a token sees its own patch alone."""
    backbone, (t, row, column) = OpenSoraBackbone(folder), place
    for block in [*backbone.transformer.spatial_blocks, *backbone.transformer.temporal_blocks]:
        block.attn.proj.weight.zero_()
        block.attn.proj.bias.zero_()
    latents = backbone.encode_video(video())
    planted = latents.clone()
    planted[:, :, t, 2 * row : 2 * (row + 1), 2 * column : 2 * (column + 1)] += 1
    condition = condition_of(backbone)
    plain = backbone.predict(latents, LEVEL, condition, features=True)
    signal = backbone.predict(planted, LEVEL, condition, features=True)
    for before, after in zip(plain.layers, signal.layers, strict=True):
        assert ((after - before).abs().amax(-1)[0] > 1e-4).nonzero().tolist() == [[t, row, column]]
    changed = ((signal.output - plain.output).abs().amax(1)[0] > 1e-4).nonzero().tolist()
    assert {(k, i // 2, j // 2) for k, i, j in changed} == {place}


def test_lora_targets_are_all_linear_layers_of_blocks(backbone: OpenSoraBackbone) -> None:
    linear = [
        name
        for name, module in backbone.transformer.named_modules()
        if isinstance(module, torch.nn.Linear) and "_blocks." in name
    ]
    assert len(linear) == 7 * 2 * TINY.layers
    assert all(name.endswith(tuple(f".{target}" for target in backbone.lora_targets)) for name in linear)


def test_bf16_changes_little(folder: Path, backbone: OpenSoraBackbone) -> None:
    half, outputs = OpenSoraBackbone(folder, LoadingConfig(dtype="bf16")), []
    latents = backbone.encode_video(video())
    for model in (backbone, half):
        outputs.append(model.predict(latents, LEVEL, condition_of(model)).output)
        assert outputs[-1].dtype == torch.float32
    assert 0 < (outputs[1] - outputs[0]).norm() <= 0.05 * outputs[0].norm()
    assert half.transformer.dtype == torch.bfloat16
