"""RGB frames as H.264 chunks: closed groups of pictures with their own headers, concatenated into one Annex B stream.

The planes are G, B, R in 4:4:4: no colour conversion, so decoding is bit-exact on every machine, and the lossless form
differs in nothing but its quantiser. Variable-length instead of arithmetic coding, and no deblocking: two to three
times as fast to decode for about a tenth more bytes (benchmarks/loading.py).
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.clips.config import ClipCoding


def encode_video(rgb: NDArray[np.uint8], fps: float, coding: ClipCoding) -> list[bytes]:
    """Code frames (T, H, W, 3) in chunks of `coding.chunk_frames`; equal frames give equal bytes."""
    import av

    codec = av.CodecContext.create("libx264rgb", "w")
    codec.height, codec.width = rgb.shape[1:3]
    codec.pix_fmt = "rgb24"
    codec.framerate = Fraction(fps).limit_denominator(1001)
    codec.time_base = 1 / codec.framerate
    codec.thread_count = 1  # the number of threads decides the bytes
    lossless = {"qp": "0", "coder": "vlc"}
    lossy = {"crf": str(coding.crf), "tune": "fastdecode"}
    chunk = f"keyint={coding.chunk_frames}:min-keyint={coding.chunk_frames}:scenecut=0:repeat-headers=1:annexb=1"
    codec.options = {
        **(lossless if coding.rgb == "lossless" else lossy),
        # With B-frames and macroblock-tree rate control x264 makes different bytes of equal frames now and then.
        "x264-params": f"{chunk}:bframes=0:mbtree=0",
    }
    chunks: list[list[bytes]] = []
    for index, image in enumerate(rgb):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts = index
        _collect(codec.encode(frame), chunks)
    _collect(codec.encode(None), chunks)
    return [b"".join(chunk) for chunk in chunks]


def _collect(packets: Iterable[Any], chunks: list[list[bytes]]) -> None:
    for packet in packets:
        if packet.is_keyframe:
            chunks.append([])
        chunks[-1].append(bytes(packet))


def decode_video(data: memoryview, rows: int, wanted: slice, target: NDArray[np.uint8]) -> None:
    """Decode a chunk of `rows` frames and put those `wanted` into target. Raises ValueError on a damaged chunk."""
    import av
    import cv2

    codec = av.CodecContext.create("h264", "r")
    codec.thread_count = 1
    try:
        frames = [frame for packet in codec.parse(data) for frame in codec.decode(packet)]
        frames += [frame for packet in codec.parse(None) for frame in codec.decode(packet)]
        frames += codec.decode(None)
    except av.FFmpegError as error:
        raise ValueError(f"video does not decode ({error})") from error
    if len(frames) != rows or frames[0].format.name != "gbrp":
        raise ValueError(f"video holds {len(frames)} frames where {rows} were written")
    for frame, image in zip(frames[wanted], target, strict=True):
        green, blue, red = (
            np.frombuffer(plane, np.uint8).reshape(frame.height, plane.line_size)[:, : frame.width]
            for plane in frame.planes
        )
        cv2.merge([red, green, blue], image)
