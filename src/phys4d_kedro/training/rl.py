"""Stage 3: the sampler of stage 2's models, reinforced. Rollouts, rewards and the loss: `rl_task`."""

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import CheckpointError
from phys4d_kedro.evaluation.evaluate import choose_examples
from phys4d_kedro.perception.config import PseudoLabelConfig
from phys4d_kedro.perception.pseudo_labels import pseudo_label_source
from phys4d_kedro.training.checkpoints import Tensors
from phys4d_kedro.training.fingerprints import fingerprint_of
from phys4d_kedro.training.job import Job
from phys4d_kedro.training.launch import launch
from phys4d_kedro.training.loop import FitResult, fit
from phys4d_kedro.training.rl_config import RlConfig
from phys4d_kedro.training.rl_events import ClipEvents
from phys4d_kedro.training.rl_task import RlTask
from phys4d_kedro.training.stage_results import adapter_card, join_curves
from phys4d_kedro.training.stages import Writer
from phys4d_kedro.training.value import ValueHead
from phys4d_kedro.world_model.backbones import load_backbone
from phys4d_kedro.world_model.backbones.base import Backbone
from phys4d_kedro.world_model.config import LoadingConfig
from phys4d_kedro.world_model.folders import component_fingerprint
from phys4d_kedro.world_model.latents import LatentCache
from phys4d_kedro.world_model.lora import add_lora, load_lora_state, lora_state, merge_lora, remove_lora
from phys4d_kedro.world_model.lora_files import save_stacked_lora
from phys4d_kedro.world_model.stage_folders import adapter_folder, seed_folders
from phys4d_kedro.world_model.world_model import WorldModel

_DECIDES_NOTHING = {"repeats", "checkpoint_dir", "launch", "base_model", "base_licence"}


@dataclass(frozen=True)
class RlResult:
    """What a training leaves: the policy's adapter (see `lora_state`), on the CPU, and its curves."""

    lora: Tensors
    fit: FitResult


def train_rl(
    backbone_dir: Path,
    models_dir: Path,
    config: RlConfig,
    *,
    clips: ClipStore,
    validation: ClipStore,
    cache: LatentCache,
    labels: PseudoLabelConfig,
    loading: LoadingConfig,
) -> tuple[Writer, pd.DataFrame, pd.DataFrame]:
    """Stage 3: a policy for each seed, from stage 2's model of that seed.

    Args:
        models_dir: seed_<n>/{depth,motion,lora}.
        cache: holds the latents and conditions of both sets of clips.
        labels: parameters of the independent estimators.

    Returns:
        A writer of seed_<n>/{depth,motion,lora}, the heads being stage 2's and the adapter both stages' in one; curves
        of training; and of validation. Both have columns stage and seed.

    Raises:
        CheckpointError: there is no model of a seed, or it belongs to another backbone; or latents are missing.
    """
    seeds = range(config.loop.seed, config.loop.seed + config.repeats)
    starts = {seed: _model_of_seed(models_dir, seed) for seed in seeds}
    backbone = load_backbone(backbone_dir, loading).fingerprint("transformer", "vae", "text_encoder", "tokenizer")
    estimators = pseudo_label_source((), labels).fingerprint  # of their weights as well
    results: dict[int, RlResult] = {}
    for seed, start in starts.items():
        settings = config.model_copy(update={"loop": config.loop.model_copy(update={"seed": seed})})
        arguments = {
            "backbone_dir": str(backbone_dir),
            "model_dir": str(start),
            "clips_root": clips.path,
            "validation_root": validation.path,
            "cache_dir": str(cache.folder),
            "config": settings.model_dump(mode="json"),
            "labels": labels.model_dump(mode="json"),
            "loading": loading.model_dump(mode="json"),
            "fingerprint": fingerprint_of(
                backbone,
                component_fingerprint(start, ("depth", "motion", "lora")),
                settings.model_dump_json(exclude=_DECIDES_NOTHING),
                estimators,
                loading.dtype,
                clips.fingerprint,
                validation.fingerprint,
            ),
            "description": f"Reinforcing, seed {seed}",
        }
        results[seed] = launch(Job("phys4d_kedro.training.rl:run_rl", arguments), config.launch)
    writer = partial(_write_stage, results, starts, backbone_dir=backbone_dir, loading=loading, config=config)
    return writer, *join_curves({seed: result.fit for seed, result in results.items()}, "rl")


def run_rl(
    *,
    backbone_dir: str,
    model_dir: str,
    clips_root: str,
    validation_root: str,
    cache_dir: str,
    config: dict[str, Any],
    labels: dict[str, Any],
    loading: dict[str, Any],
    fingerprint: str,
    description: str,
) -> RlResult:
    """Train the policy of one seed, resuming where an earlier call was cut; all arguments are plain values.

    Args:
        model_dir: {depth,motion,lora}, the model of stage 2 it starts from.
        config, labels, loading: `RlConfig`, its loop with the seed, `PseudoLabelConfig` and `LoadingConfig`, as
            dictionaries.
        fingerprint: hash of all that decides the result.

    Raises:
        CheckpointError: the model belongs to another backbone, or latents are missing.
        InvalidClipError: too few clips show anything that moves.
    """
    settings = RlConfig.model_validate(config)
    model = WorldModel.load(
        backbone_dir,
        Path(model_dir),
        noise_level=settings.noise_level,
        loading=LoadingConfig.model_validate(loading),
    )
    cache = LatentCache(Path(cache_dir))
    train, validation = ClipStore(clips_root), ClipStore(validation_root)
    shown = validation.subset(choose_examples(validation, settings.validation.clips))
    estimators = PseudoLabelConfig.model_validate(labels)
    # The policy that is reinforced is the whole of stage 2: its adapter becomes part of the weights that stay.
    events = [
        ClipEvents(
            chosen,
            cache.open([clips], model.backbone),
            model,
            settings.reward,
            estimators,
            seed=settings.loop.seed,
        )
        for clips, chosen in ((train, train), (validation, shown))
    ]
    merge_lora(model.backbone)
    add_lora(model.backbone, settings.lora, seed=settings.loop.seed)
    result = fit(
        RlTask(model.backbone, settings, events[0], events[1], _value_head(model.backbone, settings)),
        items=settings.items,
        config=settings.loop,
        workdir=Path(settings.checkpoint_dir),
        fingerprint=fingerprint,
        description=description,
    )
    lora = {key: tensor.detach().cpu().clone() for key, tensor in lora_state(model.backbone.transformer).items()}
    return RlResult(lora, result)


def _value_head(backbone: Backbone, config: RlConfig) -> ValueHead | None:
    """The same in every process and every run."""
    if config.advantage == "group":
        return None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.loop.seed)
        return ValueHead(feature_dim=backbone.feature_dim, hidden_dim=config.value.width)


def _model_of_seed(models_dir: Path, seed: int) -> Path:
    """Raises CheckpointError where stage 2 has not trained this seed."""
    found = seed_folders(models_dir)
    if seed not in found or adapter_folder(found[seed]) is None:
        raise CheckpointError(
            f"{models_dir} has models of seeds {', '.join(map(str, found))}, and each policy starts from stage 2's "
            f"model of its seed, here {seed}, with its adapter: raise sft.repeats and run kedro run --pipeline=sft, or "
            f"lower rl.repeats"
        )
    return found[seed]


def _write_stage(
    results: dict[int, RlResult],
    starts: dict[int, Path],
    folder: Path,
    *,
    backbone_dir: Path,
    loading: LoadingConfig,
    config: RlConfig,
) -> None:
    backbone = load_backbone(backbone_dir, loading)
    for seed, result in results.items():
        target, below = folder / f"seed_{seed}", starts[seed] / "lora"
        for name in ("depth", "motion"):
            shutil.copytree(starts[seed] / name, target / name)
        add_lora(backbone, config.lora, seed=seed)
        load_lora_state(backbone.transformer, result.lora)
        card = adapter_card(
            result.fit,
            stage="rl",
            seed=seed,
            data="the first frames and prompts of simulated clips, and how what is seen in them moves",
            base=config.base_model,
            licence=config.base_licence,
        )
        save_stacked_lora(backbone, below, target / "lora", card=card)
        remove_lora(backbone)
