"""A tiny backbone and a few labelled clips, written once a session."""

from pathlib import Path

import pytest
import torch

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.training.video_autoencoder import calibrate_posterior, with_latent_statistics
from phys4d_kedro.world_model.backbones.wan import WanBackbone
from phys4d_kedro.world_model.folders import write_with_component
from phys4d_kedro.world_model.nano.wan import build_nano_wan
from tests.world_model.conftest import TINY, clips

__all__ = ["clips"]


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny_wan")
    build_nano_wan(folder, TINY, prompts=["A red ball rolls left."], seed=0)
    return folder


@pytest.fixture(scope="session")
def calibrated_backbone(tiny_backbone: Path, clips: ClipStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny backbone with latents of unit variance, so that features carry more signal than noise."""
    vae = WanBackbone(tiny_backbone).vae
    videos = [torch.from_numpy(clip.rgb) for clip in clips]
    calibrate_posterior(vae, videos)
    folder = tmp_path_factory.mktemp("calibrated")
    write_with_component(tiny_backbone, "vae", with_latent_statistics(vae, videos), folder)
    return folder
