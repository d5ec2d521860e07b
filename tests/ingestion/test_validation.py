"""Expectations over video files: good ones pass, each fault is named with its video, before any clip is described."""

import json
from pathlib import Path
from typing import Any

import pytest

from phys4d_kedro.errors import DataQualityError, MediaError
from phys4d_kedro.ingestion.collect import collect_clips
from phys4d_kedro.ingestion.config import IngestionConfig, VideoExpectations

from .conftest import numbered, write_video


def configure(folder: Path, **changes: Any) -> IngestionConfig:
    settings: dict[str, Any] = {"height": 16, "width": 16, "frames": 5, "fps": 8, "quality": {}}
    return IngestionConfig(**(settings | {"sources": [{"kind": "videos", "folder": str(folder)}]} | changes))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A video of 60 frames at 24, and one of half as many."""
    write_video(tmp_path / "long.mp4", numbered(60))
    write_video(tmp_path / "brief.mp4", numbered(30)[::-1])
    return tmp_path


def test_good_videos_pass_and_are_described(folder: Path) -> None:
    expected = VideoExpectations(
        containers=("mp4",), min_height=8, min_fps=20, max_fps=30, min_seconds=1, max_seconds=3
    )
    _, report = collect_clips(configure(folder, videos=expected))
    assert json.loads(json.dumps(report)) == report
    assert all(check["success"] for check in report["checks"])
    facts = {Path(row["video"]).name: row for row in report["videos"]}
    assert (facts["long.mp4"]["frames"], facts["brief.mp4"]["frames"]) == (60, 30)
    assert facts["long.mp4"]["fps"] == pytest.approx(24)
    assert facts["long.mp4"]["seconds"] == pytest.approx(60 / 24)
    assert facts["brief.mp4"]["codec"] == "h264"
    assert "mp4" in facts["brief.mp4"]["container"].split(",")


@pytest.mark.parametrize(
    ("expected", "column"),
    [
        ({"min_seconds": 2}, "seconds"),
        ({"min_height": 1000}, "height"),
        ({"min_width": 1000}, "width"),
        ({"min_fps": 25}, "fps"),
        ({"max_fps": 23}, "fps"),
        ({"containers": ("avi", "matroska")}, "container"),
    ],
)
def test_a_video_that_is_not_as_expected_is_named_with_the_column(
    folder: Path, expected: dict[str, Any], column: str
) -> None:
    with pytest.raises(DataQualityError, match=rf"- {column}: .*: videos .*brief\.mp4") as caught:
        collect_clips(configure(folder, videos=expected))
    assert ("long.mp4" in str(caught.value)) == (column != "seconds")


def test_only_some_of_the_files_may_be_left_out(folder: Path) -> None:
    (folder / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(MediaError, match=r"broken\.mp4"):
        collect_clips(configure(folder))
    _, report = collect_clips(configure(folder, on_error="skip", videos={"min_readable_share": 0.6}))
    assert len(report["videos"]) == 2
    with pytest.raises(DataQualityError, match=r"readable: .*: videos .*broken\.mp4"):
        collect_clips(configure(folder, on_error="skip", videos={"min_readable_share": 0.7}))
