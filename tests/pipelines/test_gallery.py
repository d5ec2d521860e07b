"""The gallery and recording pipelines as they are configured, on two quick scenes."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner
from PIL import Image

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.pipelines.gallery import create_pipeline
from phys4d_kedro.pipelines.gallery.nodes import make_gallery_clips
from phys4d_kedro.pipelines.recording import create_pipeline as create_recording
from phys4d_kedro.reporting.gallery_config import GalleryConfig
from phys4d_kedro.simulation.config import SimulationConfig
from phys4d_kedro.simulation.scenes import SCENES

CONF = Path(__file__).parents[2] / "conf"
SMALL = {"scenes": ["pendulum", "ball_ramp"], "height": 32, "width": 32, "frames": 5, "samples": 1, "draws": 20}


def parameters(**changes: Any) -> tuple[SimulationConfig, GalleryConfig]:
    """The project's, with a small gallery."""
    loaded = OmegaConfigLoader(str(CONF), base_env="base", default_run_env="local")["parameters"]
    gallery = loaded["gallery"] | SMALL | changes
    return SimulationConfig.model_validate(loaded["simulation"]), GalleryConfig.model_validate(gallery)


def configured(folder: Path, pipeline: Pipeline, **changes: Any) -> DataCatalog:
    """The project's catalog of a pipeline, with the data under `folder`."""
    catalog = OmegaConfigLoader(str(CONF), base_env="base", default_run_env="local")["catalog"]
    entries = {name: entry for name, entry in catalog.items() if name in pipeline.datasets()}
    assert set(entries) == {name for name in pipeline.datasets() if not name.startswith("params:")}
    for name, entry in entries.items():
        key = "path" if name == "gallery_sheets" else "filepath"
        entry[key] = str(folder / entry[key])
    entries["gallery_clips"]["jobs"] = 1
    made = DataCatalog.from_config(entries)
    made["params:simulation"], made["params:gallery"] = (MemoryDataset(one) for one in parameters(**changes))
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the gallery pipeline has run."""
    path = tmp_path_factory.mktemp("gallery")
    SequentialRunner().run(create_pipeline(), configured(path, create_pipeline()))
    return path


def test_there_is_a_clip_of_every_scene(folder: Path) -> None:
    clips = configured(folder, create_pipeline()).load("gallery_clips")
    assert clips.manifest["scene"].tolist() == ["pendulum", "ball_ramp"]
    assert clips[0].rgb.shape == (5, 32, 32, 3)
    assert clips[0].clip_id.startswith("gallery-pendulum-")
    assert clips[0].prompt.endswith("Static camera.")


def test_pictures_lie_in_the_documents(folder: Path) -> None:
    pictures = {str(file.relative_to(folder / "docs/gallery")) for file in (folder / "docs/gallery").glob("**/*.*")}
    categories = {"articulated", "rigid_bodies"}
    assert pictures == {
        "overview.png",
        *(f"scenes/{category}.png" for category in categories),
        *(f"distributions/{category}.png" for category in (*categories, "looks_and_camera")),
    }
    for picture in pictures:
        assert (folder / "docs/gallery" / picture).stat().st_size < 700_000
    with Image.open(folder / "docs/gallery/scenes/articulated.png") as sheet:
        assert sheet.mode == "P"


def test_kedro_viz_gets_a_preview(folder: Path) -> None:
    catalog = configured(folder, create_pipeline())
    assert len(catalog.get("gallery_overview_figure").preview()) > 1000


def test_interrupted_clips_are_kept(folder: Path) -> None:
    shards = sorted((folder / "data/02_intermediate/gallery_clips").glob("**/*.tar"))
    before = [shard.stat().st_mtime_ns for shard in shards]
    assert len(shards) == 2
    catalog = configured(folder, create_pipeline())
    catalog.save("gallery_clips", make_gallery_clips(*parameters()))
    assert [shard.stat().st_mtime_ns for shard in shards] == before


def test_all_scenes_are_shown_by_default() -> None:
    assert make_gallery_clips(*parameters(scenes=None)).count == len(SCENES)


def test_recording_is_a_file_or_names_the_extra(folder: Path) -> None:
    catalog = configured(folder, create_recording(), recording_scene="pendulum")
    if importlib.util.find_spec("rerun") is None:
        with pytest.raises(ConfigurationError, match=r"phys4d_kedro\[rerun\]"):
            SequentialRunner().run(create_recording(), catalog)
    else:
        SequentialRunner().run(create_recording(), catalog)
        assert (folder / "data/08_reporting/gallery_recording.rrd").read_bytes().startswith(b"RRF")
