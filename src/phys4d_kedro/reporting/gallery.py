"""The gallery: what was simulated, a strip of annotated frames a scene, as pictures made pixel by pixel.

Frames are never stretched by a plotting library: a picture is as large as its frames, so that it can be kept small.
"""

import io
import math
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.reporting.colors import depth_colors, depth_range, instance_colors, motion_colors, motion_scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS = ("RGB", "depth", "motion", "instances")
SIDES = (128, 112, 96, 80, 64, 48)
"""Heights of a frame in a picture, pixels, from which `within` chooses."""

_SEAM, _GAP, _BORDER = 2, 22, 12  # pixels of white: between frames, between clips, around a picture
_LABELS = 78  # pixels for the names of rows
_NAME, _WORDS = 18, 14  # sizes of text, pixels
_INK, _FAINT = (20, 20, 20), (100, 100, 100)


def one_clip_a_scene(store: ClipStore) -> list[Clip]:
    """The first clip of every scene."""
    return [store.read(clip_id) for clip_id in store.manifest.drop_duplicates("scene")["clip_id"]]


def scenes_by_category(store: ClipStore, *, rgb_alone: bool = False) -> Iterator[tuple[str, list[Clip]]]:
    """Every category with the first clip of each of its scenes; the clips of one category are read at a time."""
    keys: tuple[str, ...] | None = () if rgb_alone else None
    for category, rows in store.manifest.drop_duplicates("scene").groupby("category"):
        yield str(category), [store.read(clip_id, keys=keys) for clip_id in rows["clip_id"]]


def strip_frames(clip: Clip, columns: int) -> NDArray[np.uint8]:
    """The rows of ROWS over `columns` frames: (4, columns, H, W, 3); the clip needs all annotations."""
    clip.require("depth", "motion", "segmentation")
    depth, motion, valid, segmentation = (clip.arrays()[k] for k in ("depth", "motion", "motion_valid", "segmentation"))
    frames = np.linspace(0, clip.frames - 2, columns).round().astype(int)  # the last frame has no motion
    return np.stack(
        [
            clip.rgb[frames],
            depth_colors(depth[frames], *depth_range(depth)),
            motion_colors(motion[frames], motion_scale(motion, valid), valid[frames]),
            instance_colors(segmentation[frames]),
        ]
    )


def draw_sheet(clips: Sequence[Clip], *, columns: int = 6, across: int = 2, side: int | None = None) -> Image.Image:
    """A picture with the name, the prompt and the strip of every clip, `across` of them in a row.

    Frames are at most `side` pixels high, and never enlarged.
    """
    return _framed(_arrange([_captioned_strip(clip, columns, side) for clip in clips], across))


def draw_overview(
    clips: Iterable[tuple[str, Sequence[Clip]]], *, across: int = 5, side: int | None = None
) -> Image.Image:
    """A picture of the first, middle and last frame of every clip, under the names of the categories given with them.

    Frames are at most `side` pixels high, and never enlarged.
    """
    sections = []
    for category, shown in clips:
        title = _text_block([(category.replace("_", " "), _font(_NAME, bold=True), _INK)], 0)
        sections.append(_stack([title, _arrange([_captioned_triple(clip, side) for clip in shown], across)], gap=0))
    return _framed(_stack(sections, gap=_GAP))


def draw_gallery(clips: Sequence[Clip]) -> "Figure":
    """The sheet of these clips as a figure."""
    return as_figure(draw_sheet(clips))


def within(most_bytes: int, draw: Callable[[int], Image.Image]) -> Image.Image:
    """What `draw` makes of the largest frame height of SIDES whose PNG in 256 colours has at most so many bytes.

    The picture comes with its palette. Where none is small enough it is the smallest.
    """
    for side in SIDES:
        # Medians alone leave too few colours to what is small and bright.
        picture = draw(side).quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE)
        if _png_bytes(picture) <= most_bytes:
            break
    return picture


def as_figure(picture: Image.Image) -> "Figure":
    """The picture as a Matplotlib figure, pixel for pixel, for what shows figures alone."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(picture.width / 100, picture.height / 100), dpi=100)
    figure.figimage(np.asarray(picture.convert("RGB")))
    return figure


def _png_bytes(picture: Image.Image) -> int:
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True)
    return file.getbuffer().nbytes


def _captioned_strip(clip: Clip, columns: int, side: int | None) -> Image.Image:
    """Name, prompt and strip of a clip, with the names of the rows beside it."""
    strip = _tiled(strip_frames(clip, columns), side)
    picture = Image.new("RGB", (_LABELS + strip.width, strip.height), "white")
    picture.paste(strip, (_LABELS, 0))
    pen, row = ImageDraw.Draw(picture), strip.height / len(ROWS)
    for k, name in enumerate(ROWS):
        pen.text((_LABELS - 8, row * (k + 0.5)), name, fill=_FAINT, font=_font(_WORDS), anchor="rm")
    prompt = textwrap.wrap(clip.prompt, int(picture.width / (0.54 * _WORDS)))  # about the width of a letter
    lines = [(clip.scene, _font(_NAME, bold=True), _INK), *((line, _font(_WORDS), _FAINT) for line in prompt)]
    return _stack([_text_block(lines, picture.width), picture], gap=0)


def _captioned_triple(clip: Clip, side: int | None) -> Image.Image:
    """First, middle and last frame of a clip over its scene's name."""
    frames = _tiled(clip.rgb[None, [0, clip.frames // 2, clip.frames - 1]], side)
    return _stack([frames, _text_block([(clip.scene, _font(_WORDS), _INK)], frames.width)], gap=0)


def _tiled(frames: NDArray[np.uint8], side: int | None) -> Image.Image:
    """Frames (rows, columns, H, W, 3) as one picture with seams between them."""
    rows, columns, height, width = frames.shape[:4]
    scale = 1.0 if side is None else min(1.0, side / height)
    size = round(width * scale), round(height * scale)
    picture = Image.new("RGB", (columns * (size[0] + _SEAM) - _SEAM, rows * (size[1] + _SEAM) - _SEAM), "white")
    for row, column in np.ndindex(rows, columns):
        frame = Image.fromarray(frames[row, column]).resize(size, Image.Resampling.BOX)
        picture.paste(frame, (column * (size[0] + _SEAM), row * (size[1] + _SEAM)))
    return picture


def _arrange(pictures: Sequence[Image.Image], across: int) -> Image.Image:
    """Pictures in rows; those of a row stand on one line."""
    width = max(picture.width for picture in pictures)
    rows = []
    for start in range(0, len(pictures), across):
        shown = pictures[start : start + across]
        height = max(picture.height for picture in shown)
        row = Image.new("RGB", (len(shown) * (width + _GAP) - _GAP, height), "white")
        for k, picture in enumerate(shown):
            row.paste(picture, (k * (width + _GAP), height - picture.height))
        rows.append(row)
    return _stack(rows, gap=_GAP)


def _stack(pictures: Sequence[Image.Image], *, gap: int) -> Image.Image:
    """Pictures below each other on white, with `gap` pixels between."""
    width = max(picture.width for picture in pictures)
    stacked = Image.new("RGB", (width, sum(picture.height + gap for picture in pictures) - gap), "white")
    top = 0
    for picture in pictures:
        stacked.paste(picture, (0, top))
        top += picture.height + gap
    return stacked


def _framed(picture: Image.Image) -> Image.Image:
    """The picture with white around it."""
    framed = Image.new("RGB", (picture.width + 2 * _BORDER, picture.height + 2 * _BORDER), "white")
    framed.paste(picture, (_BORDER, _BORDER))
    return framed


def _text_block(lines: Sequence[tuple[str, ImageFont.FreeTypeFont, tuple[int, int, int]]], width: int) -> Image.Image:
    """Lines of text (text, font, colour) on white, at least `width` wide."""
    wide = max(width, *(math.ceil(font.getlength(text)) for text, font, _ in lines))
    heights = [round(1.3 * font.size) for _, font, _ in lines]
    block = Image.new("RGB", (wide, sum(heights) + 4), "white")
    pen, top = ImageDraw.Draw(block), 0
    for (text, font, colour), height in zip(lines, heights, strict=True):
        pen.text((0, top), text, fill=colour, font=font, anchor="la")
        top += height
    return block


def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The font that Matplotlib brings, so that pictures look the same on every machine."""
    from matplotlib import get_data_path

    return ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans{'-Bold' if bold else ''}.ttf", size)
