"""The Kedro dataset of a pretrained model: a folder or a hub id, checked on loading, never written."""

import json
import time
from pathlib import Path

import pytest
from kedro.io import DataCatalog, DatasetError

from phys4d_kedro.datasets.pretrained_model import PretrainedModelDataset
from phys4d_kedro.errors import CheckpointError
from phys4d_kedro.world_model.folders import read_model_index

NANO = Path(__file__).parents[2] / "weights/nano_wan"


def test_a_folder_is_loaded_as_itself() -> None:
    dataset = PretrainedModelDataset(source=str(NANO))
    assert dataset.exists()
    assert dataset.load() == NANO
    assert read_model_index(dataset.load())["_class_name"] == "WanImageToVideoPipeline"


def test_a_damaged_folder_is_refused_on_loading(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "WanPipeline"}))
    with pytest.raises(DatasetError, match="it has no transformer") as caught:
        PretrainedModelDataset(source=str(tmp_path)).load()
    assert isinstance(caught.value.__cause__, CheckpointError)


def test_a_missing_folder_does_not_exist_and_a_hub_id_may(tmp_path: Path) -> None:
    assert not PretrainedModelDataset(source=str(tmp_path / "nothing")).exists()
    assert PretrainedModelDataset(source="owner/name").exists()


def test_offline_a_hub_id_is_refused_quickly() -> None:
    started = time.perf_counter()
    with pytest.raises(DatasetError, match=r"'owner/no-such-model' .*\(HF_HUB_OFFLINE=1") as caught:
        PretrainedModelDataset(source="owner/no-such-model").load()
    assert isinstance(caught.value.__cause__, CheckpointError)
    assert time.perf_counter() - started < 10  # the import of the hub's client is most of it


def test_it_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no pipeline writes"):
        PretrainedModelDataset(source=str(tmp_path)).save(lambda folder: None)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_catalog_entry_makes_it() -> None:
    kind = f"{PretrainedModelDataset.__module__}.{PretrainedModelDataset.__name__}"
    catalog = DataCatalog.from_config({"backbone": {"type": kind, "source": str(NANO)}})
    assert catalog.load("backbone") == NANO
