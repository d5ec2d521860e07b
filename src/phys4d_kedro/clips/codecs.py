"""Coding of one array as a run of chunks along its first axis, each of which decodes without the others.

A member is the plain concatenation of its chunks; its layout (a JSON-able dict: coding, shape, dtype, rows a chunk,
where each chunk ends, its CRC-32) is kept in the manifest and in the clip's JSON member. RGB is an H.264 Annex B stream
whose chunks are closed groups of pictures with their own headers, coded as G, B, R planes in 4:4:4: there is
no colour conversion, so decoding is bit-exact on every machine, and the lossless form differs in nothing but QP 0.
Everything else is Blosc (zstd behind a byte or bit shuffle); nothing is pickled.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import ARRAY_SPEC
from phys4d_kedro.clips.config import ClipCoding

# Arrays that may be stored as float16; poses and tracks are small and stay exact.
_HALVED = ("depth", "depth_confidence", "motion", "motion_confidence")
_SMALLEST_NORMAL_HALF = float(np.finfo(np.float16).smallest_normal)

Layout = dict[str, Any]


@dataclass(frozen=True)
class Encoded:
    """One coded array: the bytes of its tar member, the member's extension, and what decoding needs to know."""

    payload: bytes
    extension: str
    layout: Layout


def encode(key: str, array: NDArray[Any], fps: float, coding: ClipCoding) -> Encoded:
    """Code the array of a clip's key. The same array and coding give the same bytes."""
    if key == "rgb":
        chunks = _encode_video(array, fps, coding)
        layout: Layout = {"coding": "h264-gbr"}
        extension, rows = "h264", coding.chunk_frames
    else:
        stored = _stored_form(key, array, coding)
        rows = coding.chunk_frames if ARRAY_SPEC[key][0].startswith("T") else max(1, len(array))
        with _single_threaded_blosc():
            chunks = [_pack(stored[i : i + rows]) for i in range(0, len(stored), rows)]
        layout = {"coding": "blosc", "stored": stored.dtype.str}
        extension = "blosc"
    ends = np.cumsum([len(chunk) for chunk in chunks]).tolist()
    layout |= {
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "rows": rows,
        "ends": ends,
        "crc32": [zlib.crc32(chunk) for chunk in chunks],
    }
    return Encoded(b"".join(chunks), extension, layout)


def byte_range(layout: Layout, start: int, stop: int) -> tuple[int, int]:
    """The bytes of the member that hold rows start .. stop - 1 (whole chunks)."""
    if stop <= start:
        return 0, 0
    ends = layout["ends"]
    first, last = start // layout["rows"], (stop - 1) // layout["rows"]
    return (ends[first - 1] if first else 0), ends[last]


def decode(layout: Layout, payload: bytes | memoryview, start: int, stop: int) -> NDArray[Any]:
    """Rows start .. stop - 1 of an array from the bytes that `byte_range` names.

    Raises:
        ValueError: the bytes are not what was written (length, checksum, or undecodable); the caller names the clip.
    """
    shape, rows = layout["shape"], layout["rows"]
    out = np.empty((stop - start, *shape[1:]), np.dtype(layout["dtype"]))
    if stop <= start:
        return out
    base, end = byte_range(layout, start, stop)
    if len(payload) != end - base:
        raise ValueError(f"{len(payload)} bytes where {end - base} were written")
    view = memoryview(payload)
    for chunk in range(start // rows, (stop - 1) // rows + 1):
        low = layout["ends"][chunk - 1] if chunk else 0
        piece = view[low - base : layout["ends"][chunk] - base]
        if zlib.crc32(piece) != layout["crc32"][chunk]:
            raise ValueError(
                f"checksum mismatch in rows {chunk * rows} to {min((chunk + 1) * rows, shape[0]) - 1}"
            )
        count = min(rows, shape[0] - chunk * rows)
        first, last = max(start - chunk * rows, 0), min(stop - chunk * rows, count)
        target = out[chunk * rows + first - start : chunk * rows + last - start]
        if layout["coding"] == "blosc":
            _unpack_into(piece, layout, count, target, first, last)
        else:
            _decode_video_into(piece, count, target, first, last)
    return out


def _stored_form(key: str, array: NDArray[Any], coding: ClipCoding) -> NDArray[Any]:
    if coding.floats == "float32" or key not in _HALVED:
        return array
    finite = np.abs(array[np.isfinite(array)])
    if finite.size and finite.max() > np.finfo(np.float16).max:
        return array
    if key == "depth" and finite.size and finite.min() < _SMALLEST_NORMAL_HALF:
        return array  # would lose relative precision, or become 0
    return array.astype(np.float16)


@contextmanager
def _single_threaded_blosc() -> Iterator[None]:
    """Blosc's threads finish blocks in any order and lay them out so: one thread makes equal bytes of equal input."""
    from numcodecs import blosc

    before = blosc.use_threads
    blosc.use_threads = False
    try:
        yield
    finally:
        blosc.use_threads = before


def _pack(array: NDArray[Any]) -> bytes:
    from numcodecs import Blosc

    shuffle = Blosc.BITSHUFFLE if array.dtype == np.bool_ else Blosc.SHUFFLE
    return bytes(Blosc(cname="zstd", clevel=3, shuffle=shuffle).encode(np.ascontiguousarray(array)))


def _unpack_into(
    piece: memoryview, layout: Layout, count: int, target: NDArray[Any], first: int, last: int
) -> None:
    from numcodecs import Blosc

    try:
        raw = Blosc().decode(piece)
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    rows = np.frombuffer(raw, np.dtype(layout["stored"])).reshape(count, *target.shape[1:])
    target[...] = rows[first:last]


def _encode_video(rgb: NDArray[np.uint8], fps: float, coding: ClipCoding) -> list[bytes]:
    from fractions import Fraction

    import av

    codec = av.CodecContext.create("libx264rgb", "w")
    codec.height, codec.width = rgb.shape[1:3]
    codec.pix_fmt = "rgb24"
    codec.framerate = Fraction(fps).limit_denominator(1001)
    codec.time_base = 1 / codec.framerate
    codec.thread_count = 1  # the number of threads decides the bytes
    quality = {"qp": "0"} if coding.rgb == "lossless" else {"crf": str(coding.crf)}
    keyint = coding.chunk_frames
    codec.options = {
        "preset": "medium",
        **quality,
        "x264-params": f"keyint={keyint}:min-keyint={keyint}:scenecut=0:repeat-headers=1:open-gop=0:annexb=1",
    }
    chunks: list[list[bytes]] = []
    frames = [av.VideoFrame.from_ndarray(image, format="rgb24") for image in rgb]
    for index, frame in enumerate(frames):
        frame.pts = index
    for frame in [*frames, None]:
        for packet in codec.encode(frame):
            if packet.is_keyframe:
                chunks.append([])
            chunks[-1].append(bytes(packet))
    return [b"".join(chunk) for chunk in chunks]


def _decode_video_into(
    piece: memoryview, count: int, target: NDArray[np.uint8], first: int, last: int
) -> None:
    import av

    codec = av.CodecContext.create("h264", "r")
    try:
        frames = [frame for packet in codec.parse(bytes(piece)) for frame in codec.decode(packet)]
        for packet in codec.parse(None):
            frames += codec.decode(packet)
        frames += codec.decode(None)
    except av.FFmpegError as error:
        raise ValueError(f"video does not decode ({error})") from error
    if len(frames) != count:
        raise ValueError(f"video holds {len(frames)} frames where {count} were written")
    for row, frame in enumerate(frames[first:last]):
        for plane, channel in zip(frame.planes, (1, 2, 0), strict=True):  # planes are G, B, R
            pixels = np.frombuffer(plane, np.uint8).reshape(frame.height, plane.line_size)
            target[row, :, :, channel] = pixels[:, : frame.width]
