"""Stage 2 and its control as pipelines, on a tiny backbone of the real classes and analytic clips."""

from pathlib import Path

import pandas as pd
import pytest
from factories import make_clip
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro_datasets.pandas import CSVDataset

from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.datasets.latent_cache import LatentCacheDataset
from phys4d_kedro.datasets.model_directory import ModelDirectoryDataset
from phys4d_kedro.pipelines import appearance_control, sft
from phys4d_kedro.training.heads import LabelReader, new_heads
from phys4d_kedro.training.sft_config import SftConfig
from phys4d_kedro.world_model.backbones.wan import WanBackbone
from phys4d_kedro.world_model.config import LoadingConfig
from phys4d_kedro.world_model.nano.wan import build_nano_wan
from phys4d_kedro.world_model.world_model import WorldModel
from tests.world_model.families import TINY

STAGES = ("sft", "appearance_control")
PARAMETERS = {
    "repeats": 2,
    "lora": {"rank": 2, "alpha": 2},
    "denoising_weight": 1,
    "depth_weight": 0.5,
    "motion_weight": 0.5,
    "warp_weight": 0.1,
    "photometric_weight": 0.1,
    "moving_weight": 2.0,
    "noise_shift": 3,
    "geometry_share": 0.5,
    "geometry_shift": 0.1,
    "geometry_power": 1,
    "prompt_dropout": 0.1,
    "label_memory_gb": 0.1,
    "loop": {"steps": 2, "batch_size": 2, "learning_rate": 0.01, "validate_every": 1, "trackers": (), "seed": 0},
    "base_model": "nano_wan",
}


def store(folder: Path, first: int, count: int) -> ClipStore:
    write_shards([make_clip(first + i) for i in range(count)], str(folder), clips_per_shard=4)
    return ClipStore(str(folder))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> DataCatalog:
    """Everything that both pipelines take and make."""
    folder = tmp_path_factory.mktemp("sft")
    train = store(folder / "train", 0, 3)
    build_nano_wan(folder / "backbone", TINY, prompts=["a sphere before a wall"], seed=0)
    for seed in (0, 1):
        heads = new_heads(WanBackbone(folder / "backbone"), LabelReader(train, 10**9), "linear", seed=seed)
        for name, head in heads.items():
            head.save_pretrained(folder / "heads" / f"seed_{seed}" / name)
    inputs = {
        "backbone": folder / "backbone",
        "heads": folder / "heads",
        "simulated_clips_train": train,
        "simulated_clips_train_quality": {},
        "simulated_clips_validation": store(folder / "validation", 10, 2),
        "simulated_clips_validation_quality": {},
        "params:sft": SftConfig(**PARAMETERS, checkpoint_dir=str(folder / "checkpoints")),
        "params:world_model": LoadingConfig(device="cpu"),
    }
    caches = [
        f"{stage}_{kind}" for stage in ("sft", "appearance_control") for kind in ("latents", "validation_latents")
    ]
    catalog = DataCatalog(
        {name: MemoryDataset(value, copy_mode="assign") for name, value in inputs.items()}
        | {name: LatentCacheDataset(filepath=str(folder / "latents")) for name in caches}
        | {f"{stage}_models": ModelDirectoryDataset(filepath=str(folder / stage)) for stage in STAGES}
        | {
            f"{stage}_{table}": CSVDataset(filepath=str(folder / f"{stage}_{table}.csv"), save_args={"index": False})
            for stage in STAGES
            for table in ("history", "validation")
        }
    )
    SequentialRunner().run(sft.create_pipeline() + appearance_control.create_pipeline(), catalog)
    return catalog


@pytest.mark.parametrize("stage", STAGES)
def test_every_seed_is_a_model_that_perceives(run: DataCatalog, stage: str) -> None:
    folder = run[f"{stage}_models"].load()
    assert sorted(path.name for path in folder.iterdir()) == ["seed_0", "seed_1"]
    for seed in folder.iterdir():
        assert {path.name for path in seed.iterdir()} == {"depth", "motion", "lora"}
        model = WorldModel.load(run["backbone"].load(), seed, noise_level=0.1, loading=LoadingConfig(device="cpu"))
        model.perceive(run["simulated_clips_train"].load()[0], seed=0).require("depth", "motion")


@pytest.mark.parametrize("stage", STAGES)
def test_curves_say_whose_they_are(run: DataCatalog, stage: str) -> None:
    history: pd.DataFrame = run[f"{stage}_history"].load()
    validation: pd.DataFrame = run[f"{stage}_validation"].load()
    for table in (history, validation):
        assert set(table["stage"]) == {stage}
        assert set(table["seed"]) == {0, 1}
    assert validation["step"].tolist() == [0, 1, 2] * 2
    losses = {f"{name}_loss" for name in ("validation", "denoising", "depth", "motion", "warp")}
    assert set(validation) - {"photometric_loss"} == {"step", "stage", "seed"} | losses


def test_stage_2_changes_the_heads_and_the_control_does_not(run: DataCatalog) -> None:
    def weights(folder: Path) -> bytes:
        return (folder / "seed_0" / "depth" / "diffusion_pytorch_model.safetensors").read_bytes()

    assert weights(run["appearance_control_models"].load()) == weights(run["heads"].load())
    assert weights(run["sft_models"].load()) != weights(run["heads"].load())
