"""A backbone judged: the denoising loss against its definition, and generated clips beside the truth."""

from pathlib import Path

import numpy as np
import pytest
import torch

from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.evaluation.backbone import GeneratedBesideTruth, summarise_backbone
from phys4d_kedro.evaluation.denoising import denoising_losses
from phys4d_kedro.evaluation.generation import judge_generation
from phys4d_kedro.world_model.backbones import load_backbone
from phys4d_kedro.world_model.backbones.base import Backbone, Prediction
from phys4d_kedro.world_model.config import SamplingConfig
from phys4d_kedro.world_model.generation import generate_rgb
from phys4d_kedro.world_model.latents import LatentCache, LatentSet
from phys4d_kedro.world_model.requests import requests_like
from tests.training.conftest import calibrated_backbone, clips, tiny_backbone

__all__ = ["calibrated_backbone", "clips", "tiny_backbone"]


@pytest.fixture(scope="module")
def backbone(calibrated_backbone: Path) -> Backbone:
    return load_backbone(calibrated_backbone)


@pytest.fixture(scope="module")
def latents(clips: ClipStore, backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> LatentSet:
    return LatentCache(tmp_path_factory.mktemp("cache")).fill([clips], backbone)


def test_noise_levels_are_the_middles_of_equal_parts_of_the_training_distribution(
    backbone: Backbone, latents: LatentSet
) -> None:
    losses = denoising_losses(backbone, latents, levels=4, shift=3.0, seed=0)
    assert len(losses) == 6 * 4
    u = np.array([0.125, 0.375, 0.625, 0.875])
    assert sorted(losses["noise_level"].unique()) == pytest.approx((3 * u / (1 + 2 * u)).tolist())


def test_the_loss_of_a_model_that_predicts_nothing_is_the_targets_square(
    backbone: Backbone, latents: LatentSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noise has unit variance and is independent of the clip: E |n - x|^2 = 1 + E x^2."""
    monkeypatch.setattr(backbone, "predict", lambda noisy, *_: Prediction(torch.zeros_like(noisy)))
    losses = denoising_losses(backbone, latents, levels=16, shift=1.0, seed=0)
    clean = latents.latents(range(6))[:, :, 1:]
    assert losses["loss"].mean() == pytest.approx(1 + float(clean.square().mean()), rel=0.05)


def test_the_loss_is_the_same_every_time_and_of_its_own_noise(backbone: Backbone, latents: LatentSet) -> None:
    first, again, other = (denoising_losses(backbone, latents, levels=2, shift=3.0, seed=seed) for seed in (0, 0, 1))
    assert first.equals(again)
    assert (first["loss"] != other["loss"]).all()


def test_generated_clips_are_judged_beside_their_own_truth(
    backbone: Backbone, clips: ClipStore, latents: LatentSet, tmp_path: Path
) -> None:
    sampling = SamplingConfig(steps=1, guidance=1.0, batch_size=4)
    requests = requests_like(clips, [3, 4])
    made = [clip for i in (0, 4, 8) for clip in generate_rgb(backbone, requests[i : i + 4], sampling)]
    write_shards(made, str(tmp_path), clips_per_shard=4)
    judged = list(GeneratedBesideTruth(backbone, ClipStore(str(tmp_path)), clips))
    assert [clip.clip_id for clip in judged] == clips.ids
    for clip, truth in zip(judged, clips, strict=True):
        np.testing.assert_array_equal(clip.truth, truth.rgb)
        assert list(clip.generated) == [3, 4]
        assert clip.reconstructed is not None
        expected = backbone.decode_video(backbone.encode_video(torch.from_numpy(truth.rgb)[None]))[0]
        np.testing.assert_array_equal(clip.reconstructed, expected.numpy())
    np.testing.assert_array_equal(judged[1].generated[4], made[3].rgb)

    scores, features = judge_generation(judged)
    losses = denoising_losses(backbone, latents, levels=2, shift=3.0, seed=0)
    summary = summarise_backbone(losses, scores, features, resamples=50, seed=0)
    assert summary["denoising_loss"]["mean"] == pytest.approx(losses["loss"].mean())
    assert list(summary["denoising_loss"]["by_noise_level"]) == ["0.500", "0.900"]
    assert summary["generation"]["psnr"]["all"]["means"].keys() == {"generated", "copy", "vae"}
