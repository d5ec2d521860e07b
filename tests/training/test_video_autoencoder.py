"""The VAE's training: calibration, raw decoding, crops, and that it learns."""

from pathlib import Path

import pytest
import torch

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.training.video_autoencoder import (
    AutoencoderTask,
    calibrate_posterior,
    decode_unclamped,
    with_latent_statistics,
)
from phys4d_kedro.world_model.backbones.wan import WanBackbone


@pytest.fixture
def videos(clips: ClipStore) -> list[torch.Tensor]:
    return [torch.from_numpy(clip.rgb) for clip in clips]


def pixels(video: torch.Tensor) -> torch.Tensor:
    return video.permute(3, 0, 1, 2)[None].float() / 127.5 - 1


def test_raw_decoding_is_the_library_decoding_before_its_clamp(tiny_backbone: Path, videos: list[torch.Tensor]) -> None:
    vae = WanBackbone(tiny_backbone).vae
    latents = vae.encode(pixels(videos[0])).latent_dist.mode()
    with torch.no_grad():
        vae.decoder.conv_out.weight.mul_(20)  # so that the clamp bites
        raw, clamped = decode_unclamped(vae, latents), vae.decode(latents).sample
    assert (raw.abs() > 1).any()
    assert torch.equal(raw.clamp(-1, 1), clamped)


def test_calibrated_latents_have_unit_variance_and_narrow_posteriors(
    tiny_backbone: Path, videos: list[torch.Tensor]
) -> None:
    vae = WanBackbone(tiny_backbone).vae
    calibrate_posterior(vae, videos)
    with torch.no_grad():
        posteriors = [vae.encode(pixels(video)).latent_dist for video in videos]
    means = torch.cat([p.mean.transpose(0, 1).flatten(1) for p in posteriors], 1)
    assert torch.allclose(means.std(1), torch.ones(4), atol=0.02)
    assert torch.allclose(means.mean(1), torch.zeros(4), atol=0.02)
    assert 0.03 < float(torch.cat([p.std.flatten() for p in posteriors]).mean()) < 0.08


def test_normalised_latents_have_unit_variance(tiny_backbone: Path, videos: list[torch.Tensor], tmp_path: Path) -> None:
    backbone = WanBackbone(tiny_backbone)
    backbone.__dict__["vae"] = with_latent_statistics(backbone.vae, videos)
    latents = torch.cat([backbone.encode_video(video[None])[:, :, 1:] for video in videos])
    values = latents.transpose(0, 1).flatten(1)
    assert torch.allclose(values.mean(1), torch.zeros(4), atol=1e-3)
    assert torch.allclose(values.std(1), torch.ones(4), atol=1e-3)


def test_crops_favour_what_moves() -> None:
    video = torch.full((5, 64, 64, 3), 90, dtype=torch.uint8)
    for t in range(5):
        video[t, 4:10, 50 + t : 56 + t] = 250
    task = AutoencoderTask(torch.nn.Identity(), [video], crop=16, saliency_weight=4.0, kl_weight=0.0)
    generator = torch.Generator().manual_seed(0)
    crops = [task._crop(video, generator) for _ in range(40)]
    seen = [bool((crop > 0.5).any()) for crop, _ in crops]
    assert sum(seen) > 20  # uniform crops would see the object in about one of ten
    for crop, weight in crops:
        assert crop.shape == (3, 5, 16, 16)
        assert float(weight.mean()) == pytest.approx(1.0, abs=1e-5)


def test_autoencoder_learns(tiny_backbone: Path, videos: list[torch.Tensor]) -> None:
    vae = WanBackbone(tiny_backbone).vae.requires_grad_(True)
    calibrate_posterior(vae, videos)
    task = AutoencoderTask(vae, videos, crop=16, saliency_weight=2.0, kl_weight=1e-5)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=3e-3)
    losses = []
    for step in range(30):
        loss, figures = task.loss([step % 6, (step + 3) % 6], torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        assert figures["psnr"] > 0
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
