"""The latent cache: keyed by content, filled once, resumable."""

import shutil
from pathlib import Path

import pytest
import torch

from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import CheckpointError, InvalidClipError
from phys4d_kedro.world_model.backbones.wan import WanBackbone
from phys4d_kedro.world_model.latents import LatentCache
from tests.factories import make_clip


class CountingBackbone(WanBackbone):
    """Counts the batches of videos it encodes and stops at one of them."""

    encoded = 0
    stop_at: int | None = None

    def encode_video(self, rgb: torch.Tensor) -> torch.Tensor:
        self.encoded += 1
        if self.encoded == self.stop_at:
            raise KeyboardInterrupt
        return super().encode_video(rgb)


def test_cached_is_what_the_backbone_makes(tiny_backbone: Path, clips: ClipStore, tmp_path: Path) -> None:
    backbone = WanBackbone(tiny_backbone)
    latents = LatentCache(tmp_path).fill([clips], backbone)
    assert list(latents.clip_ids) == clips.ids
    expected = backbone.encode_video(torch.from_numpy(clips[3].rgb)[None])
    assert torch.allclose(latents.latents([3]), expected, atol=1e-5)
    first = torch.from_numpy(clips[3].rgb[:1])[None]
    condition = backbone.encode_condition([clips[3].prompt], first, frames=clips[3].frames).tensors()
    cached = latents.conditions([3]).tensors()
    assert cached.keys() == condition.keys() == {"text", "frames"}
    for name, value in condition.items():
        assert torch.allclose(cached[name], value, atol=1e-5)
    assert latents.conditions([0, 2]).text.shape[0] == 2
    assert latents.latents([0, 2]).shape[0] == 2


def test_interrupted_filling_goes_on_where_it_was(
    tiny_backbone: Path, clips: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phys4d_kedro.world_model.latents._BATCH_PIXELS", 2 * clips[0].rgb[..., 0].size)
    cache = LatentCache(tmp_path)
    cut = CountingBackbone(tiny_backbone)
    cut.stop_at = 2  # the second batch of two
    with pytest.raises(KeyboardInterrupt):
        cache.fill([clips], cut)
    with pytest.raises(CheckpointError, match="caching node"):
        cache.open([clips], cut)
    rest = CountingBackbone(tiny_backbone)
    resumed = cache.fill([clips], rest)
    assert rest.encoded == len(clips) // 2 - 1
    whole = LatentCache(tmp_path / "other").fill([clips], rest)
    assert torch.equal(resumed.latents(range(6)), whole.latents(range(6)))


def test_equal_frames_share_an_entry_whatever_their_labels(
    tiny_backbone: Path, clips: ClipStore, tmp_path: Path
) -> None:
    relabelled = [clip.with_(depth=None, motion=None, motion_valid=None) for clip in clips]
    write_shards(relabelled, str(tmp_path / "clips"), clips_per_shard=4)
    cache, backbone = LatentCache(tmp_path / "cache"), CountingBackbone(tiny_backbone)
    cache.fill([clips], backbone)
    encoded = backbone.encoded
    both = cache.fill([clips, ClipStore(str(tmp_path / "clips"))], backbone)
    assert backbone.encoded == encoded
    assert both.latent_keys[:6] == both.latent_keys[6:]


def test_another_autoencoder_never_reads_stale_latents(tiny_backbone: Path, clips: ClipStore, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_backbone, other)
    (other / "vae" / "config.json").write_text((other / "vae" / "config.json").read_text() + "\n")
    cache = LatentCache(tmp_path / "cache")
    first = cache.fill([clips], WanBackbone(tiny_backbone))
    with pytest.raises(CheckpointError):
        cache.open([clips], WanBackbone(other))
    second = cache.fill([clips], WanBackbone(other))
    assert not set(first.latent_keys) & set(second.latent_keys)
    assert first.prompt_keys == second.prompt_keys


def test_clips_of_several_sizes_are_named(tiny_backbone: Path, clips: ClipStore, tmp_path: Path) -> None:
    write_shards([make_clip(9, height=40)], str(tmp_path / "odd"), clips_per_shard=4)
    odd = ClipStore(str(tmp_path / "odd"))
    with pytest.raises(InvalidClipError, match=odd.ids[0]):
        LatentCache(tmp_path / "cache").fill([clips, odd], WanBackbone(tiny_backbone))
