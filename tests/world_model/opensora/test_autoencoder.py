"""The video VAE of Open-Sora: its published sizes and names, its latents, and what saves memory."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL

from phys4d_kedro.errors import ConfigurationError, InvalidClipError
from phys4d_kedro.world_model.opensora.autoencoder import OpenSoraAutoencoder
from tests.world_model.opensora.tiny_autoencoder import build, latents, video


@pytest.fixture(scope="module")
def vae() -> OpenSoraAutoencoder:
    return build()


# The published model


@pytest.fixture(scope="module")
def published() -> OpenSoraAutoencoder:
    with torch.device("meta"):
        return OpenSoraAutoencoder()


def test_the_published_sizes_have_as_many_parameters(published: OpenSoraAutoencoder) -> None:
    """The model's page says 84 M and about 300 M."""
    assert published.spatial_vae.module.num_parameters() == 83_653_863
    assert sum(parameter.numel() for parameter in published.temporal_vae.parameters()) == 309_687_144


PUBLISHED_SHAPES = {
    "shift": (1, 4, 1, 1, 1),
    "scale": (1, 4, 1, 1, 1),
    "spatial_vae.module.encoder.conv_in.weight": (128, 3, 3, 3),
    "spatial_vae.module.encoder.down_blocks.3.resnets.1.conv2.weight": (512, 512, 3, 3),
    "spatial_vae.module.encoder.mid_block.attentions.0.to_q.weight": (512, 512),
    "spatial_vae.module.decoder.up_blocks.2.resnets.0.conv_shortcut.weight": (256, 512, 1, 1),
    "spatial_vae.module.decoder.up_blocks.3.resnets.2.conv1.weight": (128, 128, 3, 3),
    "spatial_vae.module.quant_conv.weight": (8, 8, 1, 1),
    "spatial_vae.module.post_quant_conv.bias": (4,),
    "temporal_vae.encoder.conv_in.conv.weight": (128, 4, 3, 3, 3),
    "temporal_vae.encoder.block_res_blocks.0.3.conv2.conv.weight": (128, 128, 3, 3, 3),
    "temporal_vae.encoder.block_res_blocks.1.0.norm1.weight": (128,),
    "temporal_vae.encoder.block_res_blocks.1.0.conv1.conv.weight": (256, 128, 3, 3, 3),
    "temporal_vae.encoder.block_res_blocks.1.0.norm2.bias": (256,),
    "temporal_vae.encoder.block_res_blocks.1.0.conv3.conv.weight": (256, 128, 1, 1, 1),
    "temporal_vae.encoder.block_res_blocks.3.0.conv3.conv.weight": (512, 256, 1, 1, 1),
    "temporal_vae.encoder.conv_blocks.1.conv.weight": (256, 256, 3, 3, 3),
    "temporal_vae.encoder.conv_blocks.2.conv.bias": (256,),
    "temporal_vae.encoder.res_blocks.3.conv2.conv.weight": (512, 512, 3, 3, 3),
    "temporal_vae.encoder.norm1.weight": (512,),
    "temporal_vae.encoder.conv2.conv.weight": (8, 512, 1, 1, 1),
    "temporal_vae.encoder.conv2.conv.bias": (8,),
    "temporal_vae.quant_conv.conv.weight": (8, 8, 1, 1, 1),
    "temporal_vae.post_quant_conv.conv.weight": (4, 4, 1, 1, 1),
    "temporal_vae.decoder.conv1.conv.weight": (512, 4, 3, 3, 3),
    "temporal_vae.decoder.conv1.conv.bias": (512,),
    "temporal_vae.decoder.res_blocks.0.conv1.conv.weight": (512, 512, 3, 3, 3),
    "temporal_vae.decoder.block_res_blocks.3.0.conv1.conv.weight": (512, 512, 3, 3, 3),
    "temporal_vae.decoder.block_res_blocks.2.0.conv3.conv.weight": (256, 512, 1, 1, 1),
    "temporal_vae.decoder.block_res_blocks.0.0.conv3.conv.weight": (128, 256, 1, 1, 1),
    "temporal_vae.decoder.conv_blocks.2.conv.weight": (1024, 512, 3, 3, 3),
    "temporal_vae.decoder.conv_blocks.1.conv.bias": (512,),
    "temporal_vae.decoder.norm1.bias": (128,),
    "temporal_vae.decoder.conv_out.conv.weight": (4, 128, 3, 3, 3),
    "temporal_vae.decoder.conv_out.conv.bias": (4,),
}
ABSENT = [  # convolutions without bias, blocks without a change of width, levels that time passes as it is
    "temporal_vae.encoder.conv_in.conv.bias",
    "temporal_vae.encoder.block_res_blocks.1.0.conv1.conv.bias",
    "temporal_vae.encoder.block_res_blocks.0.0.conv3.conv.weight",
    "temporal_vae.encoder.block_res_blocks.2.0.conv3.conv.weight",
    "temporal_vae.encoder.conv_blocks.0.conv.weight",
    "temporal_vae.decoder.conv_blocks.0.conv.weight",
    "temporal_vae.decoder.block_res_blocks.1.0.conv3.conv.weight",
]


def test_the_names_are_the_published_ones(published: OpenSoraAutoencoder) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in published.state_dict().items()}
    assert {name: shapes.get(name) for name in PUBLISHED_SHAPES} == PUBLISHED_SHAPES
    assert not set(ABSENT) & set(shapes)
    # 24 residual blocks of 6 tensors in both halves, and 2 and 2 of them with a skip of its own
    temporal = [name for name in shapes if name.startswith("temporal_vae.")]
    assert len(temporal) == (20 * 6 + 2 + 1 + 4 + 4) + (20 * 6 + 2 + 2 + 4 + 4) + 4


def test_a_file_of_it_is_as_long_as_the_published_one(published: OpenSoraAutoencoder) -> None:
    """1,573,430,548 bytes, the size of model.safetensors at hpcai-tech/OpenSora-VAE-v1.2: names and shapes fit."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in sorted(published.state_dict().items()):
        start, end = end, end + 4 * tensor.numel()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [start, end]}
    length = len(json.dumps(header, separators=(",", ":")))
    assert 8 + length + -length % 8 + end == 1_573_430_548


def test_the_published_compression(published: OpenSoraAutoencoder) -> None:
    assert (published.temporal_compression, published.spatial_compression) == (4, 8)


# Latents


def test_latents_are_normalised_by_channel(vae: OpenSoraAutoencoder) -> None:
    """From pixels to latents by diffusers' image VAE, the temporal one, and arithmetic; and back."""
    pixels = video(9)
    images: AutoencoderKL = vae.spatial_vae.module
    frames = images.encode(pixels[0].transpose(0, 1)).latent_dist.mode() * 0.18215
    z = vae.temporal_vae.encode(frames.transpose(0, 1)[None]).mode()
    normalised = latents(vae, pixels)
    for channel, (shift, scale) in enumerate([(-0.10, 3.85), (0.34, 2.32), (0.27, 2.33), (0.98, 3.06)]):
        assert torch.allclose(normalised[:, channel], (z[:, channel] - shift) / scale, atol=1e-5)
    frames = vae.temporal_vae.decode(z, 9)[0].transpose(0, 1)
    expected = images.decode(frames / 0.18215).sample.transpose(0, 1)[None]
    assert torch.allclose(vae.decode(normalised, 9).sample, expected, rtol=1e-4, atol=1e-4)


def test_the_mode_is_without_noise_and_a_sample_has_that_of_both_vaes(vae: OpenSoraAutoencoder) -> None:
    posterior = vae.encode(video(5)).latent_dist
    assert torch.equal(posterior.mode(), posterior.mode())
    first, again, other = (posterior.sample(torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


@pytest.mark.parametrize("certain", ["spatial", "temporal", "both"])
def test_both_vaes_add_noise_to_a_sample(certain: str) -> None:
    """A posterior of next to no variance, as a log-variance of -30 makes it, adds none."""
    vae = build()
    last = {"spatial": vae.spatial_vae.module.quant_conv, "temporal": vae.temporal_vae.quant_conv.conv}
    for name, convolution in last.items():
        if certain in (name, "both"):
            convolution.weight[4:] = 0
            convolution.bias[4:] = -30
    posterior = vae.encode(video(5)).latent_dist
    assert torch.allclose(posterior.sample(), posterior.mode(), atol=1e-4) == (certain == "both")


# Memory


@pytest.mark.parametrize("batch", [1, 2])
def test_micro_batches_change_nothing(vae: OpenSoraAutoencoder, batch: int) -> None:
    one = build(micro_batch_size=1)
    pixels = video(9, batch=batch)
    z = latents(vae, pixels)
    assert torch.allclose(z, latents(one, pixels), atol=1e-5)
    assert torch.allclose(vae.decode(z, 9).sample, one.decode(z, 9).sample, atol=1e-4)


def test_clips_of_a_batch_do_not_mix(vae: OpenSoraAutoencoder) -> None:
    pixels = video(9, batch=2)
    z = latents(vae, pixels)
    assert torch.allclose(z[1:], latents(vae, pixels[1:]), atol=1e-5)
    assert torch.allclose(vae.decode(z, 9).sample[1:], vae.decode(z[1:], 9).sample, atol=1e-4)


def test_slicing_takes_frames_one_at_a_time() -> None:
    vae = build()
    sizes: list[int] = []
    vae.spatial_vae.module.encoder.register_forward_pre_hook(lambda _, args: sizes.append(args[0].shape[0]))
    whole = latents(vae, video(9))
    assert sizes == [5, 4]
    vae.enable_slicing()
    assert torch.allclose(latents(vae, video(9)), whole, atol=1e-5)
    assert sizes[2:] == [1] * 9


def test_tiling_takes_tiles_of_a_large_frame() -> None:
    vae = build()
    sizes: list[int] = []
    vae.spatial_vae.module.encoder.register_forward_pre_hook(lambda _, args: sizes.append(max(args[0].shape[2:])))
    vae.enable_tiling()
    pixels = torch.rand(1, 3, 2, 32, 48, generator=torch.Generator().manual_seed(0))
    z = latents(vae, pixels)
    assert max(sizes) == 16
    assert z.shape == (1, 4, 1, 16, 24)
    assert vae.decode(z, 2).sample.shape == pixels.shape


def test_gradient_checkpointing_computes_blocks_again_and_the_same_gradients() -> None:
    gradients, calls = [], []
    for checkpointed in (False, True):
        vae = build().requires_grad_(True)
        if checkpointed:
            vae.enable_gradient_checkpointing()
        called: list[int] = []
        for name, module in vae.temporal_vae.named_modules():
            if name.endswith("conv1.conv"):
                module.register_forward_pre_hook(lambda *_, called=called: called.append(1))
        vae.decode(latents(vae, video(5)), 5).sample.square().mean().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in vae.parameters() if p.grad is not None]))
        calls.append(len(called))
    assert torch.allclose(*gradients, rtol=1e-4, atol=1e-6)
    blocks, first = 2 * (4 + 1) * 2, 1  # in both halves; the decoder's first convolution is not computed again
    assert calls == [blocks + first, 2 * blocks + first]


# Files and errors


def test_saved_and_loaded(vae: OpenSoraAutoencoder, tmp_path: Path) -> None:
    changed = build()
    changed.shift.fill_(0.5)  # as a checkpoint of other data has it
    changed.save_pretrained(tmp_path)
    loaded = OpenSoraAutoencoder.from_pretrained(tmp_path)
    assert torch.allclose(latents(loaded, video(5)), latents(changed, video(5)), atol=1e-5)
    assert not torch.allclose(latents(loaded, video(5)), latents(vae, video(5)))
    assert json.loads((tmp_path / "config.json").read_text())["_class_name"] == "OpenSoraAutoencoder"


def test_half_precision(tmp_path: Path) -> None:
    build().save_pretrained(tmp_path)
    half = OpenSoraAutoencoder.from_pretrained(tmp_path, dtype=torch.bfloat16)
    z = latents(half, video(5).bfloat16())
    assert z.dtype == half.decode(z, 5).sample.dtype == torch.bfloat16


def test_frames_that_do_not_fit_are_refused(vae: OpenSoraAutoencoder) -> None:
    with pytest.raises(InvalidClipError, match=r"8x13 pixels .* multiples of 2"):
        vae.encode(torch.zeros(1, 3, 5, 8, 13))


def test_a_wrong_number_of_frames_is_refused(vae: OpenSoraAutoencoder) -> None:
    with pytest.raises(InvalidClipError, match="9 frames have 3 latent frames, not 2"):
        vae.decode(torch.zeros(1, 4, 2, 4, 6), 9)


def test_statistics_of_other_channels_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"4 latent channels .* not 1 and 4"):
        build(latent_shift=(0.0,))
