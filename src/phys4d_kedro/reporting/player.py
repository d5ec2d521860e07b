"""Moving pictures of one event that play and scrub together; the page shows them from one image a player."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.reporting.examples import PANELS, Example
from phys4d_kedro.reporting.video import Frames

_LARGEST_SIDE = 192  # pixels of a picture on the page; larger ones are averaged down


@dataclass(frozen=True, kw_only=True)
class Player:
    """Groups of panels by label, and in them panels by label: uint8 (T, H, W, 3), all of one shape.

    A panel without a label is named by its group. `note` says how colours are to be read.
    """

    clip_id: str
    scene: str
    prompt: str
    fps: float
    groups: Mapping[str, Mapping[str, Frames]]
    note: str

    @property
    def panels(self) -> list[Frames]:
        """All panels, group by group."""
        return [frames for group in self.groups.values() for frames in group.values()]

    @property
    def frames(self) -> int:
        """How many frames are shown."""
        return len(self.panels[0])

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        height, width = self.panels[0].shape[1:3]
        return height, width


def make_sprite(player: Player) -> NDArray[np.uint8]:
    """The pictures side by side, (frames * H, panels * W, 3): a column a panel, a row a frame."""
    panels = [_shrunk(frames) for frames in player.panels]
    return np.concatenate(list(np.concatenate(panels, axis=2)), axis=0)


def example_player(example: Example) -> Player:
    """A held-out clip beside what a predictor sees in it."""
    return Player(
        clip_id=example.clip_id,
        scene=example.scene,
        prompt=example.prompt,
        fps=example.fps,
        groups={label: {"": frames} for label, frames in zip(PANELS, example.panels, strict=True)},
        note=describe_colors((example.near, example.far), example.motion_scale),
    )


def describe_colors(depth: tuple[float, float], motion: float) -> str:
    """What the colours span: depth (near, far) in metres, motion in pixels a frame."""
    return f"depth from {depth[0]:.2g} to {depth[1]:.2g} m; full motion colour at {motion:.2g} px a frame"


def _shrunk(frames: Frames) -> Frames:
    """Frames whose larger side is _LARGEST_SIDE at most, by the mean of whole blocks of pixels."""
    factor = -(-max(frames.shape[1:3]) // _LARGEST_SIDE)
    if factor == 1:
        return frames
    height, width = (side // factor for side in frames.shape[1:3])
    blocks = frames[:, : height * factor, : width * factor].reshape(len(frames), height, factor, width, factor, 3)
    return blocks.mean(axis=(2, 4)).round().astype(np.uint8)
