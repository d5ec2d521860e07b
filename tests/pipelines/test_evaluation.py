"""The evaluation pipeline, run on tiny models of the real classes and analytic clips."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories import make_clip
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro_datasets.pandas import ParquetDataset

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.datasets.clip_shards import ClipShardsDataset
from phys4d_kedro.datasets.latent_cache import LatentCacheDataset
from phys4d_kedro.datasets.model_directory import ModelDirectoryDataset
from phys4d_kedro.errors import DataQualityError
from phys4d_kedro.evaluation.reading import readout_seed
from phys4d_kedro.evaluation.statistics import METRICS
from phys4d_kedro.pipelines.evaluation import create_pipeline
from phys4d_kedro.training.heads import LabelReader, new_heads
from phys4d_kedro.world_model.backbones.wan import WanBackbone
from phys4d_kedro.world_model.config import LoadingConfig, NanoWanConfig
from phys4d_kedro.world_model.latents import LatentCache
from phys4d_kedro.world_model.nano.wan import build_nano_wan
from phys4d_kedro.world_model.world_model import WorldModel
from tests.evaluation.tiny_estimators import EVALUATION, tiny_labels

TINY_WAN = NanoWanConfig(
    latent_channels=4,
    vae_base_dim=8,
    vae_decoder_base_dim=8,
    layers=1,
    heads=2,
    head_dim=16,
    ffn_dim=32,
    text_dim=16,
    prompt_tokens=12,
)


def store(folder: Path, clips: list[Clip]) -> ClipStore:
    write_shards(clips, str(folder), clips_per_shard=4)
    return ClipStore(str(folder))


def catalog(folder: Path) -> DataCatalog:
    """Everything the pipeline takes, made in `folder`: two seeds of untrained heads, exact clips as labels."""
    train = store(folder / "train", [make_clip(i) for i in range(4)])
    heldout = store(folder / "heldout", [make_clip(10 + i).with_(scene=f"scene {i % 2}") for i in range(3)])
    backbone = folder / "backbone"
    build_nano_wan(backbone, TINY_WAN, prompts=["a sphere before a wall"], seed=0)
    latents = LatentCache(folder / "latents")
    latents.fill([train], WanBackbone(backbone))
    for seed in (0, 1):
        for name, head in new_heads(WanBackbone(backbone), LabelReader(train, 10**9), "linear", seed=seed).items():
            head.save_pretrained(folder / "heads" / f"seed_{seed}" / name)
    inputs = {
        "backbone": backbone,
        "heads": folder / "heads",
        "labeled_clips": train,
        "latents": latents,
        "simulated_clips_heldout": heldout,
        "simulated_clips_heldout_quality": {},
        "params:evaluation": EVALUATION,
        "params:pseudo_labeling": tiny_labels(folder / "depth"),
        "params:world_model": LoadingConfig(device="cpu"),
    }
    return DataCatalog(
        {name: MemoryDataset(value, copy_mode="assign") for name, value in inputs.items()}
        | {
            "heldout_latents": LatentCacheDataset(filepath=str(folder / "latents")),
            "baselines": ModelDirectoryDataset(filepath=str(folder / "baselines")),
            "predictions": ClipShardsDataset(filepath=str(folder / "predictions")),
            "evaluation_table": ParquetDataset(filepath=str(folder / "evaluation.parquet")),
            "evaluation_metrics": MemoryDataset(),
        }
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> DataCatalog:
    made = catalog(tmp_path_factory.mktemp("evaluation"))
    SequentialRunner().run(create_pipeline(), made)
    return made


def test_every_predictor_is_scored_on_every_clip(run: DataCatalog) -> None:
    table = run["evaluation_table"].load()
    assert set(table["predictor"]) == {"heads", "ridge", "pixel_median", "constant_median", "estimators", "exact"}
    assert set(table["metric"]) == set(METRICS)
    assert len(table) == 7 * 3 * 2 * len(METRICS)  # the heads count twice
    assert np.isfinite(table["value"]).all()
    heads = table[table["predictor"] == "heads"].pivot(index=["clip_id", "region", "metric"], columns="seed")["value"]
    assert set(heads.columns) == {0, 1}
    assert not np.allclose(heads[0], heads[1], rtol=1e-6)


def test_the_summary_is_plain_json_with_margins_over_all_baselines(run: DataCatalog) -> None:
    metrics = run["evaluation_metrics"].load()
    json.dumps(metrics, allow_nan=False)
    assert set(metrics) == set(METRICS)
    margins = metrics["abs_rel"]["image"]["margins"]
    assert set(margins) == {"ridge", "pixel_median", "constant_median", "estimators"}
    assert metrics["abs_rel"]["image"]["means"]["heads"]["seed_std"] >= 0


def test_examples_are_kept_as_clips_of_every_predictor(run: DataCatalog) -> None:
    predictions = run["predictions"].load()
    names = {"heads", "ridge", "pixel_median", "constant_median", "estimators"}
    assert set(predictions.ids) == {f"{clip}.{name}" for clip in ("sphere-0010", "sphere-0011") for name in names}
    for clip in predictions:
        clip.require("depth", "motion")
        assert clip.source == "pseudo"


def test_running_again_gives_the_same_table(run: DataCatalog) -> None:
    first: pd.DataFrame = run["evaluation_table"].load()
    SequentialRunner().run(create_pipeline().only_nodes("fit_baselines_node", "score_predictors_node"), run)
    assert first.equals(run["evaluation_table"].load())


def test_cached_latents_change_nothing(run: DataCatalog) -> None:
    clip = run["simulated_clips_heldout"].load()[0]
    backbone = run["backbone"].load()
    model = WorldModel.load(backbone, run["heads"].load() / "seed_0", noise_level=EVALUATION.noise_level)
    cold = model.perceive(clip, seed=readout_seed(EVALUATION.seed, clip.clip_id))
    kept = run["predictions"].load().read(f"{clip.clip_id}.heads")
    np.testing.assert_allclose(kept.depth, cold.depth, rtol=1e-3)  # stored as float16


def test_scores_that_are_no_numbers_stop_the_run_before_a_metric_is_written(run: DataCatalog) -> None:
    table = run["evaluation_table"].load()
    where = (table["predictor"] == "ridge") & (table["metric"] == "epe") & (table["clip_id"] == "sphere-0011")
    broken = DataCatalog(
        {
            "evaluation_table": MemoryDataset(table.assign(value=table["value"].mask(where))),
            "params:evaluation": MemoryDataset(EVALUATION),
            "evaluation_metrics": MemoryDataset(),
        }
    )
    with pytest.raises(DataQualityError, match=r"epe image: .*: scores ridge, sphere-0011"):
        SequentialRunner().run(create_pipeline().only_nodes("summarise_scores_node"), broken)
    assert not broken.exists("evaluation_metrics")
