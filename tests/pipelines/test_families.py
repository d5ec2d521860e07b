"""The same pipelines on every family: a backbone from nothing, heads on it, 4D clips from it."""

import json
from pathlib import Path
from typing import Any

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro_datasets.partitions import PartitionedDataset

from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.datasets.clip_shards import ClipShardsDataset
from phys4d_kedro.datasets.latent_cache import LatentCacheDataset
from phys4d_kedro.datasets.model_directory import ModelDirectoryDataset
from phys4d_kedro.pipelines import backbone, generation, pretrain
from phys4d_kedro.training.config import BackboneConfig, PretrainConfig
from phys4d_kedro.world_model.config import GenerationConfig, LoadingConfig
from tests.factories import make_clip

COMMON = {"latent_channels": 4, "layers": 2, "heads": 2, "text_dim": 16, "prompt_tokens": 12}
NANO: dict[str, dict[str, Any]] = {
    "wan": {**COMMON, "vae_base_dim": 8, "vae_decoder_base_dim": 8, "head_dim": 16, "ffn_dim": 32},
    "cogvideox": {**COMMON, "vae_channels": 8, "head_dim": 16},
    "opensora": {**COMMON, "vae_channels": 8, "head_dim": 16, "fps": 4},
}
SAMPLING = {"steps": 2, "guidance": 2.0, "batch_size": 2}
LOOP = {"steps": 2, "batch_size": 2, "learning_rate": 0.001, "seed": 0}
BYTES = {
    "type": "text.TextDataset",
    "fs_args": {"open_args_save": {"mode": "wb"}, "open_args_load": {"mode": "rb"}},
}


def store(folder: Path, first: int, count: int) -> ClipStore:
    clips = [make_clip(first + i, frames=9).with_(prompt=f"A ball rolls {i}.", category="rigid") for i in range(count)]
    write_shards(clips, str(folder), clips_per_shard=4)
    return ClipStore(str(folder))


def parameters(family: str, folder: Path) -> dict[str, Any]:
    autoencoder = {"crop": 16, "saliency_weight": 1, "kl_weight": 1e-5, "loop": LOOP} if family == "wan" else None
    return {
        "backbone": BackboneConfig(
            seed=0,
            initial_weights=None,
            nano={"family": family, **NANO[family]},
            autoencoder=autoencoder,
            transformer={"noise_shift": 3, "prompt_dropout": 0.5, "loop": LOOP},
            validation={
                "levels": 2,
                "clips": 2,
                "samples": 1,
                "sampling": SAMPLING,
                "bootstrap_resamples": 10,
                "seed": 0,
            },
            checkpoint_dir=str(folder / "checkpoints"),
        ),
        "pretrain": PretrainConfig(
            repeats=1,
            head="dpt",
            conv_head={"hidden": 8, "width": 8, "blocks": 0},
            dpt_head={"width": 16, "heads": 2, "cells": 2},
            noise_shift=0.1,
            depth_weight=1,
            motion_weight=1,
            label_memory_gb=0.1,
            loop=LOOP,
            checkpoint_dir=str(folder / "head_checkpoints"),
        ),
        "generation": GenerationConfig(
            clips=2,
            height=32,
            width=32,
            frames=9,
            fps=4,
            samples=1,
            sampling=SAMPLING,
            noise_level=0.1,
            seed=0,
        ),
        "world_model": LoadingConfig(device="cpu"),
    }


@pytest.fixture(scope="module", params=NANO)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DataCatalog:
    family = request.param
    folder = tmp_path_factory.mktemp(family)
    train = store(folder / "train", 0, 4)
    inputs = {
        "simulated_clips_train": train,
        "real_clips": store(folder / "real", 20, 2),
        "simulated_clips_validation": store(folder / "validation", 30, 2),
        "simulated_clips_validation_quality": {},
        "simulated_clips_heldout": store(folder / "heldout", 40, 2),
        "labeled_clips": train,
        "labeled_clips_quality": {},
        **{f"params:{name}": value for name, value in parameters(family, folder).items()},
    }
    caches = ("backbone_latents", "validation_latents", "latents")
    models = ("backbone_start", "backbone_with_autoencoder", "backbone", "heads")
    catalog = DataCatalog(
        {name: MemoryDataset(value, copy_mode="assign") for name, value in inputs.items()}
        | {name: LatentCacheDataset(filepath=str(folder / "latents")) for name in caches}
        | {name: ModelDirectoryDataset(filepath=str(folder / name)) for name in models}
        | {name: ClipShardsDataset(filepath=str(folder / name)) for name in ("backbone_clips", "generated_clips")}
        | {
            name: PartitionedDataset(path=str(folder / name), filename_suffix=suffix, dataset=BYTES)
            for name, suffix in (("generated_videos", ".mp4"), ("generated_point_clouds", ".ply"))
        }
        | {name: MemoryDataset() for name in ("backbone_metrics", "backbone_scores", "generated_samples")}
        | {name: MemoryDataset(copy_mode="assign") for name in ("backbone_samples",)}
    )
    flow = backbone.create_pipeline() + pretrain.create_pipeline() + generation.create_pipeline()
    SequentialRunner().run(flow, catalog)
    return catalog


def test_clips_are_generated_with_depth_and_motion(run: DataCatalog) -> None:
    generated, heldout = run["generated_clips"].load(), run["simulated_clips_heldout"].load()
    assert [clip.parameters["reference"] for clip in generated] == heldout.ids
    for clip, truth in zip(generated, heldout, strict=True):
        clip.require("depth", "motion", "motion_valid", "intrinsics", "world_from_camera")
        assert clip.rgb.shape == truth.rgb.shape


def test_files_and_pictures_are_there(run: DataCatalog) -> None:
    ids = run["generated_clips"].load().ids
    names = ("rgb", "depth", "motion", "comparison")
    assert set(run["generated_videos"].load()) == {f"{clip_id}/{name}" for clip_id in ids for name in names}
    assert len(run["generated_point_clouds"].load()) == 9 * len(ids)
    assert list(run["generated_samples"].load()) == ["rigid_1.png"] == list(run["backbone_samples"].load())


def test_the_backbone_is_judged(run: DataCatalog) -> None:
    metrics = run["backbone_metrics"].load()
    json.dumps(metrics, allow_nan=False)
    assert metrics["denoising_loss"]["clips"] == 2
    assert metrics["generation"]["motion_iou"]["all"]["means"]["generated"]["clips"] == 2
    assert set(run["backbone_scores"].load()["method"]) == {"generated", "copy", "vae"}
