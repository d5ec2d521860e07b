"""The four metrics of a video against another: Motamed et al., 2025, as the official evaluator computes them.

Images are (h, w, 3) uint8, a quarter of the real video's size; masks (h, w) bool.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.evaluation.physics_iq.masks import Mask
from phys4d_kedro.evaluation.physics_iq.videos import Image

_BRIGHTNESS = (np.arange(256) / 255.0).astype(np.float32)


@dataclass(frozen=True)
class Comparison:
    """A video against another: `mse` and `spatiotemporal_iou` frame by frame, the others of the whole.

    `moves`, `other_moves`: whether the mask of either has anything in it.
    """

    mse: tuple[float, ...]
    spatiotemporal_iou: tuple[float, ...]
    spatial_iou: float
    weighted_spatial_iou: float
    moves: bool
    other_moves: bool

    @property
    def frames(self) -> int:
        """How many frames were compared."""
        return len(self.mse)


def frame_mse(image: Image, other: Image) -> float:
    """Mean square of the difference of brightness in [0, 1], in float32 as the official evaluator has it."""
    import cv2

    difference = cv2.LUT(other, _BRIGHTNESS)
    difference -= cv2.LUT(image, _BRIGHTNESS)
    return float(np.mean(np.square(difference, out=difference)))


def iou(mask: Mask, other: Mask) -> float:
    """Intersection over union; 1 if both are empty."""
    union = np.count_nonzero(mask | other)
    return float(np.count_nonzero(mask & other) / union) if union else 1.0


def weighted_iou(often: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Sum of minima over sum of maxima of shares of time; 1 if both are 0 everywhere."""
    most = np.maximum(often, other)
    moved = most > 0
    return float(np.sum(np.minimum(often, other)[moved]) / np.sum(most[moved])) if moved.any() else 1.0


@dataclass
class MaskOverlap:
    """The three metrics of masks, frame by frame; it keeps how often each pixel moved, and no mask."""

    ious: list[float] = field(default_factory=list)
    _counts: tuple[NDArray[np.uint16], NDArray[np.uint16]] | None = None

    def add(self, mask: Mask, other: Mask) -> None:
        """The masks of the next frame."""
        if self._counts is None:
            self._counts = np.zeros(mask.shape, np.uint16), np.zeros(mask.shape, np.uint16)
        for count, moving in zip(self._counts, (mask, other), strict=True):
            np.add(count, moving, out=count)
        self.ious.append(iou(mask, other))

    def finish(self, mse: list[float]) -> Comparison:
        """With the errors of the frames, the whole comparison."""
        assert self._counts is not None
        assert len(mse) == len(self.ious)
        count, other = self._counts
        return Comparison(
            mse=tuple(mse),
            spatiotemporal_iou=tuple(self.ious),
            spatial_iou=iou(count > 0, other > 0),
            weighted_spatial_iou=weighted_iou(count / len(mse), other / len(mse)),
            moves=bool(count.any()),
            other_moves=bool(other.any()),
        )
