"""Stage 1: labels, standardisation, and heads that learn what can be read off the features."""

from pathlib import Path

import numpy as np
import pytest
import torch

from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import MissingAnnotationError
from phys4d_kedro.training.config import LoopConfig
from phys4d_kedro.training.heads import HeadsTask, LabelReader, new_heads
from phys4d_kedro.training.loop import fit
from phys4d_kedro.world_model.backbones.wan import WanBackbone
from phys4d_kedro.world_model.labels import read_labels
from phys4d_kedro.world_model.latents import LatentCache
from tests.factories import make_clip


def test_labels_weigh_confidence_and_leave_out_what_is_unknown(tmp_path: Path) -> None:
    clip = make_clip(0)
    assert clip.depth is not None
    depth = clip.depth.copy()
    depth[:, 0, 0] = np.inf
    confidence = np.full(depth.shape, 0.5, np.float32)
    changed = clip.with_(depth=depth, depth_confidence=confidence, motion_confidence=np.full_like(confidence[1:], 0.25))
    write_shards([changed], str(tmp_path), clips_per_shard=1)
    labels = read_labels(ClipStore(str(tmp_path)), clip.clip_id)
    assert float(labels.depth_weight[0, 0, 0, 0]) == 0
    assert float(labels.depth_weight[0, 0, 1, 1]) == 0.5
    assert torch.isfinite(labels.depth).all()
    assert torch.isfinite(labels.motion).all()
    assert clip.motion_valid is not None
    expected = 0.25 * torch.from_numpy(clip.motion_valid & np.isfinite(depth[:-1])).float()
    assert torch.equal(labels.motion_weight[0], expected)


def test_pixels_of_moving_objects_count_more_the_others_as_before(tmp_path: Path) -> None:
    clip = make_clip(0)
    assert clip.segmentation is not None
    write_shards([clip], str(tmp_path), clips_per_shard=1)
    store = ClipStore(str(tmp_path))
    plain, weighed = read_labels(store, clip.clip_id), read_labels(store, clip.clip_id, moving_weight=10)
    sphere = torch.from_numpy(clip.segmentation == 1)[None]  # the wall stands still
    assert sphere.any()
    for frames, name in ((slice(None), "depth_weight"), (slice(-1), "motion_weight")):
        factor = torch.where(sphere[:, frames], 10.0, 1.0)
        assert torch.equal(getattr(weighed, name), getattr(plain, name) * factor)
    write_shards(
        [clip.with_(tracks=None, track_instance=None, track_visible=None)], str(tmp_path / "b"), clips_per_shard=1
    )
    with pytest.raises(MissingAnnotationError, match=clip.clip_id):
        read_labels(ClipStore(str(tmp_path / "b")), clip.clip_id, moving_weight=10)


def test_unlabelled_clip_is_named(tmp_path: Path) -> None:
    clip = make_clip(0).with_(motion=None, motion_valid=None)
    write_shards([clip], str(tmp_path), clips_per_shard=1)
    with pytest.raises(MissingAnnotationError, match=clip.clip_id):
        read_labels(ClipStore(str(tmp_path)), clip.clip_id)


def test_memory_budget_changes_nothing_but_speed(clips: ClipStore) -> None:
    kept, reread = LabelReader(clips, memory=10**9), LabelReader(clips, memory=0)
    for reader in (kept, reread):
        reader.batch([0, 1])
    assert len(kept._kept) == 2
    assert not reread._kept
    assert torch.equal(kept.batch([1, 0]).motion, reread.batch([1, 0]).motion)


def test_targets_are_standardised(tiny_backbone: Path, clips: ClipStore) -> None:
    labels = LabelReader(clips, memory=10**9)
    heads = new_heads(WanBackbone(tiny_backbone), labels, "linear", seed=0)
    batch = labels.batch(range(6))
    for head, values, weight in (
        (heads["depth"], batch.depth, batch.depth_weight),
        (heads["motion"], batch.motion, batch.motion_weight),
    ):
        standard = head.standardise(values)[weight > 0]
        assert torch.allclose(standard.mean(0), torch.zeros(standard.shape[-1]), atol=1e-3)


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        ("linear", {}),
        ("conv", {"hidden": 16, "width": 8, "blocks": 1}),
        ("dpt", {"width": 16, "heads": 2, "cells": 2}),
    ],
)
def test_frozen_backbone_stays_and_heads_learn(
    kind: str, sizes: dict[str, int], calibrated_backbone: Path, clips: ClipStore, tmp_path: Path
) -> None:
    backbone = WanBackbone(calibrated_backbone)
    backbone.transformer.requires_grad_(False)
    before = {key: value.clone() for key, value in backbone.transformer.state_dict().items()}
    labels = LabelReader(clips, memory=10**9)
    heads = new_heads(backbone, labels, kind, seed=0, **sizes)
    latents = LatentCache(tmp_path / "latents").fill([clips], backbone)
    task = HeadsTask(backbone, heads, latents, labels, noise_shift=0.02, depth_weight=1.0, motion_weight=1.0)
    config = LoopConfig(steps=150, batch_size=4, learning_rate=0.01, checkpoint_every=150, log_every=5, seed=0)
    result = fit(task, items=6, config=config, workdir=tmp_path / "run", fingerprint="0" * 64, description="heads")
    for name in ("depth_loss", "motion_loss"):
        assert result.history[name].iloc[-3:].mean() < 0.9 * result.history[name].iloc[0]
    after = backbone.transformer.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
