"""The gallery: what was simulated, a strip of annotated frames a scene, as pictures made pixel by pixel.

Frames are never stretched by a plotting library: a picture is as large as its frames, so that it can be kept small.
"""

import io
import math
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.reporting.colors import depth_colors, depth_range, instance_colors, motion_colors, motion_scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS = ("RGB", "depth", "motion", "instances")
SIDES = (128, 112, 96, 80, 64, 56, 48)
"""Heights of a frame in a picture, pixels, from which `within` chooses."""

_GAP, _LABELS, _LINE = 14, 62, 15  # pixels: between strips, for the names of rows, of a line of text
_INK, _FAINT = (20, 20, 20), (110, 110, 110)


def one_clip_a_scene(store: ClipStore) -> list[Clip]:
    """The first clip of every scene."""
    return [store.read(clip_id) for clip_id in store.manifest.drop_duplicates("scene")["clip_id"]]


def scenes_by_category(store: ClipStore, *, rgb_alone: bool = False) -> Iterator[tuple[str, list[Clip]]]:
    """Every category with the first clip of each of its scenes; the clips of one category are read at a time."""
    keys: tuple[str, ...] | None = () if rgb_alone else None
    for category, rows in store.manifest.drop_duplicates("scene").groupby("category"):
        yield str(category), [store.read(clip_id, keys=keys) for clip_id in rows["clip_id"]]


def make_strip(clip: Clip, columns: int) -> NDArray[np.uint8]:
    """The rows of ROWS over `columns` frames, as one picture (4 H, columns W, 3); the clip needs all annotations."""
    clip.require("depth", "motion", "segmentation")
    depth, motion, valid, segmentation = (clip.arrays()[k] for k in ("depth", "motion", "motion_valid", "segmentation"))
    frames = np.linspace(0, clip.frames - 2, columns).round().astype(int)  # the last frame has no motion
    rows: list[NDArray[Any]] = [
        clip.rgb[frames],
        depth_colors(depth[frames], *depth_range(depth)),
        motion_colors(motion[frames], motion_scale(motion, valid), valid[frames]),
        instance_colors(segmentation[frames]),
    ]
    return np.concatenate([np.concatenate(list(images), axis=1) for images in rows], axis=0)


def draw_sheet(clips: Sequence[Clip], *, columns: int = 6, across: int = 3, side: int | None = None) -> Image.Image:
    """A picture with the name, the prompt and the strip of every clip, `across` of them in a row.

    Frames are `side` pixels high, or as high as they are.
    """
    return _arrange([_captioned_strip(clip, columns, side) for clip in clips], across)


def draw_overview(
    clips: Iterable[tuple[str, Sequence[Clip]]], *, across: int = 6, side: int | None = None
) -> Image.Image:
    """A picture of the first, middle and last frame of every clip, under the names of the categories given with them.

    Frames are `side` pixels high, or as high as they are.
    """
    sections = []
    for category, shown in clips:
        title = _text_block([(category.replace("_", " "), _font(13, bold=True), _INK)], 40)
        body = _arrange([_captioned_triple(clip, side) for clip in shown], across)
        sections += [title, body]
    return _stack(sections, margin=_GAP // 2)


def draw_gallery(clips: Sequence[Clip]) -> "Figure":
    """The sheet of these clips as a figure."""
    return as_figure(draw_sheet(clips))


def within(most_bytes: int, draw: Callable[[int], Image.Image]) -> Image.Image:
    """What `draw` makes of the largest frame height of SIDES whose PNG in 256 colours has at most so many bytes.

    The picture comes with its palette. Where none is small enough it is the smallest.
    """
    for side in SIDES:
        picture = draw(side).quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
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
    strip = _scaled(make_strip(clip, columns), (len(ROWS), columns), clip.size, side)
    picture = Image.new("RGB", (_LABELS + strip.width, strip.height), "white")
    picture.paste(strip, (_LABELS, 0))
    pen, row = ImageDraw.Draw(picture), strip.height / len(ROWS)
    for k, name in enumerate(ROWS):
        pen.text((_LABELS - 5, row * (k + 0.5)), name, fill=_FAINT, font=_font(11), anchor="rm")
    characters = picture.width // 6  # about the width of a letter of the prompt
    prompt = textwrap.wrap(clip.prompt, characters)
    lines = [(clip.scene, _font(13, bold=True), _INK), *((line, _font(11), _FAINT) for line in prompt)]
    return _stack([_text_block(lines, picture.width), picture], margin=0)


def _captioned_triple(clip: Clip, side: int | None) -> Image.Image:
    """First, middle and last frame of a clip over its scene's name."""
    images = clip.rgb[[0, clip.frames // 2, clip.frames - 1]]
    frames = _scaled(np.concatenate(list(images), axis=1), (1, len(images)), clip.size, side)
    return _stack([frames, _text_block([(clip.scene, _font(11), _INK)], frames.width)], margin=0)


def _scaled(picture: NDArray[np.uint8], cells: tuple[int, int], size: tuple[int, int], side: int | None) -> Image.Image:
    """A picture of `cells` frames (rows, columns) of `size` (height, width) with frames `side` pixels high."""
    image = Image.fromarray(picture)
    if side is None or side == size[0]:
        return image
    height, width = cells[0] * side, cells[1] * round(side * size[1] / size[0])
    return image.resize((width, height), Image.Resampling.BOX if side < size[0] else Image.Resampling.NEAREST)


def _arrange(pictures: Sequence[Image.Image], across: int) -> Image.Image:
    """Pictures in rows; those of a row stand on one line."""
    across = min(across, len(pictures))
    width = max(picture.width for picture in pictures)
    rows = []
    for start in range(0, len(pictures), across):
        shown = pictures[start : start + across]
        height = max(picture.height for picture in shown)
        row = Image.new("RGB", (across * width + (across - 1) * _GAP, height), "white")
        for k, picture in enumerate(shown):
            row.paste(picture, (k * (width + _GAP), height - picture.height))
        rows.append(row)
    return _stack(rows, margin=_GAP // 2)


def _stack(pictures: Sequence[Image.Image], *, margin: int) -> Image.Image:
    """Pictures below each other on white, with so much white around each."""
    width = max(picture.width for picture in pictures) + 2 * margin
    stacked = Image.new("RGB", (width, sum(picture.height + 2 * margin for picture in pictures)), "white")
    top = margin
    for picture in pictures:
        stacked.paste(picture, (margin, top))
        top += picture.height + 2 * margin
    return stacked


def _text_block(lines: Sequence[tuple[str, ImageFont.FreeTypeFont, tuple[int, int, int]]], width: int) -> Image.Image:
    """Lines of text (text, font, colour) on white, at least `width` wide."""
    wide = max(width, *(math.ceil(font.getlength(text)) for text, font, _ in lines))
    block = Image.new("RGB", (wide, _LINE * len(lines) + 3), "white")
    pen = ImageDraw.Draw(block)
    for k, (text, font, colour) in enumerate(lines):
        pen.text((0, _LINE * k + _LINE - 3), text, fill=colour, font=font, anchor="ls")
    return block


def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The font that Matplotlib brings, so that pictures look the same on every machine."""
    from matplotlib import get_data_path

    return ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans{'-Bold' if bold else ''}.ttf", size)
