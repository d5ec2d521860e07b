"""The comparison pipeline, run on tiny models of the real classes, stages of random weights and analytic clips."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro_datasets.json import JSONDataset
from kedro_datasets.matplotlib import MatplotlibDataset
from kedro_datasets.pandas import ParquetDataset
from kedro_datasets.partitions import PartitionedDataset
from kedro_datasets.plotly import JSONDataset as FigureDataset

from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.datasets.clip_shards import ClipShardsDataset
from phys4d_kedro.datasets.latent_cache import LatentCacheDataset
from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.evaluation.comparison import COMPARISON_METRICS, GENERATION, PERCEPTION, STAGES
from phys4d_kedro.evaluation.comparison_config import ComparisonConfig
from phys4d_kedro.pipelines.comparison import create_pipeline
from phys4d_kedro.pipelines.comparison.nodes import record_comparison
from phys4d_kedro.world_model.config import LoadingConfig, SamplingConfig
from tests.evaluation.tiny_estimators import EVALUATION, tiny_labels
from tests.factories import make_clip
from tests.world_model.families import FORMS
from tests.world_model.tiny_stages import write_stages

PARAMETERS = ComparisonConfig(
    clips=3,
    samples=2,
    sampling=SamplingConfig(steps=2, guidance=1.0, batch_size=2),
    bootstrap_resamples=50,
    sheet_clips=2,
    sheet_columns=3,
    seed=0,
)
SEEDS = 2
BYTES = {
    "type": "text.TextDataset",
    "fs_args": {"open_args_save": {"mode": "wb"}, "open_args_load": {"mode": "rb"}},
}


def catalog(folder: Path) -> DataCatalog:
    """Everything the pipeline takes, made in `folder`; its outputs as they are configured."""
    backbone = folder / "backbone"
    FORMS[0].build(backbone)
    write_shards([make_clip(i) for i in range(4)], str(folder / "heldout"), clips_per_shard=4)
    heldout = ClipStore(str(folder / "heldout"))
    stages = write_stages(backbone, folder / "stages", SEEDS)
    inputs = {
        "backbone": backbone,
        "heads": stages["stage1"],
        "appearance_control_models": stages["appearance_control"],
        "sft_models": stages["sft"],
        "rl_models": stages["rl"],
        "simulated_clips_heldout": heldout,
        "simulated_clips_heldout_quality": {},
        "params:comparison": PARAMETERS,
        "params:evaluation": EVALUATION,
        "params:pseudo_labeling": tiny_labels(folder / "depth"),
        "params:world_model": LoadingConfig(device="cpu"),
    }
    return DataCatalog(
        {name: MemoryDataset(value, copy_mode="assign") for name, value in inputs.items()}
        | {
            "comparison_latents": LatentCacheDataset(filepath=str(folder / "latents")),
            "comparison_clips": ClipShardsDataset(filepath=str(folder / "worlds"), clips_per_shard=5),
            "comparison_scores": ParquetDataset(filepath=str(folder / "comparison.parquet")),
            "comparison_metrics": JSONDataset(filepath=str(folder / "comparison.json")),
            "comparison_table": FigureDataset(filepath=str(folder / "comparison_table.json")),
            "comparison_margins": FigureDataset(filepath=str(folder / "comparison_margins.json")),
            "comparison_sheets": MatplotlibDataset(filepath=str(folder / "sheets"), overwrite=True),
            "comparison_videos": PartitionedDataset(
                path=str(folder / "videos"), filename_suffix=".mp4", dataset=BYTES, overwrite=True
            ),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("comparison")


@pytest.fixture(scope="module")
def run(folder: Path) -> DataCatalog:
    made = catalog(folder)
    SequentialRunner().run(create_pipeline(), made)
    return made


def test_every_training_is_scored_on_every_clip(run: DataCatalog) -> None:
    table = run["comparison_scores"].load()
    assert set(table["stage"]) == set(STAGES)
    assert set(table["seed"]) == set(range(SEEDS))
    assert np.isfinite(table["value"]).all()
    assert not table.duplicated(["kind", "stage", "seed", "sample", "clip_id", "metric"]).any()
    for kind, metrics in COMPARISON_METRICS.items():
        own = table[table["kind"] == kind]
        assert set(own["metric"]) == set(metrics)
        samples = PARAMETERS.samples if kind == GENERATION else 1
        counts = own.groupby("metric").size() / (len(STAGES) * SEEDS * samples)
        assert set(counts) == {1, PARAMETERS.clips} if kind == GENERATION else {PARAMETERS.clips}
    assert table.loc[table["kind"] == PERCEPTION, "sample"].isna().all()


def test_stages_differ_where_their_weights_do(run: DataCatalog) -> None:
    """Trainings of stage 1 make the same RGB and see different worlds in it; all others differ in both."""
    table = run["comparison_scores"].load()
    clips = table[table["clip_id"].notna()].set_index(["clip_id", "sample"])

    def values(stage: str, seed: int, metric: str) -> np.ndarray:
        chosen = clips[(clips["stage"] == stage) & (clips["seed"] == seed) & (clips["metric"] == metric)]
        return chosen.sort_index()["value"].to_numpy()

    np.testing.assert_array_equal(values("stage1", 0, "mse"), values("stage1", 1, "mse"))
    for metric in ("warp_residual", "abs_rel_image", "world_distance_heads"):
        assert (values("stage1", 0, metric) != values("stage1", 1, metric)).all()
    for metric in ("mse", "warp_residual", "epe_image", "world_distance_heads"):
        assert (values("sft", 0, metric) != values("sft", 1, metric)).any()
        assert (values("sft", 0, metric) != values("rl", 0, metric)).any()


def test_the_summary_is_plain_json_with_margins_over_all_earlier_stages(run: DataCatalog) -> None:
    metrics = run["comparison_metrics"].load()
    json.dumps(metrics, allow_nan=False)
    for kind, names in COMPARISON_METRICS.items():
        assert list(metrics[kind]) == list(names)
    assert list(metrics[GENERATION]["mse"]["margins"]["rl"]) == ["stage1", "appearance_control", "sft"]
    assert metrics[GENERATION]["mse"]["means"]["stage1"]["seed_std"] == pytest.approx(0)


def test_figures_and_sheets_are_written(run: DataCatalog, folder: Path) -> None:
    for name in ("comparison_table", "comparison_margins"):
        assert run[name].load().data
    assert sorted(path.name for path in (folder / "sheets").iterdir()) == ["sphere-0000.png", "sphere-0001.png"]
    assert sorted(path.name for path in (folder / "videos").iterdir()) == ["sphere-0000.mp4", "sphere-0001.mp4"]
    with av.open(str(folder / "videos/sphere-0000.mp4")) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == 4  # the last frame has no motion
    # Five rows, of the truth and four stages, and three columns of pictures enlarged to 256 pixels.
    assert frames[0].shape[0] // 256 == 5
    assert frames[0].shape[1] // 256 == 3


def test_the_first_clip_is_recorded_or_the_extra_is_named(run: DataCatalog) -> None:
    worlds, heldout = run["comparison_clips"].load(), run["simulated_clips_heldout"].load()
    if importlib.util.find_spec("rerun") is None:
        with pytest.raises(ConfigurationError, match=r"phys4d_kedro\[rerun\]"):
            record_comparison(worlds, heldout)
    else:
        assert record_comparison(worlds, heldout).startswith(b"RRF")


def test_running_again_gives_the_same_and_keeps_the_worlds(run: DataCatalog, folder: Path) -> None:
    def shards() -> dict[str, Any]:
        return {path.name: path.stat().st_mtime_ns for path in (folder / "worlds").rglob("*.tar")}

    table, before = run["comparison_scores"].load(), shards()
    SequentialRunner().run(create_pipeline().only_nodes_with_outputs("comparison_clips", "comparison_scores"), run)
    assert shards() == before
    assert run["comparison_scores"].load().equals(table)
