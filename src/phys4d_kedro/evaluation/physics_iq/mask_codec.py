"""What the lossy video that the official evaluator keeps masks in makes of them, without a file.

That video is written and read by OpenCV: MPEG-4 Part 2 in mp4, luminance 16 and 235 for masks of 0 and 255. Here the
same encoder of FFmpeg is set as OpenCV sets it, and its packets, which the tests find equal byte for byte, go to the
decoder at once. So nothing is written, and OpenCV's conversions from and to grey, a third of the time, are not needed.
"""

from fractions import Fraction
from typing import Any

import numpy as np

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.evaluation.physics_iq.videos import Image

_BLACK, _WHITE = 16, 235  # of the luminance that videos hold
_GREY = 128  # chrominance
_KEY_FRAME_EVERY = 12
_LEAST_QUANTISER = "3"
_INT_MAX = 2**31 - 1


class MaskCodec:
    """Masks (H, W) of 0 and 255 in, one after the other; grey frames out, each of them before the next mask is needed.

    Of odd sizes the last row or column is lost.

    Raises:
        ConfigurationError: this PyAV has no MPEG-4 encoder.
    """

    def __init__(self, height: int, width: int, fps: int) -> None:
        import av
        from av.codec.codec import UnknownCodecError
        from av.codec.context import Flags

        self._height, self._width = height - height % 2, width - width % 2
        try:
            encoder, decoder = av.CodecContext.create("mpeg4", "w"), av.CodecContext.create("mpeg4", "r")
        except UnknownCodecError as error:
            raise ConfigurationError(
                f"this PyAV ({av.__version__}) cannot write the official masks, MPEG-4 video: install its own wheel "
                "(pip install --force-reinstall av), or set physics_iq.exact: false"
            ) from error
        encoder.width, encoder.height, encoder.pix_fmt = self._width, self._height, "yuv420p"
        encoder.time_base, encoder.gop_size = Fraction(1, fps), _KEY_FRAME_EVERY
        encoder.bit_rate = encoder.bit_rate_tolerance = _bit_rate(self._width * self._height * fps)
        encoder.options = {"qmin": _LEAST_QUANTISER}
        encoder.flags |= Flags.global_header
        encoder.thread_count = decoder.thread_count = 1  # masks have nothing for a second one
        encoder.open()
        decoder.extradata = encoder.extradata
        self._encoder, self._decoder = encoder, decoder
        self._frame, self._count = av.VideoFrame(self._width, self._height, "yuv420p"), 0
        for index in (1, 2):
            _plane(self._frame, index)[:] = _GREY

    def __call__(self, mask: Image) -> Image:
        import cv2

        written = _plane(self._frame, 0)
        cv2.convertScaleAbs(mask[: self._height, : self._width], written, (_WHITE - _BLACK) / 255, _BLACK)
        self._frame.pts, self._count = self._count, self._count + 1
        (packet,) = self._encoder.encode(self._frame)  # there are no frames for which it would wait for later ones
        (frame,) = self._decoder.decode(packet)
        return read_grey(frame)


def read_grey(frame: Any) -> Image:
    """The first channel (H, W) of an `av.VideoFrame` as OpenCV reads it.

    Where chrominance is neutral, as it is but for frames of noise, that is the luminance Y stretched to
    floor(255 (Y - 16) / 219), which takes less than half the time of a conversion.
    """
    import cv2

    if not all((_plane(frame, index) == _GREY).all() for index in (1, 2)):
        return np.ascontiguousarray(frame.to_ndarray(format="bgr24")[..., 0])
    grey = cv2.subtract(_plane(frame, 0), _BLACK)
    # OpenCV rounds to the nearest: nearly half a level less is the floor.
    return np.asarray(cv2.convertScaleAbs(grey, grey, 255 / (_WHITE - _BLACK), -0.499))


def _plane(frame: Any, index: int) -> Image:
    """A view (H, W) of one of an `av.VideoFrame`, without its padding."""
    plane = frame.planes[index]
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def _bit_rate(pixels: int) -> int:
    """OpenCV's, of pixels a second: a bit for each, half as much again, and half of the first once more."""
    plain = min(pixels, _INT_MAX / 2)
    whole = int(plain + 0.5)
    return min(min(whole + whole // 2, _INT_MAX) + int(plain / 2), _INT_MAX)
