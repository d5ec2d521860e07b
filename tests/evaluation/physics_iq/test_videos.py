"""Reading frames: limits, rates, files that are not whole, and the blending of another frame rate."""

from pathlib import Path

import numpy as np
import pytest

from phys4d_kedro.errors import MediaError
from phys4d_kedro.evaluation.physics_iq.videos import Source, VideoInfo, blend, probe, read_frames
from tests.evaluation.physics_iq import reference
from tests.evaluation.physics_iq.official_set import film, write_h264, write_mp4v


@pytest.mark.parametrize("write", [write_mp4v, write_h264])
def test_frames_are_those_of_opencv_up_to_the_limit(tmp_path: Path, write: object) -> None:
    path = write(tmp_path / "video.mp4", film(1, 12))  # type: ignore[operator]
    info = probe(path)
    assert (info.fps, info.frames, info.height, info.width) == (30, 12, 64, 96)
    np.testing.assert_array_equal([f.copy() for f in read_frames(path, 7)], reference.read(path, 7))
    assert len([*Source(info, 100)]) == Source(info, 100).length == 12


def test_a_frame_rate_that_is_nearly_whole_is_whole(tmp_path: Path) -> None:
    info = probe(write_h264(tmp_path / "video.mp4", film(1, 10), 30000 / 1001))
    assert info.stated_fps == pytest.approx(29.97, abs=0.01)
    assert info.fps == 30
    assert VideoInfo(tmp_path, 12.5, 9, 1, 1).fps == 12.5
    assert [VideoInfo(tmp_path, fps, 9, 1, 1).within(5) for fps in (30, 24, 12.5)] == [150, 120, 63]


@pytest.mark.parametrize("content", [b"", b"no video at all", None])
def test_what_is_no_video_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "video.mp4"
    if content is None:
        whole = write_h264(tmp_path / "whole.mp4", film(1, 10)).read_bytes()
        content = whole[: len(whole) // 2]  # the index comes last
    path.write_bytes(content)
    with pytest.raises(MediaError, match=r"video\.mp4"):
        probe(path)


@pytest.mark.parametrize(("given", "wanted"), [(15, 12), (15, 24), (15, 15), (2, 5), (6, 1)])
def test_blending_is_linear_between_neighbours(given: int, wanted: int) -> None:
    frames = film(2, given, (16, 24))
    expected = []
    for j in range(wanted):
        position = j * (given - 1) / max(wanted - 1, 1)
        index = int(position)
        share = position - index
        first, second = (frames[min(i, given - 1)].astype(np.float32) for i in (index, index + 1))
        expected.append(((1 - share) * first + share * second).astype(np.uint8))
    np.testing.assert_array_equal(list(blend(iter(frames), given, wanted)), expected)
