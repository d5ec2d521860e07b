"""Fitting frames to a clip's size: resized to cover it with the aspect kept, then cropped at the centre."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Framing:
    """From frames of one size to another. `pixel_aspect` is the width of a source pixel over its height.

    A target pixel's centre (j + 0.5, i + 0.5) lies at (left + (j + 0.5) * step_x, top + (i + 0.5) * step_y) in the
    source, whose pixel centres are at integer + 0.5 as well.
    """

    source_height: int
    source_width: int
    height: int
    width: int
    pixel_aspect: float = 1.0

    @property
    def step(self) -> tuple[float, float]:
        """Source pixels a target pixel, (x, y)."""
        step_y = min(self.source_height / self.height, self.source_width * self.pixel_aspect / self.width)
        return step_y / self.pixel_aspect, step_y

    @property
    def corner(self) -> tuple[float, float]:
        """(left, top) of the crop in source pixels."""
        step_x, step_y = self.step
        return (self.source_width - self.width * step_x) / 2, (self.source_height - self.height * step_y) / 2

    def image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """An RGB image at the target size: areas are averaged when it shrinks, interpolated when it grows."""
        from PIL import Image

        (step_x, step_y), (left, top) = self.step, self.corner
        box = (
            max(0.0, left),
            max(0.0, top),
            min(left + self.width * step_x, float(self.source_width)),
            min(top + self.height * step_y, float(self.source_height)),
        )
        method = Image.Resampling.BOX if max(step_x, step_y) > 1 else Image.Resampling.BICUBIC
        return np.asarray(Image.fromarray(image).resize((self.width, self.height), method, box=box))

    def samples(self, values: NDArray) -> NDArray:
        """Values (H, W, ...) of the source pixel under each target pixel's centre: never a mix across an edge."""
        (step_x, step_y), (left, top) = self.step, self.corner
        rows = (top + (np.arange(self.height) + 0.5) * step_y).astype(int)
        columns = (left + (np.arange(self.width) + 0.5) * step_x).astype(int)
        return values[np.ix_(rows, columns)]

    def intrinsics(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """The camera matrix (3, 3) of the target frames."""
        (step_x, step_y), (left, top) = self.step, self.corner
        return np.array([[1 / step_x, 0, -left / step_x], [0, 1 / step_y, -top / step_y], [0, 0, 1]]) @ matrix
