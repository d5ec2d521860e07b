"""A tiny Wan backbone of the real classes, written once a session."""

from pathlib import Path

import pytest

from phys4d_kedro.world_model.config import NanoWanConfig
from phys4d_kedro.world_model.nano import build_nano_wan

TINY = NanoWanConfig(
    latent_channels=4,
    vae_base_dim=8,
    vae_decoder_base_dim=8,
    layers=2,
    heads=2,
    head_dim=16,
    ffn_dim=32,
    text_dim=16,
    prompt_tokens=12,
)


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny_wan")
    build_nano_wan(folder, TINY, prompts=["A red ball rolls left.", "A blue box falls."], seed=0)
    return folder
