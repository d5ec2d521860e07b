"""From sources to clips: windows, what stops a run, what is left out, and resuming."""

import dataclasses
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import MediaError
from phys4d_kedro.ingestion.collect import collect_clips
from phys4d_kedro.ingestion.config import IngestionConfig

from .conftest import WriteIsaac, numbered, write_video


def configure(folder: Path, sources: Sequence[dict[str, Any]] = (), **changes: Any) -> IngestionConfig:
    settings: dict[str, Any] = {
        "height": 16,
        "width": 16,
        "frames": 5,
        "fps": 8,
        "sources": [*sources] or [{"kind": "videos", "folder": str(folder)}],
        "quality": {},
    }
    return IngestionConfig(**(settings | changes))


def ids_of(source: ClipSource) -> list[str]:
    """The ids of the clips, which are made for that."""
    return [source.make(index).clip_id for index in range(len(source))]


def test_windows_of_a_video(tmp_path: Path) -> None:
    """60 frames at 24 are 20 at 8: clips of 5 from 0, 4, 8, 12."""
    write_video(tmp_path / "my video.mp4", numbered(60))
    source, report = collect_clips(configure(tmp_path, stride=4))
    assert len(source) == 4
    for index, start in enumerate((0, 4, 8, 12)):
        clip = source.make(index)
        assert re.fullmatch(rf"my_video-[0-9a-f]{{8}}-{start:05d}", clip.clip_id)
        assert (clip.rgb[:, 0, 0, 0] // 2).tolist() == [3 * (start + k) for k in range(5)]
        assert (clip.fps, clip.source, clip.category, clip.scene) == (8.0, "import", "real", "my_video")
        assert clip.parameters["start_seconds"] == start / 8
    assert report["sources"] == [{"kind": "videos", "place": str(tmp_path), "files": 1, "clips": 4}]
    assert len(collect_clips(configure(tmp_path))[0]) == 4
    assert len(collect_clips(configure(tmp_path, stride=1, max_clips_per_video=3))[0]) == 3


@pytest.fixture
def folder_with_faults(tmp_path: Path) -> Path:
    """Two good videos, one empty, one cut off, one too short, one slow, and a copy."""
    good = write_video(tmp_path / "good.mp4", numbered(60))
    write_video(tmp_path / "other.mp4", numbered(48)[::-1])
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "cut.mp4").write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    write_video(tmp_path / "short.mp4", numbered(9))
    write_video(tmp_path / "slow.mp4", numbered(60), fps=4)
    return tmp_path


def test_bad_files_among_good_ones_stop_the_run_with_all_of_them_named(folder_with_faults: Path) -> None:
    with pytest.raises(MediaError, match="4 of the files cannot be used") as caught:
        collect_clips(configure(folder_with_faults))
    message = str(caught.value)
    assert "empty.mp4' is an empty file" in message
    assert "cut.mp4' cannot be read" in message
    assert "short.mp4' is shorter than a clip: 3 frames at the clip's rate, 5 are needed" in message
    assert "slow.mp4' has 4 frames per second, fewer than ingestion.fps = 8" in message
    assert "good.mp4" not in message
    assert "on_error: skip" in message


def test_skip_leaves_them_out_logged_and_recorded(folder_with_faults: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        source, report = collect_clips(configure(folder_with_faults, on_error="skip"))
    assert {clip_id.split("-")[0] for clip_id in ids_of(source)} == {"good", "other"}
    assert [Path(entry["file"]).name for entry in report["skipped"]] == [
        "cut.mp4",
        "empty.mp4",
        "short.mp4",
        "slow.mp4",
    ]
    assert caplog.text.count("left out:") == 4


def test_a_copy_is_used_once(tmp_path: Path) -> None:
    original = write_video(tmp_path / "a/v.mp4", numbered(60))
    (tmp_path / "b").mkdir()
    (tmp_path / "b/v.mp4").write_bytes(original.read_bytes())
    source, report = collect_clips(configure(tmp_path))
    assert len(source) == len(set(ids_of(source))) == 4
    [left_out] = report["skipped"]
    assert "b/v.mp4' has the same content as" in left_out["reason"]


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").touch()
    with pytest.raises(MediaError, match="nothing that a clip can be made of"):
        collect_clips(configure(tmp_path, on_error="skip"))


def test_the_fingerprint_follows_content_and_settings(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", numbered(60))
    first = collect_clips(configure(tmp_path))[0].fingerprint
    assert collect_clips(configure(tmp_path))[0].fingerprint == first
    assert collect_clips(configure(tmp_path, fps=12))[0].fingerprint != first
    assert collect_clips(configure(tmp_path, height=24))[0].fingerprint != first
    write_video(tmp_path / "v.mp4", numbered(60)[::-1])
    assert collect_clips(configure(tmp_path))[0].fingerprint != first


def test_video_clips_go_to_shards_by_several_processes_and_resume(tmp_path: Path) -> None:
    write_video(tmp_path / "in/v.mp4", numbered(60))
    source, _ = collect_clips(configure(tmp_path / "in", stride=2))
    write_shards(source, str(tmp_path / "out"), clips_per_shard=3, jobs=2)
    (tmp_path / "out/shards/shard-000001.tar").unlink()
    write_shards(collect_clips(configure(tmp_path / "in", stride=2))[0], str(tmp_path / "out"), clips_per_shard=3)
    store = ClipStore(str(tmp_path / "out"))
    assert store.ids == ids_of(source)
    np.testing.assert_array_equal(store[4].rgb, source.make(4).rgb)


def test_isaac_sequences_become_clips_with_annotations(write_isaac: WriteIsaac, tmp_path: Path) -> None:
    write_isaac(tmp_path)
    isaac = {"kind": "isaac", "folder": str(tmp_path), "fps": 24}
    config = configure(tmp_path, [isaac], height=48, width=48, stride=4)
    source, report = collect_clips(config)
    assert ids_of(source) == ["ball_env_0_0_1-00000", "ball_env_0_0_1-00004"]
    clip = source.make(1)
    clip.require("depth", "motion", "motion_valid", "intrinsics", "world_from_camera")
    assert (clip.fps, clip.scene, clip.parameters["first_step"]) == (24.0, "ball", "step_0004")
    assert report["sources"][0]["clips"] == 2
    with pytest.raises(MediaError, match=r"ball/env_0/0/1' is shorter than a clip: 9 frames"):
        collect_clips(configure(tmp_path, [isaac], frames=13))


def test_damage_that_only_decoding_shows_is_an_error_when_the_clip_is_made(
    write_isaac: WriteIsaac, tmp_path: Path
) -> None:
    folder = write_isaac(tmp_path / "in")
    file = folder / "distance_to_camera/step_0006.npy"
    distance = np.load(file)
    distance[3, 4] = np.nan
    np.save(file, distance)
    isaac = {"kind": "isaac", "folder": str(tmp_path / "in"), "fps": 24}
    source, _ = collect_clips(configure(tmp_path, [isaac], stride=4))
    with pytest.raises(MediaError, match=r"step_0006\.npy': 1 distances are not positive, 1 of them NaN"):
        write_shards(source, str(tmp_path / "out"), clips_per_shard=1)
    assert (tmp_path / "out/shards/shard-000000.tar").exists()
    with pytest.raises(MediaError, match="nothing that a clip"):
        collect_clips(configure(tmp_path, [isaac], stride=4, on_error="skip"))


def test_wrong_parameters_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"1 \+ 4k frames"):
        configure(tmp_path, frames=16)
    with pytest.raises(ValidationError, match="kind"):
        configure(tmp_path, [{"kind": "images", "folder": "x"}])
    with pytest.raises(ValidationError, match="fps"):
        configure(tmp_path, fps="fast")
    with pytest.raises(ValidationError, match="sources"):
        IngestionConfig(**(configure(tmp_path).model_dump() | {"sources": []}))
    with pytest.raises(ValidationError, match="heigth"):
        configure(tmp_path, heigth=3)


def test_make_travels_to_other_processes(tmp_path: Path) -> None:
    import pickle

    write_video(tmp_path / "v.mp4", numbered(60))
    source, _ = collect_clips(configure(tmp_path))
    copy = dataclasses.replace(source, make=pickle.loads(pickle.dumps(source.make)))
    np.testing.assert_array_equal(copy.make(0).rgb, source.make(0).rgb)
