"""Coding of one array as a run of chunks along its first axis, each of which decodes without the others.

A tar member is the plain concatenation of its chunks. Its layout, a JSON-able dict (coding, dtype, shape, rows a
chunk, where each chunk ends, the CRC-32 of its bytes, the sum of what they decode to), is kept in the manifest and the
clip's JSON member. RGB is H.264 (h264.py), everything else Blosc (compression.py); nothing is pickled.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import ARRAY_SPEC
from phys4d_kedro.clips.compression import (
    pack,
    pack_images,
    reproducible_blosc,
    round_mantissa,
    unpack,
    unpack_images,
)
from phys4d_kedro.clips.config import ClipCoding
from phys4d_kedro.clips.h264 import decode_video, encode_video

Layout = dict[str, Any]

# Images of float32; poses and tracks are small and stay exact.
_FLOAT_IMAGES = ("depth", "depth_confidence", "motion", "motion_confidence")
_CHUNK_BYTES = 1 << 21
# Below this many decoded bytes starting threads costs more than they save.
_WORTH_THREADS = 8_000_000

_DECODERS: dict[str, Callable[[memoryview, int, slice, NDArray[Any]], None]] = {
    "h264-gbr": decode_video,
    "blosc-difference": unpack_images,
    "blosc": unpack,
}


@dataclass(frozen=True)
class Encoded:
    """One coded array: the bytes and extension of its tar member, what decoding needs, and what it will give."""

    payload: bytes
    extension: str
    layout: Layout
    decoded: NDArray[Any]


@dataclass(frozen=True)
class Request:
    """Rows start .. stop - 1 of an array, from the bytes of its member that `byte_range` names."""

    layout: Layout
    payload: bytes
    start: int
    stop: int


def encode(key: str, array: NDArray[Any], fps: float, coding: ClipCoding) -> Encoded:
    """Code the array of a clip's key. The same array and coding give the same bytes."""
    rows = _rows_a_chunk(key, array, coding)
    pieces = [array[i : i + rows] for i in range(0, len(array), rows)]
    if key == "rgb":
        name, extension = "h264-gbr", "h264"
        chunks = encode_video(array, fps, coding)
    elif key in _FLOAT_IMAGES:
        name, extension = "blosc-difference", "blosc"
        with reproducible_blosc():
            chunks = [pack_images(round_mantissa(piece, coding.mantissa_bits)) for piece in pieces]
    else:
        name, extension = "blosc", "blosc"
        with reproducible_blosc():
            chunks = [pack(piece) for piece in pieces]
    layout: Layout = {
        "coding": name,
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "rows": rows,
        "ends": np.cumsum([len(chunk) for chunk in chunks], dtype=np.int64).tolist(),
        "crc32": [zlib.crc32(chunk) for chunk in chunks],
    }
    payload = b"".join(chunks)
    [decoded] = decode([Request(layout, payload, 0, len(array))])
    layout["sums"] = [word_sum(decoded[i : i + rows]) for i in range(0, len(array), rows)]
    return Encoded(payload, extension, layout, decoded)


def word_sum(array: NDArray[Any]) -> int:
    """Sum of a contiguous array's 64-bit words, modulo 2^64: ten times as fast as a CRC of what is large already."""
    content = array.reshape(-1).view(np.uint8)
    whole = content.size // 8 * 8
    tail = int.from_bytes(content[whole:].tobytes(), "little")
    return (int(np.add.reduce(content[:whole].view(np.uint64))) + tail) % 2**64


def _rows_a_chunk(key: str, array: NDArray[Any], coding: ClipCoding) -> int:
    """Frames that are coded together: fewer of large arrays, where a chunk that stays in the cache decodes faster."""
    if not ARRAY_SPEC[key][0].startswith("T"):
        return max(1, len(array))
    if key == "rgb":
        return coding.chunk_frames
    frame = array[:1].nbytes or 1
    return min(coding.chunk_frames, max(1, _CHUNK_BYTES // frame))


def byte_range(layout: Layout, start: int, stop: int) -> tuple[int, int]:
    """The bytes of the member that hold rows start .. stop - 1 (whole chunks)."""
    if stop <= start:
        return 0, 0
    ends = layout["ends"]
    first, last = start // layout["rows"], (stop - 1) // layout["rows"]
    return (ends[first - 1] if first else 0), ends[last]


def decode(requests: Sequence[Request]) -> list[NDArray[Any]]:
    """Decode arrays together, the chunks of large ones on all cores. Checks each chunk before and after decoding.

    Raises:
        ValueError: bytes are not what was written (length, checksum, or undecodable); the caller names the clip.
    """
    arrays = [
        np.empty((max(0, r.stop - r.start), *r.layout["shape"][1:]), np.dtype(r.layout["dtype"])) for r in requests
    ]
    work = [task for request, array in zip(requests, arrays, strict=True) for task in _tasks(request, array)]
    if sum(array.nbytes for array in arrays) < _WORTH_THREADS:
        for task in work:
            task()
        return arrays
    import joblib

    with ThreadPoolExecutor(joblib.cpu_count()) as pool:
        for done in [pool.submit(task) for task in work]:
            done.result()
    return arrays


def _tasks(request: Request, out: NDArray[Any]) -> Iterator[Callable[[], None]]:
    """One task a chunk that the rows touch; each fills its part of `out`."""
    layout, start, stop = request.layout, request.start, request.stop
    base, end = byte_range(layout, start, stop)
    if len(request.payload) != end - base:
        raise ValueError(f"{len(request.payload)} bytes where {end - base} were written")
    if stop <= start:
        return
    rows = layout["rows"]
    for chunk in range(start // rows, (stop - 1) // rows + 1):
        low = layout["ends"][chunk - 1] if chunk else 0
        data = memoryview(request.payload)[low - base : layout["ends"][chunk] - base]
        top = chunk * rows
        count = min(rows, layout["shape"][0] - top)
        wanted = slice(max(start - top, 0), min(stop - top, count))
        target = out[top + wanted.start - start : top + wanted.stop - start]
        yield partial(_decode_chunk, layout, chunk, data, wanted, target)


def _decode_chunk(layout: Layout, chunk: int, data: memoryview, wanted: slice, target: NDArray[Any]) -> None:
    first = chunk * layout["rows"]
    count = min(layout["rows"], layout["shape"][0] - first)
    if zlib.crc32(data) != layout["crc32"][chunk]:
        raise ValueError(f"checksum mismatch in rows {first} to {first + count - 1}")
    _DECODERS[layout["coding"]](data, count, wanted, target)
    if len(target) == count and "sums" in layout and word_sum(target) != layout["sums"][chunk]:
        raise ValueError(f"rows {first} to {first + count - 1} decode to something else than when they were written")
