"""Nodes of the backbone pipeline: RGB clips -> a text- and image-to-video diffusion transformer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.training.config import BackboneConfig
from phys4d_kedro.world_model.config import LoadingConfig
from phys4d_kedro.world_model.latents import LatentCache


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


def generate_heldout_clips(
    backbone: Path, heldout: ClipStore, parameters: BackboneConfig, loading: LoadingConfig
) -> ClipSource:
    """Generate what happens after held-out first frames, given their prompts; RGB alone."""
    from phys4d_kedro.evaluation.evaluate import choose_examples
    from phys4d_kedro.world_model.generation import rgb_source
    from phys4d_kedro.world_model.requests import requests_like

    config = parameters.validation
    shown = heldout.subset(choose_examples(heldout, config.clips))
    samples = range(config.seed, config.seed + config.samples)
    return rgb_source(backbone, requests_like(shown, samples), config.sampling, loading)


def measure_denoising_loss(
    backbone: Path, clips: ClipStore, latents: LatentCache, parameters: BackboneConfig, loading: LoadingConfig
) -> pd.DataFrame:
    """Measure the denoising loss on validation clips, by noise level."""
    from phys4d_kedro.evaluation.denoising import denoising_losses
    from phys4d_kedro.world_model.backbones import load_backbone

    model, config = load_backbone(backbone, loading), parameters.validation
    return denoising_losses(
        model,
        latents.open([clips], model),
        levels=config.levels,
        shift=parameters.transformer.noise_shift,
        seed=config.seed,
    )


def judge_backbone(
    *,
    backbone: Path,
    losses: pd.DataFrame,
    generated: ClipStore,
    heldout: ClipStore,
    parameters: BackboneConfig,
    loading: LoadingConfig,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Compare generated clips with what happens, with a copy of the first frame, and with what the VAE can show."""
    from phys4d_kedro.evaluation.backbone import GeneratedBesideTruth, summarise_backbone
    from phys4d_kedro.evaluation.generation import judge_generation
    from phys4d_kedro.evaluation.score_quality import validate_figures
    from phys4d_kedro.world_model.backbones import load_backbone

    scores, features = judge_generation(GeneratedBesideTruth(load_backbone(backbone, loading), generated, heldout))
    config = parameters.validation
    options = {"resamples": config.bootstrap_resamples, "seed": config.seed}
    metrics = summarise_backbone(losses, scores, features, **options)
    validate_figures(metrics)
    return scores, metrics
