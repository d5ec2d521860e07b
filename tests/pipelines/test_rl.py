"""Stages 2 and 3 as pipelines, one after the other, on a tiny backbone of the real classes and analytic clips."""

import inspect
from pathlib import Path

import pandas as pd
import pytest
from factories import make_clip
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro_datasets.pandas import CSVDataset

from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.datasets.latent_cache import LatentCacheDataset
from phys4d_kedro.datasets.model_directory import ModelDirectoryDataset
from phys4d_kedro.parameter_checks import ParameterFiles, check_parameters
from phys4d_kedro.pipelines import rl, sft
from phys4d_kedro.pipelines.rl.nodes import train_policy
from phys4d_kedro.training.rl_config import RlConfig
from phys4d_kedro.training.sft_config import SftConfig
from phys4d_kedro.world_model.config import LoadingConfig
from phys4d_kedro.world_model.world_model import WorldModel
from tests.evaluation.tiny_estimators import tiny_labels
from tests.pipelines.test_sft import PARAMETERS as SFT
from tests.training.test_rl_task import config
from tests.world_model.families import FORMS
from tests.world_model.tiny_heads import write_heads

CONF = Path(__file__).parents[2] / "conf"
LOADING = LoadingConfig(device="cpu")


def store(folder: Path, first: int, count: int) -> ClipStore:
    write_shards([make_clip(first + i) for i in range(count)], str(folder), clips_per_shard=4)
    return ClipStore(str(folder))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> DataCatalog:
    """Everything that both pipelines take and make."""
    folder = tmp_path_factory.mktemp("rl")
    FORMS[0].build(folder / "backbone")
    write_heads(folder / "backbone", folder / "heads" / "seed_0")
    parameters = {**SFT, "repeats": 1, "checkpoint_dir": str(folder / "checkpoints" / "sft")}
    inputs = {
        "backbone": folder / "backbone",
        "heads": folder / "heads",
        "simulated_clips_train": store(folder / "train", 0, 3),
        "simulated_clips_train_quality": {},
        "simulated_clips_validation": store(folder / "validation", 10, 2),
        "simulated_clips_validation_quality": {},
        "params:sft": SftConfig(**parameters),
        "params:rl": config(
            iterations=1,
            group=2,
            worlds_at_once=2,
            steps=3,
            trained_steps=2,
            loop={"validate_every": 2},
            checkpoint_dir=str(folder / "checkpoints" / "rl"),
        ),
        "params:pseudo_labeling": tiny_labels(folder / "depth_estimator"),
        "params:world_model": LOADING,
    }
    caches = ("sft_latents", "sft_validation_latents")
    catalog = DataCatalog(
        {name: MemoryDataset(value, copy_mode="assign") for name, value in inputs.items()}
        | {name: LatentCacheDataset(filepath=str(folder / "latents")) for name in caches}
        | {f"{stage}_models": ModelDirectoryDataset(filepath=str(folder / stage)) for stage in ("sft", "rl")}
        | {
            f"{stage}_{table}": CSVDataset(filepath=str(folder / f"{stage}_{table}.csv"), save_args={"index": False})
            for stage in ("sft", "rl")
            for table in ("history", "validation")
        }
    )
    SequentialRunner().run(sft.create_pipeline() + rl.create_pipeline(), catalog)
    return catalog


def test_the_policy_is_a_model_that_perceives(run: DataCatalog) -> None:
    (folder,) = run["rl_models"].load().iterdir()
    assert folder.name == "seed_0"
    clip = run["simulated_clips_train"].load()[0]
    depths = []
    for stage in (run["sft_models"].load() / "seed_0", folder):
        model = WorldModel.load(run["backbone"].load(), stage, noise_level=0.1, loading=LOADING)
        depths.append(model.perceive(clip, seed=0).depth)
    assert not (depths[0] == depths[1]).all()


def test_curves_are_written(run: DataCatalog) -> None:
    history: pd.DataFrame = run["rl_history"].load()
    validation: pd.DataFrame = run["rl_validation"].load()
    assert history["step"].tolist() == [1, 2]
    assert validation["step"].tolist() == [0, 2]
    for table in (history, validation):
        assert {"reward", "independent"} <= set(table)
        assert set(table["stage"]) == {"rl"}
        assert set(table["seed"]) == {0}


def test_parameters_of_the_project_are_those_of_the_node() -> None:
    parameters = OmegaConfigLoader(str(CONF), base_env="base", default_run_env="local")["parameters"]
    wanted = inspect.signature(train_policy).parameters["parameters"].annotation
    assert wanted is RlConfig
    settings = check_parameters(parameters, {"rl": wanted}, ParameterFiles())["rl"]
    assert settings.loop.validate_every is not None
    # The judges' parting can only be seen over a window of validations.
    validations = 1 + settings.loop.steps // settings.loop.validate_every  # the first before training
    assert validations >= settings.reward.divergence.window
