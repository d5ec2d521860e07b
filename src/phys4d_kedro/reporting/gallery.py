"""The gallery: what was simulated, a strip a scene."""

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.reporting.colors import depth_colors, depth_range, instance_colors, motion_colors, motion_scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS = ("RGB", "depth", "motion", "instances")


def one_clip_a_scene(store: ClipStore) -> list[Clip]:
    """The first clip of every scene."""
    return [store.read(clip_id) for clip_id in store.manifest.drop_duplicates("scene")["clip_id"]]


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


def draw_gallery(clips: Sequence[Clip], *, columns: int = 6) -> "Figure":
    """A figure with a strip a clip, three strips a row."""
    from matplotlib.figure import Figure

    across = min(3, len(clips))
    down = math.ceil(len(clips) / across)
    strips = [make_strip(clip, columns) for clip in clips]
    height, width = strips[0].shape[:2]
    size = (5.4 * across + 0.4, (5.2 * height / width + 0.7) * down)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for axis, clip, strip in zip(axes, clips, strips, strict=False):
        axis.imshow(strip, interpolation="nearest", aspect="equal")
        step = strip.shape[0] / len(ROWS)
        axis.set_xticks([])
        axis.set_yticks([step * (row + 0.5) for row in range(len(ROWS))], ROWS, fontsize=9)
        axis.tick_params(left=False)
        axis.set_title(f"{clip.scene}\n" + textwrap.fill(clip.prompt, 74), fontsize=9, loc="left")
    for axis in axes[len(clips) :]:
        axis.axis("off")
    return figure
