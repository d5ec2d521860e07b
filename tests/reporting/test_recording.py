"""Recordings for Rerun: what a viewer finds in them, and a clear word where Rerun is missing."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import factories
import pytest

from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import ConfigurationError, MissingAnnotationError
from phys4d_kedro.reporting.recording import find_clip, record

ENTITIES = (
    *("/world", "/prompt", "/world/camera", "/world/camera/rgb", "/world/camera/depth", "/world/camera/instances"),
    *("/world/points", "/world/tracks/now", "/world/tracks/so_far"),
)


def test_clip_of_a_scene_is_found(tmp_path: Path) -> None:
    clips = [factories.make_clip(index).with_(scene=f"scene_{index % 2}") for index in range(4)]
    write_shards(clips, str(tmp_path), clips_per_shard=4)
    store = ClipStore(str(tmp_path))
    assert find_clip(store, "scene_1").clip_id == "sphere-0001"
    with pytest.raises(ConfigurationError, match=r"no clip of the scene 'scene_7'.*scene_0, scene_1"):
        find_clip(store, "scene_7")


def test_missing_annotations_are_named() -> None:
    clip = factories.make_clip(0).with_(tracks=None, track_instance=None, track_visible=None)
    with pytest.raises(MissingAnnotationError, match=r"sphere-0000.*tracks"):
        record(clip)


@pytest.mark.skipif(importlib.util.find_spec("rerun") is not None, reason="the extra 'rerun' is installed")
def test_without_rerun_the_extra_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"pip install 'phys4d_kedro\[rerun\]'"):
        record(factories.make_clip(0))


def test_recording_holds_images_points_camera_and_tracks(tmp_path: Path) -> None:
    pytest.importorskip("rerun", reason="the extra 'rerun' is not installed")
    clip = factories.make_clip(0)
    file = tmp_path / "clip.rrd"
    file.write_bytes(record(clip))
    command = [sys.executable, "-m", "rerun", "rrd", "print", "-vv", str(file)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert [entity for entity in ENTITIES if entity not in shown] == []
    checked = [sys.executable, "-m", "rerun", "rrd", "verify", str(file)]
    assert subprocess.run(checked, capture_output=True, timeout=60, check=False).returncode == 0
