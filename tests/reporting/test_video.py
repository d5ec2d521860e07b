"""MP4 files: decoded again they show what the clip holds."""

import io

import av
import factories
import numpy as np
import pytest

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.errors import InvalidClipError
from phys4d_kedro.reporting.colors import depth_colors, depth_range, motion_colors, motion_scale
from phys4d_kedro.reporting.video import clip_videos, comparison_video, encode_mp4, enlarge


def decode(content: bytes) -> tuple[np.ndarray, dict[str, object]]:
    """Frames (T, H, W, 3) of an MP4 file, and what it says of itself."""
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.video[0]
        codec = stream.codec_context
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        facts = {
            "container": container.format.name,
            "codec": codec.name,
            "format": codec.pix_fmt,
            "fps": float(stream.average_rate),
            "seconds": float(stream.duration * stream.time_base),
            "colours": (codec.colorspace, codec.color_primaries, codec.color_trc, codec.color_range),
        }
    return np.stack(frames), facts


def error(shown: np.ndarray, expected: np.ndarray) -> float:
    """Mean difference in levels of grey: 4:2:0 halves the resolution of colour, not of brightness."""
    return float(np.abs(shown.astype(float).mean(-1) - expected.astype(float).mean(-1)).mean())


@pytest.fixture
def clip() -> Clip:
    return factories.make_clip(0, height=16, width=24)


def test_file_is_h264_that_browsers_play(clip: Clip) -> None:
    _, facts = decode(encode_mp4(clip.rgb, clip.fps))
    assert "mp4" in str(facts["container"])
    assert (facts["codec"], facts["format"]) == ("h264", "yuv420p")
    assert facts["fps"] == clip.fps
    assert facts["seconds"] == pytest.approx(clip.frames / clip.fps)
    assert facts["colours"] == (1, 1, 13, 1)  # BT.709, sRGB's curve, limited range: as tagged, so shown


def test_frames_come_back(clip: Clip) -> None:
    frames, _ = decode(encode_mp4(clip.rgb, clip.fps, least_side=64))
    assert frames.shape == (clip.frames, 64, 96, 3)
    assert error(frames, enlarge(clip.rgb, 64)) < 2
    assert error(frames[::-1], enlarge(clip.rgb, 64)) > 2 * error(frames, enlarge(clip.rgb, 64))


@pytest.mark.parametrize("color", [(255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 200, 0), (30, 60, 250)])
def test_colours_come_back(color: tuple[int, int, int]) -> None:
    frames, _ = decode(encode_mp4(np.tile(np.uint8(color), (5, 16, 16, 1)), 8.0))
    assert np.abs(frames.astype(int) - color).max() <= 3


def test_odd_sizes_are_padded_by_their_border(clip: Clip) -> None:
    frames, _ = decode(encode_mp4(clip.rgb[:, :15, :23], clip.fps, least_side=1))
    assert frames.shape == (clip.frames, 16, 24, 3)
    assert error(frames[:, :15, :23], clip.rgb[:, :15, :23]) < 3
    assert error(frames[:, 15, :23], clip.rgb[:, 14, :23]) < 4


def test_equal_frames_give_equal_bytes(clip: Clip) -> None:
    assert encode_mp4(clip.rgb, 8.0) == encode_mp4(clip.rgb.copy(), 8.0)


def test_enlarging_repeats_pixels_by_a_whole_factor() -> None:
    frames = np.arange(2 * 3 * 5 * 3, dtype=np.uint8).reshape(2, 3, 5, 3)
    large = enlarge(frames, 7)
    assert large.shape == (2, 9, 15, 3)
    assert np.array_equal(large[:, 1::3, 1::3], frames)
    assert np.array_equal(large[:, ::3, 2::3], frames)
    assert np.array_equal(enlarge(frames, 3), frames)


def test_videos_of_a_clip_are_its_rgb_depth_and_motion(clip: Clip) -> None:
    videos = clip_videos(clip, least_side=64)
    assert clip.depth is not None
    assert clip.motion is not None
    expected = {
        "rgb": clip.rgb,
        "depth": depth_colors(clip.depth, *depth_range(clip.depth)),
        "motion": motion_colors(clip.motion, motion_scale(clip.motion, clip.motion_valid), clip.motion_valid),
    }
    assert list(videos) == list(expected)
    for name, frames in expected.items():
        shown, _ = decode(videos[name])
        assert len(shown) == clip.frames - (name == "motion")
        assert error(shown, enlarge(frames, 64)) < 3


def test_a_clip_of_rgb_alone_has_one_video() -> None:
    assert list(clip_videos(Clip(clip_id="v", rgb=np.zeros((5, 16, 16, 3), np.uint8), fps=8, source="import"))) == [
        "rgb"
    ]


class TestComparison:
    """Clips below each other."""

    SIDE = 64
    TOP, SEAM = 24, 4  # pixels of label above a picture, and between pictures

    def cell(self, frames: np.ndarray, row: int, column: int) -> np.ndarray:
        """One picture of a comparison of clips 16x24, enlarged to 64x96."""
        top = row * (self.TOP + self.SIDE + self.SEAM) + self.TOP
        left = column * (96 + self.SEAM)
        return frames[:, top : top + self.SIDE, left : left + 96]

    def test_shows_truth_above_generated_on_one_scale(self, clip: Clip) -> None:
        assert clip.depth is not None
        further = clip.with_(depth=clip.depth * 1.3, rgb=255 - clip.rgb)
        frames, facts = decode(comparison_video({"truth": clip, "generated": further}, least_side=self.SIDE))
        assert frames.shape == (4, 2 * 88 + 4, 3 * 96 + 2 * 4, 3)
        assert facts["fps"] == clip.fps
        scale = depth_range(clip.depth)
        for row, column, expected in [
            (0, 0, clip.rgb),
            (1, 0, 255 - clip.rgb),
            (0, 1, depth_colors(clip.depth, *scale)),
            (1, 1, depth_colors(clip.depth * np.float32(1.3), *scale)),
        ]:
            assert error(self.cell(frames, row, column), enlarge(expected[:4], self.SIDE)) < 3, (row, column)
        assert error(self.cell(frames, 0, 2), self.cell(frames, 1, 2)) < 1

    def test_labels_are_there(self, clip: Clip) -> None:
        frames, _ = decode(comparison_video({"truth": clip, "generated": clip}, least_side=self.SIDE))
        first, second = frames[0, : self.TOP, :96], frames[0, 92 : 92 + self.TOP, :96]
        assert max(first.min(), second.min()) < 60  # ink
        assert np.quantile(first, 0.5) > 250
        assert error(first, second) > 5  # other words

    def test_what_a_clip_lacks_is_white(self, clip: Clip) -> None:
        rgb_alone = Clip(clip_id="g", rgb=clip.rgb, fps=clip.fps, source="pseudo")
        frames, _ = decode(comparison_video({"truth": clip, "generated": rgb_alone}, least_side=self.SIDE))
        assert self.cell(frames, 1, 1).min() > 245
        frames, _ = decode(comparison_video({"generated": rgb_alone}, least_side=self.SIDE))
        assert frames.shape == (5, 88, 96, 3)

    def test_clips_that_do_not_fit_are_named(self, clip: Clip) -> None:
        other = clip.with_(clip_id="shorter", fps=4.0)
        with pytest.raises(InvalidClipError, match=r"'shorter' \(generated\).*at 4.0 FPS.*'sphere-0000', truth"):
            comparison_video({"truth": clip, "generated": other})
