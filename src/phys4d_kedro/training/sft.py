"""Stage 2: an adapter and both heads, fine-tuned together on simulated clips, and the control. Losses: `sft_task`."""

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import CheckpointError
from phys4d_kedro.training.checkpoints import Tensors
from phys4d_kedro.training.fingerprints import fingerprint_of
from phys4d_kedro.training.heads import LabelReader
from phys4d_kedro.training.launch import Job, launch
from phys4d_kedro.training.loop import FitResult, fit
from phys4d_kedro.training.sft_config import SftConfig
from phys4d_kedro.training.sft_task import LabelledLatents, SftTask
from phys4d_kedro.training.sharding import shard_frozen
from phys4d_kedro.training.stage_results import adapter_card, join_curves
from phys4d_kedro.training.stages import Writer
from phys4d_kedro.world_model.backbones import load_backbone
from phys4d_kedro.world_model.config import LoadingConfig
from phys4d_kedro.world_model.folders import component_fingerprint
from phys4d_kedro.world_model.heads import Head
from phys4d_kedro.world_model.latents import LatentCache
from phys4d_kedro.world_model.lora import add_lora, load_lora_state, lora_state, remove_lora
from phys4d_kedro.world_model.lora_files import save_lora
from phys4d_kedro.world_model.stage_folders import seed_folders
from phys4d_kedro.world_model.world_model import WorldModel

_DECIDES_NOTHING = {"repeats", "label_memory_gb", "checkpoint_dir", "shard", "launch", "base_model", "base_licence"}


@dataclass(frozen=True)
class SftResult:
    """What a training leaves: the adapter's weights (see `lora_state`), on the CPU, the heads, and its curves."""

    lora: Tensors
    heads: dict[str, Head]
    fit: FitResult


def train_sft(
    backbone_dir: Path,
    heads_dir: Path,
    config: SftConfig,
    *,
    clips: ClipStore,
    validation: ClipStore,
    cache: LatentCache,
    loading: LoadingConfig,
    stage: str,
) -> tuple[Writer, pd.DataFrame, pd.DataFrame]:
    """Stage 2, or its control: an adapter and a pair of heads for each seed, from stage 1's heads of that seed.

    Args:
        heads_dir: seed_<n>/{depth,motion}.
        cache: holds the latents of both sets of clips.
        stage: name of the pipeline, in curves and model cards.

    Returns:
        A writer of seed_<n>/{depth,motion,lora}; loss curves; and validation losses. Both have columns stage and seed.

    Raises:
        CheckpointError: there are no heads of a seed, or they belong to another backbone; or latents are missing.
    """
    seeds = range(config.loop.seed, config.loop.seed + config.repeats)
    starts = {seed: _heads_of_seed(heads_dir, seed) for seed in seeds}
    backbone = load_backbone(backbone_dir, loading).fingerprint("transformer", "vae", "text_encoder", "tokenizer")
    results: dict[int, SftResult] = {}
    for seed, start in starts.items():
        settings = config.model_copy(update={"loop": config.loop.model_copy(update={"seed": seed})})
        arguments = {
            "backbone_dir": str(backbone_dir),
            "heads_dir": str(start),
            "clips_root": clips.path,
            "validation_root": validation.path,
            "cache_dir": str(cache.folder),
            "config": settings.model_dump(mode="json"),
            "loading": loading.model_dump(mode="json"),
            "fingerprint": fingerprint_of(
                backbone,
                component_fingerprint(start, ("depth", "motion")),
                settings.model_dump_json(exclude=_DECIDES_NOTHING),
                loading.dtype,
                clips.fingerprint,
                validation.fingerprint,
            ),
            "description": f"Training {stage}, seed {seed}",
        }
        results[seed] = launch(Job("phys4d_kedro.training.sft:run_sft", arguments), config.launch)
    writer = partial(
        _write_stage,
        results,
        starts,
        backbone_dir=backbone_dir,
        loading=loading,
        config=config,
        data=f"{len(clips)} simulated clips with exact depth and motion",
        stage=stage,
    )
    return writer, *join_curves({seed: result.fit for seed, result in results.items()}, stage)


def run_sft(
    *,
    backbone_dir: str,
    heads_dir: str,
    clips_root: str,
    validation_root: str,
    cache_dir: str,
    config: dict[str, Any],
    loading: dict[str, Any],
    fingerprint: str,
    description: str,
) -> SftResult:
    """Train one seed, resuming where an earlier call was cut.

    All arguments are plain values, so that other processes can be told to do the same (see `training.launch`).
    Afterwards the last checkpoint lies in the configured folder, and another call reads it at once.

    Args:
        heads_dir: {depth,motion}, the heads it starts from.
        clips_root, validation_root: sets of simulated clips.
        cache_dir: of the latents of both.
        config, loading: `SftConfig`, its loop with the seed, and `LoadingConfig`, as dictionaries.
        fingerprint: hash of all that decides the result.

    Raises:
        CheckpointError: the heads belong to another backbone, or latents are missing.
    """
    settings = SftConfig.model_validate(config)
    model = WorldModel.load(
        backbone_dir, Path(heads_dir), noise_level=0.0, loading=LoadingConfig.model_validate(loading)
    )
    backbone, heads = model.backbone, {"depth": model.depth, "motion": model.motion}
    add_lora(backbone, settings.lora, seed=settings.loop.seed)
    if settings.shard:
        shard_frozen(backbone.transformer)
    cache, memory = LatentCache(Path(cache_dir)), int(settings.label_memory_gb * 1e9)
    train, validation = (
        LabelledLatents(cache.open([clips], backbone), LabelReader(clips, memory, moving_weight=settings.moving_weight))
        for clips in (ClipStore(clips_root), ClipStore(validation_root))
    )
    result = fit(
        SftTask(backbone, heads, settings, train, validation),
        items=len(train.labels),
        config=settings.loop,
        workdir=Path(settings.checkpoint_dir),
        fingerprint=fingerprint,
        description=description,
    )
    lora = {key: value.detach().cpu().clone() for key, value in lora_state(backbone.transformer).items()}
    return SftResult(lora, heads, result)


def _heads_of_seed(heads_dir: Path, seed: int) -> Path:
    """Raises CheckpointError where stage 1 has not trained this seed."""
    found = seed_folders(heads_dir)
    if seed not in found:
        raise CheckpointError(
            f"{heads_dir} has heads of seeds {', '.join(map(str, found))}, not of {seed}, and each model starts from "
            f"those of its seed: raise pretrain.repeats and run kedro run --pipeline=pretrain, or lower sft.repeats"
        )
    return found[seed]


def _write_stage(
    results: dict[int, SftResult],
    starts: dict[int, Path],
    folder: Path,
    *,
    backbone_dir: Path,
    loading: LoadingConfig,
    config: SftConfig,
    data: str,
    stage: str,
) -> None:
    """Write seed_<n>/{depth,motion,lora}; heads that were not trained are stage 1's, byte for byte."""
    backbone = load_backbone(backbone_dir, loading)
    for seed, result in results.items():
        target = folder / f"seed_{seed}"
        for name, head in result.heads.items():
            shutil.copytree(starts[seed] / name, target / name)
            if config.trains_heads:
                head.save_pretrained(target / name)
                shutil.copy(starts[seed] / name / "config.json", target / name)  # the other says where it was read
        add_lora(backbone, config.lora, seed=seed)
        load_lora_state(backbone.transformer, result.lora)
        card = adapter_card(
            result.fit,
            stage=stage,
            seed=seed,
            data=data,
            base=config.base_model,
            licence=config.base_licence,
        )
        save_lora(backbone, target / "lora", card=card)
        remove_lora(backbone)
