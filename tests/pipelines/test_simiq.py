"""The simiq pipeline from simulated clips on, with tiny models of the real classes and stages of random weights."""

import json

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro_datasets.json import JSONDataset
from kedro_datasets.pandas import ParquetDataset
from kedro_datasets.plotly import JSONDataset as FigureDataset

from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.datasets.clip_shards import ClipShardsDataset
from phys4d_kedro.evaluation.comparison import STAGES
from phys4d_kedro.evaluation.simiq.config import SimiqConfig
from phys4d_kedro.pipelines.simiq import create_pipeline
from phys4d_kedro.world_model.config import LoadingConfig, SamplingConfig
from tests.evaluation.tiny_estimators import EVALUATION
from tests.factories import make_clip
from tests.world_model.families import FORMS
from tests.world_model.tiny_stages import write_stages

PARAMETERS = SimiqConfig(
    version="nano-1",
    samples=1,
    sampling=SamplingConfig(steps=1, guidance=1.0, batch_size=2),
    bootstrap_resamples=5,
    seed=0,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> DataCatalog:
    folder = tmp_path_factory.mktemp("simiq")
    backbone = folder / "backbone"
    FORMS[0].build(backbone)
    stages = write_stages(backbone, folder / "stages", 2)
    clips = [
        make_clip(2 * number + take).with_(
            clip_id=f"simiq-sphere-{number}-v0-t{take}",
            parameters={"simulation": f"sphere-{number}", "view": 0, "take": take},
        )
        for number in range(2)
        for take in range(2)
    ]
    write_shards(clips, str(folder / "clips"), clips_per_shard=4)
    inputs = {
        "backbone": backbone,
        "heads": stages["stage1"],
        "appearance_control_models": stages["appearance_control"],
        "sft_models": stages["sft"],
        "rl_models": stages["rl"],
        "simiq_clips": ClipStore(str(folder / "clips")),
        "params:simiq": PARAMETERS,
        "params:evaluation": EVALUATION,
        "params:world_model": LoadingConfig(device="cpu"),
    }
    catalog = DataCatalog(
        {name: MemoryDataset(value, copy_mode="assign") for name, value in inputs.items()}
        | {
            "simiq_worlds": ClipShardsDataset(filepath=str(folder / "worlds"), clips_per_shard=5),
            "simiq_scores": ParquetDataset(filepath=str(folder / "simiq.parquet")),
            "simiq_metrics": JSONDataset(filepath=str(folder / "simiq.json")),
            "simiq_figure": FigureDataset(filepath=str(folder / "simiq_figure.json")),
        }
    )
    SequentialRunner().run(create_pipeline().from_nodes("generate_simiq_worlds_node"), catalog)
    return catalog


def test_every_training_that_makes_other_videos_makes_every_view(run: DataCatalog) -> None:
    table = run["simiq_scores"].load()
    counts = {method: len(rows) for method, rows in table.groupby("method")}
    assert counts == {"takes": 2, "still": 2, "stage1": 2} | dict.fromkeys(STAGES[1:], 4)
    assert set(table["scenario"]) == {"sphere-0", "sphere-1"}


def test_both_rules_score_every_method_and_the_file_says_which_list(run: DataCatalog) -> None:
    metrics = run["simiq_metrics"].load()
    json.dumps(metrics, allow_nan=False)
    assert metrics["version"] == "nano-1"
    assert list(metrics["scores"]) == ["still", *STAGES]
    for method in metrics["scores"].values():
        assert 0 <= method["verified"]["score"]["mean"] <= 100
    assert list(metrics["margins"]["rl"]) == list(STAGES[:3])
    margin = metrics["margins"]["rl"]["sft"]["verified"]["score"]
    assert margin["low"] <= margin["high"]
    assert len(run["simiq_figure"].load().data) == 1 + len(STAGES)
