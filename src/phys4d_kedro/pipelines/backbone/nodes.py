"""Nodes of the backbone pipeline: RGB clips -> a text- and image-to-video diffusion transformer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.training.config import BackboneConfig
from phys4d_kedro.training.latents import LatentCache
from phys4d_kedro.world_model.config import LoadingConfig


def start_backbone(simulated: ClipStore, real: ClipStore, parameters: BackboneConfig) -> Callable[[Path], None]:
    """Take the initial weights, or make random ones with a tokenizer for the clips' prompts."""
    from phys4d_kedro.training import stages

    return stages.start_backbone(parameters, [simulated, real])


def train_autoencoder(
    start: Path, simulated: ClipStore, real: ClipStore, parameters: BackboneConfig
) -> tuple[Callable[[Path], None], pd.DataFrame]:
    """Train the video autoencoder to reconstruct the clips, or keep the one that is there."""
    from phys4d_kedro.training import stages

    return stages.train_autoencoder(
        start, parameters.autoencoder, [simulated, real], checkpoints=Path(parameters.checkpoint_dir)
    )


def cache_latents(
    start: Path, simulated: ClipStore, real: ClipStore, loading: LoadingConfig
) -> Callable[[LatentCache], Any]:
    """Encode the clips' frames and prompts once."""
    from phys4d_kedro.world_model.backbones import load_backbone

    return lambda cache: cache.fill([simulated, real], load_backbone(start, loading))


def train_transformer(
    *,
    start: Path,
    simulated: ClipStore,
    real: ClipStore,
    latents: LatentCache,
    parameters: BackboneConfig,
    loading: LoadingConfig,
) -> tuple[Callable[[Path], None], pd.DataFrame]:
    """Train the transformer to denoise the clips' latents, given the prompt and the first frame."""
    from phys4d_kedro.training import stages

    return stages.train_transformer(
        start,
        parameters.transformer,
        [simulated, real],
        latents,
        checkpoints=Path(parameters.checkpoint_dir),
        loading=loading,
    )
