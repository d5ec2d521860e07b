"""Recordings for Rerun: what a viewer finds in them, and a clear word where Rerun is missing."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import factories
import pytest

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import ConfigurationError, MissingAnnotationError
from phys4d_kedro.reporting.recording import find_clip, record, record_worlds

SEEN = ("camera", "camera/rgb", "camera/depth", "points")
EXACT = ("camera/instances", "tracks/now", "tracks/so_far")


def test_clip_of_a_scene_is_found(tmp_path: Path) -> None:
    clips = [factories.make_clip(index).with_(scene=f"scene_{index % 2}") for index in range(4)]
    write_shards(clips, str(tmp_path), clips_per_shard=4)
    store = ClipStore(str(tmp_path))
    assert find_clip(store, "scene_1").clip_id == "sphere-0001"
    with pytest.raises(ConfigurationError, match=r"no clip of the scene 'scene_7'.*scene_0, scene_1"):
        find_clip(store, "scene_7")


def test_missing_annotations_are_named() -> None:
    clip = factories.make_clip(0)
    with pytest.raises(MissingAnnotationError, match=r"sphere-0000.*depth"):
        record(clip.with_(depth=None))
    with pytest.raises(MissingAnnotationError, match=r"generated-0.*intrinsics"):
        record(clip, clip.with_(clip_id="generated-0", intrinsics=None))
    with pytest.raises(MissingAnnotationError, match=r"world-0.*depth"):
        record_worlds(clip, {"rl": clip.with_(clip_id="world-0", depth=None)})


@pytest.mark.skipif(importlib.util.find_spec("rerun") is not None, reason="the extra 'rerun' is installed")
def test_without_rerun_the_extra_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"pip install 'phys4d_kedro\[rerun\]'"):
        record(factories.make_clip(0))


class TestRecording:
    """What Rerun's own reader finds in a file."""

    pytestmark = pytest.mark.skipif(
        importlib.util.find_spec("rerun") is None, reason="the extra 'rerun' is not installed"
    )

    @staticmethod
    def entities(recording: bytes, folder: Path) -> set[str]:
        file = folder / "clip.rrd"
        file.write_bytes(recording)
        command = [sys.executable, "-m", "rerun", "rrd", "print", "-vv", str(file)]
        shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
        return set(re.findall(r"/(?:world|generated|prompt|stage1|rl)[/\w]*", shown))

    def test_holds_images_points_camera_and_tracks(self, tmp_path: Path) -> None:
        found = self.entities(record(factories.make_clip(0)), tmp_path)
        assert {"/world", "/prompt", *(f"/world/{name}" for name in SEEN + EXACT)} <= found
        assert not any(name.startswith("/generated") for name in found)

    def test_of_a_generated_clip_leaves_out_what_it_lacks(self, tmp_path: Path) -> None:
        found = self.entities(record(generated(factories.make_clip(0))), tmp_path)
        assert {"/world", "/prompt", *(f"/world/{name}" for name in SEEN)} <= found
        assert not found & {f"/world/{name}" for name in EXACT}

    def test_holds_a_true_and_a_generated_clip(self, tmp_path: Path) -> None:
        clip = factories.make_clip(0)
        found = self.entities(record(clip, generated(clip)), tmp_path)
        assert {f"/world/{name}" for name in SEEN + EXACT} | {f"/generated/{name}" for name in SEEN} <= found
        assert not found & {f"/generated/{name}" for name in EXACT}

    def test_holds_a_true_clip_and_the_world_of_each_stage(self, tmp_path: Path) -> None:
        clip = factories.make_clip(0)
        world = generated(clip).with_(intrinsics=None, world_from_camera=None)
        found = self.entities(record_worlds(clip, {"stage1": world, "rl": world}), tmp_path)
        assert {f"/world/{name}" for name in SEEN + EXACT} <= found
        for stage in ("stage1", "rl"):
            assert {f"/{stage}/{name}" for name in SEEN} <= found
            assert not found & {f"/{stage}/{name}" for name in EXACT}


def generated(clip: Clip) -> Clip:
    """The clip with no more than generation leaves."""
    return clip.with_(
        clip_id=f"{clip.clip_id}.seed0",
        source="pseudo",
        segmentation=None,
        tracks=None,
        track_instance=None,
        track_visible=None,
    )
