"""Time in Open-Sora's VAE: padding, causality, chunks, and a reference written out of the published description."""

import pytest
import torch
from torch.nn import functional

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.world_model.opensora.autoencoder import OpenSoraAutoencoder
from phys4d_kedro.world_model.opensora.temporal_autoencoder import TemporalAutoencoder
from tests.world_model.opensora.tiny_autoencoder import build, latents, video

LENGTHS = [(1, 1), (4, 1), (5, 2), (9, 3), (13, 4), (17, 5), (20, 6), (34, 10), (51, 15)]


@pytest.fixture(scope="module")
def vae() -> OpenSoraAutoencoder:
    return build()


@pytest.mark.parametrize(("frames", "compressed"), LENGTHS)
def test_lengths_there_and_back(vae: OpenSoraAutoencoder, frames: int, compressed: int) -> None:
    z = latents(vae, video(frames))
    assert vae.latent_frames(frames) == compressed
    assert z.shape == (1, 4, compressed, 4, 6)
    assert vae.decode(z, frames).sample.shape == (1, 3, frames, 8, 12)


def test_empty_frames_go_in_front(vae: OpenSoraAutoencoder) -> None:
    frames = torch.randn(1, 4, 17, 4, 6, generator=torch.Generator().manual_seed(0))
    padded = torch.cat([torch.zeros(1, 4, 3, 4, 6), frames], 2)
    temporal = vae.temporal_vae
    assert torch.equal(temporal.encode(frames).mean, temporal.encode(padded).mean)
    z = temporal.encode(frames).mean
    assert torch.equal(temporal.decode(z, 17), temporal.decode(z, 20)[:, :, 3:])


def test_chunks_know_nothing_of_each_other(vae: OpenSoraAutoencoder) -> None:
    pixels = video(40)
    z = latents(vae, pixels)
    bounds, compressed = [(0, 17), (17, 34), (34, 40)], [5, 5, 2]
    alone = [latents(vae, pixels[:, :, start:end]) for start, end in bounds]
    assert torch.allclose(z, torch.cat(alone, 2), atol=1e-5)
    whole = vae.decode(z, 40).sample
    parts = zip(z.split(compressed, 2), bounds, strict=True)
    decoded = [vae.decode(part, end - start).sample for part, (start, end) in parts]
    assert torch.allclose(whole, torch.cat(decoded, 2), atol=1e-5)


def without_norms(temporal: TemporalAutoencoder) -> TemporalAutoencoder:
    for module in list(temporal.modules()):
        for name, child in module.named_children():
            if isinstance(child, torch.nn.GroupNorm):
                setattr(module, name, torch.nn.Identity())
    return temporal


def test_convolutions_are_causal() -> None:
    """Latent j sees frames 0 to 4 j alone, as 3 empty ones go before 17; a frame sees no later latent."""
    temporal = without_norms(build().temporal_vae)
    frames = torch.randn(1, 4, 17, 4, 6, generator=torch.Generator().manual_seed(0))
    z = temporal.encode(frames).mean
    for last in range(1, 17):
        changed = frames.clone()
        changed[:, :, last:] += 1
        same = (temporal.encode(changed).mean == z).flatten(3).all(3)[0].all(0)
        assert same.tolist() == [4 * j < last for j in range(5)]
    decoded = temporal.decode(z, 17)
    for first in range(1, 5):
        changed = z.clone()
        changed[:, :, first:] += 1
        same = (temporal.decode(changed, 17) == decoded).flatten(3).all(3)[0].all(0)
        assert same.tolist() == [t + 3 < 4 * first for t in range(17)]


def test_norms_see_the_whole_chunk(vae: OpenSoraAutoencoder) -> None:
    """The published model's group norms average over time, so its latents are causal from chunk to chunk alone."""
    pixels = video(34)
    z = latents(vae, pixels)
    changed = pixels.clone()
    changed[:, :, 30:] = 0
    again = latents(vae, changed)
    assert torch.equal(z[:, :, :5], again[:, :, :5])
    assert not torch.allclose(z[:, :, 5], again[:, :, 5], atol=1e-5)


class Reference:
    """The same mathematics out of a state dict, after the description of the published model."""

    def __init__(self, temporal: TemporalAutoencoder, *, layers: int, groups: int) -> None:
        self.state, self.layers, self.groups = temporal.state_dict(), layers, groups

    def conv(self, name: str, x: torch.Tensor, stride: int = 1) -> torch.Tensor:
        weight = self.state[f"{name}.conv.weight"]
        k = weight.shape[2]
        front = (k - 1) + (1 - stride)
        x = torch.cat([x.new_zeros(*x.shape[:2], front, *x.shape[3:]), x], 2)
        bias = self.state.get(f"{name}.conv.bias")
        return functional.conv3d(x, weight, bias, stride=(stride, 1, 1), padding=(0, k // 2, k // 2))

    def act(self, name: str, x: torch.Tensor) -> torch.Tensor:
        grouped = x.view(x.shape[0], self.groups, -1)
        normed = (grouped - grouped.mean(2, keepdim=True)) / (grouped.var(2, False, keepdim=True) + 1e-5).sqrt()
        weight, bias = (self.state[f"{name}.{part}"].view(1, -1, 1, 1, 1) for part in ("weight", "bias"))
        y = normed.view_as(x) * weight + bias
        return y * y.sigmoid()

    def blocks(self, name: str, x: torch.Tensor) -> torch.Tensor:
        for i in range(self.layers):
            block = f"{name}.{i}"
            y = self.conv(f"{block}.conv1", self.act(f"{block}.norm1", x))
            y = self.conv(f"{block}.conv2", self.act(f"{block}.norm2", y))
            x = y + (self.conv(f"{block}.conv3", x) if f"{block}.conv3.conv.weight" in self.state else x)
        return x

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv("encoder.conv_in", x)
        for i in range(4):
            x = self.blocks(f"encoder.block_res_blocks.{i}", x)
            if i in (1, 2):
                x = self.conv(f"encoder.conv_blocks.{i}", x, stride=2)
        x = self.act("encoder.norm1", self.blocks("encoder.res_blocks", x))
        return self.conv("quant_conv", self.conv("encoder.conv2", x))[:, :4]

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        x = self.conv("decoder.conv1", self.conv("post_quant_conv", z))
        x = self.blocks("decoder.res_blocks", x)
        for i in (3, 2, 1, 0):
            x = self.blocks(f"decoder.block_res_blocks.{i}", x)
            if i in (3, 2):
                y = self.conv(f"decoder.conv_blocks.{i - 1}", x)
                x = torch.stack([y[:, 0::2], y[:, 1::2]], 3).flatten(2, 3)
        return self.conv("decoder.conv_out", self.act("decoder.norm1", x))


def test_the_temporal_vae_is_that_of_the_description(vae: OpenSoraAutoencoder) -> None:
    reference = Reference(vae.temporal_vae, layers=2, groups=2)
    frames = torch.randn(2, 4, 8, 4, 6, generator=torch.Generator().manual_seed(0))
    z = vae.temporal_vae.encode(frames).mean
    assert torch.allclose(z, reference.encode(frames), atol=1e-4)
    assert torch.allclose(vae.temporal_vae.decode(z, 8), reference.decode(z), atol=1e-4)


def test_levels_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"temporal_downsample \[True, True\] must have one entry"):
        build(temporal_downsample=(True, True))
