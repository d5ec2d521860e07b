"""Held-out clips beside what was predicted for them, as pictures."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.reporting.colors import depth_colors, depth_range, motion_colors, motion_scale

PANELS = ("RGB", "depth, true", "depth, predicted", "motion, true", "motion, predicted")


@dataclass(frozen=True, kw_only=True)
class Example:
    """A clip as five rows of pictures, in the order of PANELS.

    `panels[i]` is uint8 (T-1, H, W, 3): the last frame has no motion and is left out. Both depths share the colour
    scale from `near` to `far` metres, taken from the true depth; both motions share that of `motion_scale` pixels.
    """

    clip_id: str
    scene: str
    prompt: str
    fps: float
    panels: tuple[NDArray[np.uint8], ...]
    near: float
    far: float
    motion_scale: float

    @property
    def frames(self) -> int:
        """How many frames are shown."""
        return len(self.panels[0])

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.panels[0].shape[1:3]


def make_example(truth: Clip, predicted: Clip) -> Example:
    """Colour a clip with exact annotations and the same clip as a predictor sees it; both need depth and motion."""
    depth, motion, valid = (_array(truth, key) for key in ("depth", "motion", "motion_valid"))
    near, far = depth_range(depth)
    scale = motion_scale(motion, valid)
    panels = (
        truth.rgb,
        depth_colors(depth, near, far),
        depth_colors(_array(predicted, "depth"), near, far),
        motion_colors(motion, scale, valid),
        motion_colors(_array(predicted, "motion"), scale),
    )
    return Example(
        clip_id=truth.clip_id,
        scene=truth.scene,
        prompt=truth.prompt,
        fps=truth.fps,
        panels=tuple(images[: truth.frames - 1] for images in panels),
        near=near,
        far=far,
        motion_scale=scale,
    )


def read_examples(heldout: ClipStore, predictions: ClipStore, predictor: str, count: int) -> Iterator[Example]:
    """The first `count` clips that `predictor` has predictions of (`<clip_id>.<predictor>`), read one at a time."""
    predicted = [name for name in predictions.ids if name.endswith(f".{predictor}")]
    for name in predicted[:count]:
        yield make_example(heldout.read(name.removesuffix(f".{predictor}")), predictions.read(name))


def _array(clip: Clip, key: str) -> NDArray[Any]:
    clip.require(key)
    return clip.arrays()[key]
