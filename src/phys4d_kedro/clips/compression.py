"""Arrays as Blosc chunks: zstd behind a byte shuffle, for images of float32 behind a difference of neighbours.

Letters: R rows of a chunk (frames), H, W, C channels.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MANTISSA = 23
# Bytes that Blosc compresses together: as much as fits a core's cache decodes fastest (benchmarks/loading.py).
_BLOCK = 1 << 20


@contextmanager
def reproducible_blosc() -> Iterator[None]:
    """Encode within this block. Blosc's threads lay blocks out as they finish: only one makes equal bytes."""
    from numcodecs import blosc

    before = blosc.use_threads
    blosc.use_threads = False
    try:
        yield
    finally:
        blosc.use_threads = before


def pack(array: NDArray[Any]) -> bytes:
    """Compress an array of any dtype and shape; both are kept elsewhere."""
    from numcodecs import Blosc

    codec = Blosc(cname="zstd", clevel=5, shuffle=Blosc.SHUFFLE, blocksize=_BLOCK)
    return bytes(codec.encode(np.ascontiguousarray(array)))


def unpack(data: memoryview, rows: int, wanted: slice, target: NDArray[Any]) -> None:
    """Put the rows `wanted` of a packed chunk of `rows` rows into target. Raises ValueError on a damaged chunk."""
    if len(target) == rows:
        _decompress(data, target)
        return
    whole = np.empty((rows, *target.shape[1:]), target.dtype)
    _decompress(data, whole)
    target[...] = whole[wanted]


def pack_images(images: NDArray[np.float32]) -> bytes:
    """Compress (R, H, W) or (R, H, W, C) images as planes of bit patterns, each less its left neighbour's.

    Neighbours mostly share sign, exponent and the head of the mantissa, so the differences (modulo 2^32) have few
    bytes that are not zero; one cumulative sum undoes them exactly, inf included.
    """
    planes = np.moveaxis(images, -1, 1) if images.ndim == 4 else images
    pattern = np.ascontiguousarray(planes).view(np.uint32)
    return pack(np.diff(pattern, axis=-1, prepend=np.uint32(0)))


def unpack_images(data: memoryview, rows: int, wanted: slice, target: NDArray[np.float32]) -> None:
    """Put the rows `wanted` of packed images into target. Raises ValueError on a damaged chunk."""
    import cv2

    if target.ndim == 3:
        unpack(data, rows, wanted, target)
        pattern = target.view(np.uint32)
        np.add.accumulate(pattern, axis=-1, dtype=np.uint32, out=pattern)
        return
    _, H, W, channels = target.shape
    pattern = np.empty((len(target), channels, H, W), np.uint32)
    unpack(data, rows, wanted, pattern)
    np.add.accumulate(pattern, axis=-1, dtype=np.uint32, out=pattern)
    for image, planes in zip(target, pattern.view(np.float32), strict=True):
        cv2.merge(list(planes), image)


def round_mantissa(array: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    """float32 rounded to the nearest value with `bits` bits of mantissa (ties to even); inf stays inf.

    The relative error is at most 2^-(bits + 1), over the whole range of float32.
    """
    dropped = _MANTISSA - bits
    if not dropped:
        return array
    pattern = np.ascontiguousarray(array).view(np.uint32)
    odd = (pattern >> np.uint32(dropped)) & np.uint32(1)
    below_half = np.uint32((1 << (dropped - 1)) - 1)
    kept = np.uint32(0xFFFFFFFF << dropped & 0xFFFFFFFF)
    return np.where(np.isfinite(array), (pattern + below_half + odd) & kept, pattern).view(np.float32)


def _decompress(data: memoryview, out: NDArray[Any]) -> None:
    from numcodecs import Blosc

    if not out.size:
        return
    try:
        Blosc().decode(data, out=out)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"array does not decode ({error})") from error
