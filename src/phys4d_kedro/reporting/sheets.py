"""Contact sheets: a clip over time, with depth and motion, true above predicted."""

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from phys4d_kedro.reporting.colors import depth_colors, motion_legend
from phys4d_kedro.reporting.examples import PANELS, Example

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_sheet(example: Example, *, columns: int = 6, caption: str = "") -> "Figure":
    """A figure with a row a panel and a column a frame, legends at the right; `caption` goes under the prompt."""
    from matplotlib.figure import Figure

    frames = np.linspace(0, example.frames - 1, min(columns, example.frames)).round().astype(int)
    height, width = example.size
    figure = Figure(figsize=(1.7 * len(frames) + 2.4, 1.7 * 5 * height / width + 1.3), dpi=100, layout="constrained")
    prompt = "\n".join(textwrap.wrap(example.prompt, width=110))
    figure.suptitle("\n".join(line for line in (example.clip_id, prompt, caption) if line), fontsize=11)
    axes = figure.subplots(5, len(frames) + 1, squeeze=False, width_ratios=[1] * len(frames) + [0.9])
    for row, (label, images) in enumerate(zip(PANELS, example.panels, strict=True)):
        for axis, frame in zip(axes[row], frames, strict=False):
            axis.imshow(images[frame], interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            if row == 0:
                axis.set_title(f"{frame / example.fps:.2f} s", fontsize=9)
        axes[row, 0].set_ylabel(label.replace(", ", "\n"), rotation=0, ha="right", va="center", fontsize=10)
        axes[row, -1].axis("off")
    middle = float(np.sqrt(example.near * example.far))
    _draw_depth_scale(axes[1, -1], (example.near, middle), example)
    _draw_depth_scale(axes[2, -1], (middle, example.far), example)
    _write_beside(axes[2, -1], (0.12, -0.08), "black: nothing hit", ha="left")
    _draw_motion_legend(axes[3, -1], example.motion_scale)
    return figure


def _draw_depth_scale(axis: "Axes", depths: tuple[float, float], example: Example) -> None:
    """A part of the logarithmic bar of depth colours, beside one row of depth."""
    values = np.geomspace(*depths, 64)[:, None].astype(np.float32)
    bar = axis.inset_axes((0.12, 0.0, 0.16, 1.0))
    bar.imshow(depth_colors(values, example.near, example.far), aspect="auto")
    bar.set_xticks([])
    bar.yaxis.tick_right()
    bar.set_yticks([0, 63], [f"{depth:.2g} m" for depth in depths], fontsize=9)


def _draw_motion_legend(axis: "Axes", scale: float) -> None:
    """The disc of motion colours, and how long its radius is."""
    disc = axis.inset_axes((0.08, 0.1, 0.84, 0.84))
    disc.imshow(motion_legend(96))
    disc.axis("off")
    text = f"radius: {scale:.2g} px\na frame; darkened\nwhere hidden next"
    _write_beside(axis, (0.5, 0.02), text, ha="center")


def _write_beside(axis: "Axes", position: tuple[float, float], text: str, *, ha: str) -> None:
    """Small text that hangs below `position` and does not push rows apart."""
    axis.text(*position, text, fontsize=8, ha=ha, va="top", transform=axis.transAxes).set_in_layout(False)
