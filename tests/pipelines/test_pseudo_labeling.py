"""The pseudo-labelling pipeline as it is configured, on analytic clips and a tiny random depth model."""

from pathlib import Path

import pytest
from factories import make_clip
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.datasets.clip_shards import ClipShardsDataset
from phys4d_kedro.errors import DataQualityError
from phys4d_kedro.perception.config import PseudoLabelConfig
from phys4d_kedro.perception.nano_depth_anything import build_model, save_model
from phys4d_kedro.pipelines.pseudo_labeling import create_pipeline
from tests.perception.tiny_depth import TINY_DEPTH

CONF = Path(__file__).parents[2] / "conf"


def configured(model: Path, **quality: int) -> PseudoLabelConfig:
    """The project's own parameters, with this model and these expectations."""
    parameters = OmegaConfigLoader(str(CONF), base_env="base", default_run_env="local")["parameters"]["pseudo_labeling"]
    parameters["depth"]["model"] = str(model)
    parameters["quality"] |= quality
    return PseudoLabelConfig.model_validate(parameters)


def catalog(folder: Path, parameters: PseudoLabelConfig) -> DataCatalog:
    stores = {}
    for name, first, count in (("simulated_clips_train", 0, 2), ("real_clips", 10, 1)):
        clips = [make_clip(first + i) for i in range(count)]
        write_shards([c if first == 0 else c.with_(depth=None) for c in clips], str(folder / name), clips_per_shard=2)
        stores[name] = MemoryDataset(ClipStore(str(folder / name)), copy_mode="assign")
        stores[f"{name}_quality"] = MemoryDataset({})
    return DataCatalog(
        stores
        | {
            "params:pseudo_labeling": MemoryDataset(parameters),
            "params:pseudo_labeling.quality": MemoryDataset(parameters.quality),
            "labeled_clips": ClipShardsDataset(filepath=str(folder / "labeled"), clips_per_shard=2),
            "labeled_clips_quality": MemoryDataset(),
        }
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save_model(build_model(TINY_DEPTH, seed=0), tmp_path / "model")
    return tmp_path / "model"


def test_simulated_and_real_clips_come_out_labelled_and_checked(tmp_path: Path, model: Path) -> None:
    data = catalog(tmp_path, configured(model, frames=5, height=32, width=32))
    SequentialRunner().run(create_pipeline(), data)
    labels = ClipStore(str(tmp_path / "labeled"))
    assert labels.ids == [make_clip(i).clip_id for i in (0, 1, 10)]
    for clip in labels:
        clip.require("depth", "depth_confidence", "motion", "motion_valid", "motion_confidence")
        assert clip.source == "pseudo"
        assert clip.segmentation is None
    assert data["labeled_clips_quality"].load()["clips"] == 3


def test_labels_that_break_the_expectations_stop_the_run(tmp_path: Path, model: Path) -> None:
    data = catalog(tmp_path, configured(model, frames=9, height=32, width=32))
    with pytest.raises(DataQualityError, match="sphere-0000"):
        SequentialRunner().run(create_pipeline(), data)


def test_doubtful_labels_stop_the_run(tmp_path: Path, model: Path) -> None:
    quality = {"frames": 5, "height": 32, "width": 32, "min_depth_confidence": 1}
    data = catalog(tmp_path, configured(model, **quality))
    with pytest.raises(DataQualityError, match=r"depth_confidence: .*: clips sphere-0000"):
        SequentialRunner().run(create_pipeline(), data)
