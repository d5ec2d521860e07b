"""Where a video moves: masks of motion, and the lossy video that the official evaluator keeps them in.

Masks come at the size of the scores: (h, w) bool, one a frame, the first one empty.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.errors import ConfigurationError, MediaError
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
_BLACK, _WHITE = 16, 235  # of the luminance that videos hold


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


class Recorder(ABC):
    """Takes every frame of a video, and then gives its masks."""

    @abstractmethod
    def add(self, frame: Image) -> None:
        """The next frame (H, W, 3)."""

    @abstractmethod
    def masks(self) -> Iterator[Mask]:
        """Its masks, frame by frame; no frame may come after this."""


class CodecRecorder(Recorder):
    """Masks through an mp4v video and back, as the official evaluator has them. Odd sizes lose a row or a column."""

    def __init__(self, file: Path, fps: float, size: Size) -> None:
        self._file, self._fps, self._size = file, fps, size
        self._motion, self._count = MotionMasks(), 0
        self._writer: Any = None

    def add(self, frame: Image) -> None:
        import cv2

        if self._writer is None:
            height, width = frame.shape[:2]
            even = (width - width % 2, height - height % 2)
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._file), code, round(self._fps), even, isColor=False)
            if not self._writer.isOpened():
                raise ConfigurationError(
                    f"this OpenCV ({cv2.__version__}) cannot write the official masks, mp4v video, to {self._file}; "
                    "install opencv-python-headless, free disk space, or set physics_iq.exact: false"
                )
        self._writer.write(self._motion(frame))
        self._count += 1

    def masks(self) -> Iterator[Mask]:
        if self._writer is not None:
            self._writer.release()
        return (_small(mask, self._size) for mask in islice(read_grey(self._file), self._count))


class MemoryRecorder(Recorder):
    """Masks as they are, without a codec's losses."""

    def __init__(self, file: Path, size: Size) -> None:
        self._motion, self._packed = MotionMasks(), PackedMasks(file, size)

    def add(self, frame: Image) -> None:
        self._packed.append(_small(self._motion(frame), self._packed.size))

    def masks(self) -> Iterator[Mask]:
        return iter(self._packed)


class ShippedMasks(Recorder):
    """Masks of a real video that the data set has."""

    def __init__(self, file: Path, limit: int, size: Size) -> None:
        self._file, self._limit, self._size = file, limit, size

    def add(self, frame: Image) -> None:
        pass

    def masks(self) -> Iterator[Mask]:
        import cv2

        return (_small(cv2.extractChannel(frame, 0), self._size) for frame in read_frames(self._file, self._limit))


class PackedMasks:
    """A file of masks, a bit a pixel."""

    def __init__(self, path: Path, size: Size) -> None:
        self.size, self._path = size, path
        path.write_bytes(b"")

    def append(self, mask: Mask) -> None:
        """Add one."""
        with self._path.open("ab") as file:
            file.write(np.packbits(mask).tobytes())

    def __iter__(self) -> Iterator[Mask]:
        width, height = self.size
        with self._path.open("rb") as file:
            while packed := file.read(-(-width * height // 8)):
                bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=width * height)
                yield bits.reshape(height, width).view(np.bool_)


def read_grey(file: Path) -> Iterator[Image]:
    """Frames (H, W) of a video that was written in grey, as OpenCV reads each of their three equal channels.

    Only the luminance is decoded, and stretched as the conversion to RGB does, to floor(255 (Y - 16) / 219): less than
    half the time.

    Raises:
        MediaError: the file is no video, or damaged.
    """
    import av
    import cv2

    try:
        with av.open(str(file)) as container:
            container.streams.video[0].codec_context.thread_count = 1  # the frames have nothing for a second one
            for frame in container.decode(video=0):
                plane = frame.planes[0]
                rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
                grey = cv2.subtract(rows[:, : plane.width], _BLACK)
                # OpenCV rounds to the nearest: nearly half a level less is the floor.
                yield cv2.convertScaleAbs(grey, grey, 255 / (_WHITE - _BLACK), -0.499)
    except av.FFmpegError as error:
        raise MediaError(
            f"the masks that were written to {file} cannot be read back ({error}); is there room in that folder?"
        ) from error


def _small(mask: Image, size: Size) -> Mask:
    import cv2

    return np.asarray(cv2.resize(mask, size) > _HALF)
