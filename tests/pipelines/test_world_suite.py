"""The world_suite pipeline on a few analytic clips, worlds made of them and labelled videos."""

import json
from pathlib import Path

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro_datasets.json import JSONDataset
from kedro_datasets.pandas import ParquetDataset
from kedro_datasets.plotly import JSONDataset as FigureDataset

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.pipelines.world_suite import create_pipeline
from tests.evaluation.suite.scenes import CONFIG, at_rest, two_balls, world_of
from tests.evaluation.tiny_estimators import tiny_labels


def store(folder: Path, *clips: Clip) -> ClipStore:
    write_shards(clips, str(folder), clips_per_shard=4)
    return ClipStore(str(folder))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> DataCatalog:
    folder, truths = tmp_path_factory.mktemp("suite"), [two_balls(f"heldout-{i}", 0.05 + 0.05 * i) for i in range(2)]
    worlds = [
        make(truth).with_(
            clip_id=f"{truth.clip_id}.{stage}.seed0.0",
            parameters={"reference": truth.clip_id, "stage": stage, "training_seed": 0, "sample": 0},
        )
        for truth in truths
        for stage, make in (("stage1", at_rest), ("sft", world_of))
    ]
    labelled = [world_of(two_balls(f"real-{i}"), intrinsics=None, world_from_camera=None) for i in range(3)]
    inputs = {
        "comparison_clips": store(folder / "worlds", *worlds),
        "simulated_clips_heldout": store(folder / "heldout", *truths),
        "labeled_clips": store(folder / "labelled", truths[0], *labelled),
        "real_clips": store(folder / "real", *labelled),
        "params:world_suite": CONFIG,
        "params:pseudo_labeling": tiny_labels(folder / "depth"),
    }
    catalog = DataCatalog(
        {name: MemoryDataset(value, copy_mode="assign") for name, value in inputs.items()}
        | {
            "suite_scores": ParquetDataset(filepath=str(folder / "suite.parquet")),
            "suite_video_scores": ParquetDataset(filepath=str(folder / "videos.parquet")),
            "suite_metrics": JSONDataset(filepath=str(folder / "suite.json")),
            "suite_horizons": FigureDataset(filepath=str(folder / "horizons.json")),
        }
    )
    SequentialRunner().run(create_pipeline(), catalog)
    return catalog


def test_worlds_truths_and_as_many_videos_as_asked_for_are_scored(run: DataCatalog) -> None:
    assert set(run["suite_scores"].load()["stage"]) == {"truth", "stage1", "sft"}
    videos = run["suite_video_scores"].load()
    assert set(videos["clip_id"]) == {"real-0", "real-1"}


def test_the_metrics_say_that_the_world_like_the_truth_is_ahead_of_the_one_at_rest(run: DataCatalog) -> None:
    metrics = run["suite_metrics"].load()
    json.dumps(metrics, allow_nan=False)
    assert metrics["heads"]["chamfer_4d"]["margins"]["sft"]["stage1"]["low"] > 0
    assert metrics["heads"]["momentum_error"]["margins"]["sft"]["stage1"]["low"] > 0
    assert list(metrics["estimators"]["cycle_error"]["means"]) == ["stage1", "sft", "videos"]
    assert [point["seconds"] for point in metrics["heads"]["chamfer_4d"]["horizons"]["sft"]] == [0.25, 0.5]


def test_the_figure_is_written(run: DataCatalog) -> None:
    assert run["suite_horizons"].load().data
