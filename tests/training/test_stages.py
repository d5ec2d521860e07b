"""What a backbone starts from."""

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import CheckpointError
from phys4d_kedro.training import stages
from phys4d_kedro.training.config import BackboneConfig
from phys4d_kedro.world_model.backbones.wan import WanBackbone
from phys4d_kedro.world_model.folders import write_with_component

TRANSFORMER = {
    "noise_shift": 3,
    "prompt_dropout": 0.1,
    "loop": {"steps": 1, "batch_size": 1, "learning_rate": 0.001, "seed": 0},
}
VALIDATION = {
    "levels": 1,
    "clips": 2,
    "samples": 1,
    "sampling": {"steps": 1, "guidance": 1, "batch_size": 1},
    "bootstrap_resamples": 10,
    "seed": 0,
}
NANO = yaml.safe_load(
    "{family: wan, latent_channels: 4, vae_base_dim: 8, vae_decoder_base_dim: 8, layers: 1, heads: 2, head_dim: 16, "
    "ffn_dim: 32, text_dim: 16, prompt_tokens: 12}"
)


def config(initial_weights: str | None) -> BackboneConfig:
    settings = {
        "initial_weights": initial_weights,
        "nano": NANO,
        "autoencoder": None,
        "transformer": TRANSFORMER,
        "validation": VALIDATION,
    }
    return BackboneConfig(**settings, checkpoint_dir="unused", seed=0)


def test_initial_weights_are_taken_as_they_are(tiny_backbone: Path, clips: ClipStore, tmp_path: Path) -> None:
    start, kept = tmp_path / "start", tmp_path / "kept"
    stages.start_backbone(config(str(tiny_backbone)), [clips])(start)
    writer, history = stages.train_autoencoder(start, None, [clips], checkpoints=tmp_path / "checkpoints")
    writer(kept)
    parts = ("vae", "transformer", "text_encoder", "tokenizer")
    assert WanBackbone(kept).fingerprint(*parts) == WanBackbone(tiny_backbone).fingerprint(*parts)
    assert history.empty


def test_a_trained_part_does_not_say_where_it_came_from(tiny_backbone: Path, tmp_path: Path) -> None:
    write_with_component(tiny_backbone, "vae", WanBackbone(tiny_backbone).vae, tmp_path)
    config = (tmp_path / "vae" / "config.json").read_text()
    assert str(tiny_backbone) not in config
    assert WanBackbone(tmp_path).vae.config.z_dim == WanBackbone(tiny_backbone).vae.config.z_dim


def test_missing_initial_weights_are_named(clips: ClipStore, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nothing_there"):
        stages.start_backbone(config(str(tmp_path / "nothing_there")), [clips])


def test_a_backbone_from_nothing_needs_its_autoencoder_trained() -> None:
    with pytest.raises(ValidationError, match="needs its VAE trained"):
        config(None)
