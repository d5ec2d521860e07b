"""Pictures of generated clips below the true ones: what a reader looks at before any number."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.errors import InvalidClipError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FRAME_WIDTH = 1.7  # inches
_TEXT_HEIGHT = 0.95  # inches: scene and prompt above a row, times below it
_LABEL_WIDTH = 1.1  # inches
_LETTERS_A_LINE = 105
_SEAM = 1  # pixels of white between frames


@dataclass(frozen=True)
class Sample:
    """A held-out clip and what was generated from its prompt and first frame.

    Raises:
        InvalidClipError: the two differ in their number of frames or their size.
    """

    truth: Clip
    generated: Clip

    def __post_init__(self) -> None:
        if self.truth.rgb.shape != self.generated.rgb.shape:
            raise InvalidClipError(
                f"clip '{self.generated.clip_id}': {self.generated.frames} frames of {self.generated.size} do not go "
                f"below {self.truth.frames} frames of {self.truth.size} ('{self.truth.clip_id}')"
            )


def sample_pages(samples: Sequence[Sample], *, rows: int = 6, columns: int = 5) -> Iterator[tuple[str, "Figure"]]:
    """Figures of at most `rows` samples each, category by category, with names: `<category>_1`, `<category>_2`, ..."""
    by_category: dict[str, list[Sample]] = {}
    for sample in samples:
        by_category.setdefault(sample.truth.category or "no_category", []).append(sample)
    for category, members in sorted(by_category.items()):
        for page, start in enumerate(range(0, len(members), rows), start=1):
            title = f"{category.replace('_', ' ')}, {start + 1} to {min(start + rows, len(members))} of {len(members)}"
            yield f"{category}_{page}", draw_samples(members[start : start + rows], columns=columns, title=title)


def draw_samples(samples: Sequence[Sample], *, columns: int = 5, title: str = "") -> "Figure":
    """A figure with a row a sample: scene and prompt, true frames, and below them the generated ones.

    `columns` frames are shown, evenly spread from the first to the last.
    """
    from matplotlib.figure import Figure

    heights = [_strip_height(sample, columns) + _TEXT_HEIGHT for sample in samples]
    width, height = _LABEL_WIDTH + columns * _FRAME_WIDTH + 0.2, sum(heights) + 0.5
    figure = Figure(figsize=(width, height), dpi=100)
    figure.text(0.1 / width, 1 - 0.1 / height, title, fontsize=13, weight="bold", va="top")
    bottom = height - 0.5
    for sample, row_height in zip(samples, heights, strict=True):
        bottom -= row_height
        strip = _LABEL_WIDTH, bottom + 0.3, columns * _FRAME_WIDTH, row_height - _TEXT_HEIGHT
        axis = figure.add_axes(tuple(np.array(strip) / (width, height, width, height)))
        _draw_sample(axis, sample, columns)
    return figure


def _draw_sample(axis: "Axes", sample: Sample, columns: int) -> None:
    """True over generated frames, the times below, names at the left, scene and prompt above."""
    truth, (rows, width) = sample.truth, sample.truth.size
    frames = np.linspace(0, truth.frames - 1, columns).round().astype(int)
    strips = [_strip(clip.rgb[frames]) for clip in (truth, sample.generated)]
    seam = np.full((_SEAM, strips[0].shape[1], 3), 255, np.uint8)
    axis.imshow(np.concatenate([strips[0], seam, strips[1]]), interpolation="nearest", aspect="auto")
    axis.set_yticks([rows / 2, rows * 1.5 + _SEAM], ["true", "generated"], fontsize=11)
    middles = [(width + _SEAM) * k + width / 2 for k in range(columns)]
    axis.set_xticks(middles, [f"frame {frame}, {frame / truth.fps:.2f} s" for frame in frames], fontsize=9)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    prompt = textwrap.wrap(truth.prompt, _LETTERS_A_LINE, max_lines=2, placeholder=" ...")
    name = f"{truth.scene or truth.clip_id}  ({sample.generated.clip_id})"
    axis.set_title("\n".join([name, *prompt]), loc="left", fontsize=10)


def _strip(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Frames (K, H, W, 3) beside each other, with white between: (H, K W + seams, 3)."""
    padded = np.pad(frames, ((0, 0), (0, 0), (0, _SEAM), (0, 0)), constant_values=255)
    joined = padded.transpose(1, 0, 2, 3).reshape(frames.shape[1], -1, 3)
    return np.ascontiguousarray(joined[:, :-_SEAM])


def _strip_height(sample: Sample, columns: int) -> float:
    """Inches that two strips take, so that pixels are square."""
    height, width = sample.truth.size
    pixels = columns * (width + _SEAM) - _SEAM
    return columns * _FRAME_WIDTH * (2 * height + _SEAM) / pixels
