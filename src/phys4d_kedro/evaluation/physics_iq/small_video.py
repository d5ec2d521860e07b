"""A file of small frames and their masks, written once and read often; memory holds one of each."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from phys4d_kedro.evaluation.physics_iq.masks import Mask, Size
from phys4d_kedro.evaluation.physics_iq.videos import Image


class SmallVideo:
    """Frames (h, w, 3) with masks (h, w), which take a bit a pixel."""

    def __init__(self, path: Path, size: Size) -> None:
        self._path, self._size = path, size

    def write(self, frames: Iterable[tuple[Image, Mask]]) -> int:
        """All of them; how many they were."""
        count = 0
        with self._path.open("wb") as file:
            for frame, mask in frames:
                file.write(frame.tobytes() + np.packbits(mask).tobytes())
                count += 1
        return count

    def __iter__(self) -> Iterator[tuple[Image, Mask]]:
        width, height = self._size
        pixels = width * height
        with self._path.open("rb") as file:
            while content := file.read(3 * pixels + -(-pixels // 8)):
                values = np.frombuffer(content, np.uint8)
                mask = np.unpackbits(values[3 * pixels :], count=pixels).view(np.bool_)
                yield values[: 3 * pixels].reshape(height, width, 3), mask.reshape(height, width)
