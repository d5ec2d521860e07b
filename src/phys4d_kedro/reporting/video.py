"""Clips as MP4 files that any player and browser shows: RGB, coloured depth and motion, alone or side by side."""

import io
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.errors import InvalidClipError
from phys4d_kedro.reporting.colors import depth_colors, depth_range, motion_colors, motion_scale

if TYPE_CHECKING:
    from PIL import Image

_CRF = 16  # of x264: hardly told from the frames by eye
_BT709 = 1  # the number of the standard's matrix and primaries in H.264
_SRGB = 13  # the number of sRGB's transfer curve
_LETTERS, _MARGIN = 16, 8  # pixels: height of labels, white around them
_SEAM = 4  # pixels between pictures

Frames = NDArray[np.uint8]


def encode_mp4(frames: Frames, fps: float, *, least_side: int = 256) -> bytes:
    """An MP4 file (H.264, yuv420p, BT.709) of frames (T, H, W, 3), sRGB.

    Small frames are enlarged, pixel for pixel, see `enlarge`. yuv420p needs even sizes: the last row or column of an
    odd one is doubled. Equal frames give equal bytes.
    """
    import av

    frames = enlarge(frames, least_side)
    frames = np.pad(frames, ((0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2), (0, 0)), mode="edge")
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        # With B-frames and macroblock-tree rate control x264 makes different bytes of equal frames now and then.
        stream.options = {"crf": str(_CRF), "x264-params": "bframes=0:mbtree=0"}
        codec = stream.codec_context
        codec.thread_count = 1  # the number of threads decides the bytes
        codec.colorspace, codec.color_primaries, codec.color_trc, codec.color_range = _BT709, _BT709, _SRGB, 1
        for image in frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))
        container.mux(stream.encode(None))
    return file.getvalue()


def enlarge(frames: Frames, least_side: int) -> Frames:
    """Frames (..., H, W, 3) enlarged by the smallest whole factor that makes both sides `least_side` pixels or more.

    Pixels become squares: nothing is interpolated. Frames that are large enough stay as they are.
    """
    factor = max(1, math.ceil(least_side / min(frames.shape[-3:-1])))
    return frames.repeat(factor, -3).repeat(factor, -2)


def clip_videos(clip: Clip, *, least_side: int = 256) -> dict[str, bytes]:
    """MP4 files of a clip by name: `rgb`, and `depth` and `motion` where it has them.

    Motion has a frame less than the others.
    """
    panels = colored_panels(clip, Scales(clip))
    return {name: encode_mp4(frames, clip.fps, least_side=least_side) for name, frames in panels.items()}


def comparison_video(clips: Mapping[str, Clip], *, least_side: int = 256) -> bytes:
    """One MP4 file of several clips of one event: a row a clip under its label, RGB, depth and motion side by side.

    The first clip gives the colour scales of depth and motion to all: equal colours are equal values. What a clip
    lacks is left white. The last frame is left out where a clip has motion, which ends one frame earlier.

    Raises:
        InvalidClipError: the clips differ in their number of frames, their size or their frame rate.
    """
    (first_label, first), *_ = clips.items()
    for label, clip in clips.items():
        if (clip.rgb.shape, clip.fps) != (first.rgb.shape, first.fps):
            raise InvalidClipError(
                f"clip '{clip.clip_id}' ({label}): {clip.frames} frames of {clip.size} at {clip.fps} FPS do not go "
                f"beside {first.frames} frames of {first.size} at {first.fps} FPS ('{first.clip_id}', {first_label})"
            )
    scales = Scales(first)
    rows = {label: colored_panels(clip, scales) for label, clip in clips.items()}
    names = [name for name in ("rgb", "depth", "motion") if any(name in row for row in rows.values())]
    length = min(len(frames) for row in rows.values() for frames in row.values())
    pictures = []
    for label, row in rows.items():
        blank = np.full((length, *first.size, 3), 255, np.uint8)
        shown = {f"{label}: {name}": enlarge(row.get(name, blank)[:length], least_side) for name in names}
        pictures.append(_join([_labelled(frames, text) for text, frames in shown.items()], axis=2))
    return encode_mp4(_join(pictures, axis=1), first.fps, least_side=1)


class Scales:
    """The ranges of depth (near, far; metres) and motion (pixels) that the colours span: those of one clip."""

    def __init__(self, clip: Clip) -> None:
        self.depth = None if clip.depth is None else depth_range(clip.depth)
        self.motion = None if clip.motion is None else motion_scale(clip.motion, clip.motion_valid)


def colored_panels(clip: Clip, scales: Scales) -> dict[str, Frames]:
    """What there is of rgb and depth (T, H, W, 3) and motion (T-1, H, W, 3) as colours; own scales where none given."""
    panels = {"rgb": clip.rgb}
    if clip.depth is not None:
        panels["depth"] = depth_colors(clip.depth, *(scales.depth or depth_range(clip.depth)))
    if clip.motion is not None:
        scale = scales.motion or motion_scale(clip.motion, clip.motion_valid)
        panels["motion"] = motion_colors(clip.motion, scale, clip.motion_valid)
    return panels


def _labelled(frames: Frames, text: str) -> Frames:
    """Frames (T, H, W, 3) under a line of text on white."""
    line = np.asarray(_text_line(text, frames.shape[2]))
    return np.concatenate([np.broadcast_to(line, (len(frames), *line.shape)), frames], axis=1)


def _text_line(text: str, width: int) -> "Image.Image":
    """A line of text on white, as wide as asked, in letters that shrink until they fit."""
    from matplotlib import get_data_path
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf", _LETTERS)
    while font.getlength(text) > width - _MARGIN and font.size > 6:
        font = font.font_variant(size=font.size - 1)
    line = Image.new("RGB", (width, _LETTERS + _MARGIN), "white")
    ImageDraw.Draw(line).text((_MARGIN // 2, line.height // 2), text, fill="black", font=font, anchor="lm")
    return line


def _join(parts: list[Frames], *, axis: int) -> Frames:
    """Frames beside (axis 2) or below (axis 1) each other, with white between."""
    seam = [(0, 0)] * 4
    seam[axis] = (_SEAM, 0)
    return np.concatenate([parts[0], *(np.pad(part, seam, constant_values=255) for part in parts[1:])], axis=axis)
