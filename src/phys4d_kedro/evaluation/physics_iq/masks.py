"""Where a video moves: masks of motion, computed, or read where the data set has them.

Masks come at the size of the scores: (h, w) bool, one a frame, the first one empty.
"""

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.errors import MediaError
from phys4d_kedro.evaluation.physics_iq.mask_codec import MaskCodec
from phys4d_kedro.evaluation.physics_iq.videos import Image, read_frames

Mask = NDArray[np.bool_]
Size = tuple[int, int]
"""Width and height, as OpenCV has them."""

_RATE = 0.3  # share of a new frame in the background
_CHANGE = 10  # grey levels
_KERNEL = 5  # pixels, of blur and morphology
_HALF = 127  # a mask is set above this
_STRIP = 128  # rows
_REACH = 4 * (_KERNEL // 2)  # pixels that opening and closing look at


class MotionMasks:
    """Masks (H, W) of 0 and 255 of successive frames (H, W, 3): what differs from a background that follows slowly.

    Grey, blurred 5x5; the background B starts as frame 0 and becomes 0.7 B + 0.3 G at every later frame G, where the
    mask is |G - round(B)| > 10, opened and closed by 5x5.
    """

    def __init__(self) -> None:
        self._background: NDArray[np.float64] | None = None
        self._changed = np.empty((0, 0), np.uint8)

    def __call__(self, frame: Image) -> Image:
        height, width = frame.shape[:2]
        mask = np.zeros((height, width), np.uint8)
        # Strip by strip, so that what one step leaves is still in the processor's cache for the next.
        strips = [slice(top, min(top + _STRIP, height)) for top in range(0, height, _STRIP)]
        if self._background is None:
            self._background, self._changed = np.empty((height, width)), np.empty_like(mask)
            for rows in strips:
                self._background[rows] = _blurred_grey(frame, rows)
            return mask
        moved = [rows for rows in strips if self._follow(_blurred_grey(frame, rows), self._background[rows], rows)]
        if moved:
            part = slice(max(0, moved[0].start - _REACH), moved[-1].stop + _REACH)
            mask[part] = open_and_close(self._changed[part])
        return mask

    def _follow(self, grey: Image, background: NDArray[np.float64], rows: slice) -> bool:
        """Let the background follow, and mark what differs from it; whether anything does."""
        import cv2

        cv2.accumulateWeighted(grey, background, _RATE)
        change = cv2.absdiff(grey, cv2.convertScaleAbs(background))
        cv2.threshold(change, _CHANGE, 255, cv2.THRESH_BINARY, dst=self._changed[rows])
        return bool(cv2.countNonZero(self._changed[rows]))


def _blurred_grey(frame: Image, rows: slice) -> Image:
    """These rows of the blurred grey frame: the blur sees what is above and below them."""
    import cv2

    above, below = max(0, rows.start - _KERNEL // 2), rows.stop + _KERNEL // 2
    grey = cv2.GaussianBlur(cv2.cvtColor(frame[above:below], cv2.COLOR_BGR2GRAY), (_KERNEL, _KERNEL), 0)
    return np.ascontiguousarray(grey[rows.start - above : rows.stop - above])


def open_and_close(mask: Image) -> Image:
    """Morphological opening, then closing, by 5x5 ones.

    Erode, dilate twice, erode. Two dilations by 5x5 are one by 9x9, and nothing is set farther than 4 pixels from what
    the first erosion leaves: most of a frame stands still and is left as it is.
    """
    import cv2

    kernel, twice = (np.ones((size, size), np.uint8) for size in (_KERNEL, 2 * _KERNEL - 1))
    eroded = cv2.erode(mask, kernel)
    x, y, width, height = cv2.boundingRect(eroded)
    if width:
        margin = 3 * (_KERNEL // 2)  # what dilation and the erosion after it look at
        part = np.s_[max(0, y - margin) : y + height + margin, max(0, x - margin) : x + width + margin]
        eroded[part] = cv2.erode(cv2.dilate(np.ascontiguousarray(eroded[part]), twice), kernel)
    return eroded


class Masks(ABC):
    """The masks of a video's frames, asked for in their order."""

    def __init__(self, size: Size) -> None:
        self._size = size

    def __call__(self, frame: Image) -> Mask:
        """That of the next frame (H, W, 3)."""
        import cv2

        return np.asarray(cv2.resize(self._of(frame), self._size) > _HALF)

    @abstractmethod
    def _of(self, frame: Image) -> Image:
        """At the frame's size, and grey."""


class PlainMasks(Masks):
    """Computed, and taken as they are."""

    def __init__(self, size: Size) -> None:
        super().__init__(size)
        self._motion = MotionMasks()

    def _of(self, frame: Image) -> Image:
        return self._motion(frame)


class CodecMasks(PlainMasks):
    """Through mp4v video and back, as the official evaluator has them. Odd sizes lose a row or a column."""

    def __init__(self, fps: float, size: Size) -> None:
        super().__init__(size)
        self._fps = fps
        self._codec: MaskCodec | None = None

    def _of(self, frame: Image) -> Image:
        if self._codec is None:
            height, width = frame.shape[:2]
            self._codec = MaskCodec(height, width, max(1, round(self._fps)))
        return self._codec(super()._of(frame))


class ShippedMasks(Masks):
    """Those of a real video that the data set has."""

    def __init__(self, file: Path, limit: int, size: Size) -> None:
        super().__init__(size)
        self._file, self._frames = file, read_frames(file, limit)

    def _of(self, frame: Image) -> Image:
        import cv2

        mask = next(self._frames, None)
        if mask is None:
            raise MediaError(f"{self._file} has fewer masks than its video has frames, or is damaged: remove it")
        return cv2.extractChannel(mask, 0)
