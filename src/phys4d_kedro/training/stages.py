"""The training stages: what each trains, on what, and what it leaves behind.

Each returns a writer, a function that writes the trained model into a given folder, and the loss curve.
"""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.training.config import (
    AutoencoderTrainingConfig,
    BackboneConfig,
    DenoiserTrainingConfig,
    PretrainConfig,
)
from phys4d_kedro.training.denoiser import DenoiserTask
from phys4d_kedro.training.fingerprints import fingerprint_of
from phys4d_kedro.training.heads import HeadsTask, LabelReader, new_heads
from phys4d_kedro.training.loop import fit
from phys4d_kedro.training.video_autoencoder import AutoencoderTask, calibrate_posterior, with_latent_statistics
from phys4d_kedro.world_model.backbones import load_backbone
from phys4d_kedro.world_model.backbones.wan import WanBackbone
from phys4d_kedro.world_model.config import LoadingConfig
from phys4d_kedro.world_model.folders import read_model_index, write_copy, write_with_component
from phys4d_kedro.world_model.heads import Head
from phys4d_kedro.world_model.latents import LatentCache
from phys4d_kedro.world_model.nano import build_nano

Writer = Callable[[Path], None]

_CALIBRATION_CLIPS = 32
_STATISTICS_CLIPS = 64


def start_backbone(config: BackboneConfig, sets: Sequence[ClipStore]) -> Writer:
    """The backbone that training starts from: the initial weights, or random ones of the nano family and sizes."""
    if config.initial_weights is not None:
        source = Path(config.initial_weights)
        read_model_index(source)
        return partial(write_copy, source)
    prompts = sorted({prompt for clips in sets for prompt in clips.manifest["prompt"]})
    return partial(build_nano, config=config.nano, prompts=prompts, seed=config.seed)


def train_autoencoder(
    start: Path, config: AutoencoderTrainingConfig | None, sets: Sequence[ClipStore], *, checkpoints: Path
) -> tuple[Writer, pd.DataFrame]:
    """Train the VAE of the backbone in `start` on RGB; without a config, keep it."""
    if config is None:
        return partial(write_copy, start), pd.DataFrame(columns=["step", "learning_rate", "loss", "stage", "seed"])
    backbone = WanBackbone(start)
    videos = _rgb(sets)
    fingerprint = fingerprint_of(backbone.fingerprint("vae"), config, *(clips.fingerprint for clips in sets))
    vae = backbone.vae.requires_grad_(True)
    calibrate_posterior(vae, videos[:: max(1, len(videos) // _CALIBRATION_CLIPS)])
    task = AutoencoderTask(
        vae, videos, crop=config.crop, saliency_weight=config.saliency_weight, kl_weight=config.kl_weight
    )
    result = fit(
        task,
        items=len(videos),
        config=config.loop,
        workdir=checkpoints / "autoencoder",
        fingerprint=fingerprint,
        description="Training the VAE",
    )
    trained = with_latent_statistics(vae, videos[:: max(1, len(videos) // _STATISTICS_CLIPS)])
    history = result.history.assign(stage="autoencoder", seed=config.loop.seed)
    return partial(write_with_component, start, "vae", trained), history


def train_transformer(
    start: Path,
    config: DenoiserTrainingConfig,
    sets: Sequence[ClipStore],
    cache: LatentCache,
    *,
    checkpoints: Path,
    loading: LoadingConfig | None = None,
) -> tuple[Writer, pd.DataFrame]:
    """Train the transformer of the backbone in `start` on cached latents."""
    backbone = load_backbone(start, loading)
    backbone.transformer.requires_grad_(True)
    latents = cache.open(sets, backbone)
    fingerprint = fingerprint_of(
        backbone.fingerprint("transformer", "vae", "text_encoder", "tokenizer"),
        config,
        *(clips.fingerprint for clips in sets),
    )
    result = fit(
        DenoiserTask(backbone, latents, noise_shift=config.noise_shift, prompt_dropout=config.prompt_dropout),
        items=len(latents),
        config=config.loop,
        workdir=checkpoints / "transformer",
        fingerprint=fingerprint,
        description="Training the transformer",
    )
    history = result.history.assign(stage="transformer", seed=config.loop.seed)
    return partial(write_with_component, start, "transformer", backbone.transformer), history


def pretrain_heads(
    backbone_dir: Path,
    config: PretrainConfig,
    clips: ClipStore,
    cache: LatentCache,
    loading: LoadingConfig | None = None,
) -> tuple[Writer, pd.DataFrame]:
    """Stage 1: train a pair of heads for each seed; they are written to seed_<n>/{depth,motion}."""
    backbone = load_backbone(backbone_dir, loading)
    latents = cache.open([clips], backbone)
    labels = LabelReader(clips, memory=int(config.label_memory_gb * 1e9))
    trained: dict[int, dict[str, Head]] = {}
    histories = []
    for seed in range(config.loop.seed, config.loop.seed + config.repeats):
        heads = new_heads(backbone, labels, config.head, seed=seed, **config.head_sizes)
        loop = config.loop.model_copy(update={"seed": seed})
        task = HeadsTask(
            backbone,
            heads,
            latents,
            labels,
            noise_shift=config.noise_shift,
            depth_weight=config.depth_weight,
            motion_weight=config.motion_weight,
        )
        result = fit(
            task,
            items=len(latents),
            config=loop,
            workdir=Path(config.checkpoint_dir),
            fingerprint=fingerprint_of(
                backbone.fingerprint("transformer", "vae"),
                config.model_dump_json(include={"noise_shift", "depth_weight", "motion_weight"}),
                config.head,
                json.dumps(config.head_sizes, sort_keys=True),
                loop,
                clips.fingerprint,
            ),
            description=f"Training heads, seed {seed}",
        )
        trained[seed] = heads
        histories.append(result.history.assign(stage="pretrain", seed=seed))
    return partial(_write_heads, trained), pd.concat(histories, ignore_index=True)


def _write_heads(trained: dict[int, dict[str, Head]], folder: Path) -> None:
    for seed, heads in trained.items():
        for name, head in heads.items():
            head.save_pretrained(folder / f"seed_{seed}" / name)


def _rgb(sets: Sequence[ClipStore]) -> list[torch.Tensor]:
    return [torch.from_numpy(clips.read(clip_id, keys=["rgb"]).rgb) for clips in sets for clip_id in clips.ids]
