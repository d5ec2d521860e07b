"""The depth estimator pipeline from simulation to the published folder, with the project's parameters made tiny."""

from pathlib import Path

import pytest
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro_datasets.json import JSONDataset
from transformers import AutoModelForDepthEstimation

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.datasets.clip_shards import ClipShardsDataset
from phys4d_kedro.datasets.model_directory import ModelDirectoryDataset
from phys4d_kedro.pipelines.depth_estimator import create_pipeline
from phys4d_kedro.simulation.config import SimulationConfig
from phys4d_kedro.training.config import DepthModelConfig

CONF = Path(__file__).parents[2] / "conf"


def tiny_parameters(folder: Path) -> tuple[SimulationConfig, DepthModelConfig]:
    parameters = OmegaConfigLoader(str(CONF), base_env="base", default_run_env="local")["parameters"]
    simulation, training = (parameters["depth_estimator"][part] for part in ("simulation", "training"))
    simulation |= {"height": 32, "width": 32, "scenes": ["ball_collide"], "samples": 1}
    simulation |= {"train": {"clips": 2}, "heldout": {"clips": 1}}
    simulation["quality"] |= {"height": 32, "width": 32}
    training["model"] |= {"image_size": 32, "hidden_size": 24, "layers": 4}
    training["loop"] |= {"steps": 2, "batch_size": 4, "log_every": 1}
    training["checkpoint_dir"] = str(folder / "checkpoints")
    return SimulationConfig.model_validate(simulation), DepthModelConfig.model_validate(training)


@pytest.mark.slow
def test_pipeline_leaves_a_loadable_model_its_card_and_its_scores(tmp_path: Path) -> None:
    simulation, training = tiny_parameters(tmp_path)
    data = DataCatalog(
        {
            "params:depth_estimator.simulation": MemoryDataset(simulation),
            "params:depth_estimator.simulation.quality": MemoryDataset(simulation.quality),
            "params:depth_estimator.training": MemoryDataset(training),
            "depth_clips_train": ClipShardsDataset(filepath=str(tmp_path / "train")),
            "depth_clips_heldout": ClipShardsDataset(filepath=str(tmp_path / "heldout")),
            "trained_depth_model": ModelDirectoryDataset(filepath=str(tmp_path / "trained")),
            "nano_depth_anything": ModelDirectoryDataset(filepath=str(tmp_path / "published")),
            "depth_clips_train_quality": MemoryDataset(),
            "depth_clips_heldout_quality": MemoryDataset(),
            "depth_estimator_history": MemoryDataset(),
            "depth_estimator_scores": JSONDataset(filepath=str(tmp_path / "scores.json")),
        }
    )
    SequentialRunner().run(create_pipeline(), data)
    assert not set(ClipStore(str(tmp_path / "train")).ids) & set(ClipStore(str(tmp_path / "heldout")).ids)
    AutoModelForDepthEstimation.from_pretrained(tmp_path / "published")
    scores = data["depth_estimator_scores"].load()
    assert set(scores) == {"model", "constant_median", "pixel_median"}
    assert all(set(regions) == {"image", "objects"} for regions in scores.values())
    card = (tmp_path / "published" / "README.md").read_text()
    assert f"{scores['model']['image']['abs_rel']:.3f}" in card
    assert "10 frames of 2 clips" in card
    assert data["depth_estimator_history"].load()["step"].tolist() == [1, 2]
