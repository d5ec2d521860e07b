"""The codec of masks against the video that OpenCV writes and reads: the same packets, the same frames."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.codec.codec import UnknownCodecError

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.evaluation.physics_iq.mask_codec import MaskCodec, read_grey
from tests.evaluation.physics_iq import reference


def discs(height: int, width: int, frames: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    masks = []
    for _ in range(frames):
        mask = np.zeros((height, width), np.uint8)
        for _ in range(rng.integers(0, 9)):
            centre, radius = (int(rng.integers(width)), int(rng.integers(height))), int(rng.integers(2, height // 5))
            cv2.circle(mask, centre, radius, 255, -1)
        masks.append(mask)
    return masks


def noise(height: int, width: int, frames: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [np.where(rng.random((height, width)) > 0.5, 255, 0).astype(np.uint8) for _ in range(frames)]


@pytest.mark.parametrize(
    ("masks", "fps"),
    [
        (discs(64, 96, 40, 0), 30),  # so few pixels that the bit rate decides how coarse they become
        (discs(65, 97, 40, 1), 25),  # odd
        (noise(66, 98, 60, 2), 8),  # at which chrominance drifts from neutral
        (noise(270, 482, 15, 3), 24),
        (discs(1080, 1920, 14, 4), 60),
        ([np.zeros((64, 96), np.uint8)] * 30, 30),
    ],
    ids=["low bit rate", "odd", "noise, 8 fps", "noise, 24 fps", "1080p", "empty"],
)
def test_masks_come_back_as_through_the_file_that_opencv_writes(
    tmp_path: Path, masks: list[np.ndarray], fps: int
) -> None:
    reference.write_masks(masks, tmp_path / "masks.mp4", fps)
    expected = reference.read(tmp_path / "masks.mp4", 10**6)
    height, width = masks[0].shape
    codec = MaskCodec(height, width, fps)
    found = [codec(mask) for mask in masks]
    np.testing.assert_array_equal(found, [frame[..., 0] for frame in expected])


def test_packets_are_those_that_opencv_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    masks = discs(64, 96, 40, 5)
    reference.write_masks(masks, tmp_path / "masks.mp4", 30)
    with av.open(str(tmp_path / "masks.mp4")) as container:
        written = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    codec = MaskCodec(64, 96, 30)
    packets: list[bytes] = []
    decoder = codec._decoder

    class Recording:
        def decode(self, packet: av.Packet) -> list[av.VideoFrame]:
            packets.append(bytes(packet))
            return decoder.decode(packet)

    monkeypatch.setattr(codec, "_decoder", Recording())
    for mask in masks:
        codec(mask)
    assert packets == written


def test_grey_is_what_opencv_reads(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    frames = [rng.integers(0, 256, (48, 80), np.uint8) for _ in range(6)]
    frames += [np.tile(np.arange(256, dtype=np.uint8), (48, 1))[:, i : i + 80] for i in range(0, 177, 16)]
    frames += [np.full((48, 80), value, np.uint8) for value in range(256)]
    reference.write_masks(frames, tmp_path / "grey.mp4")
    expected = np.array(reference.read(tmp_path / "grey.mp4", 10**6))
    assert len(np.unique(expected)) > 200
    with av.open(str(tmp_path / "grey.mp4")) as container:
        found = [read_grey(frame) for frame in container.decode(video=0)]
    np.testing.assert_array_equal(found, expected[..., 0])


def test_a_pyav_without_the_encoder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: str) -> None:
        raise UnknownCodecError("mpeg4")

    monkeypatch.setattr(av.CodecContext, "create", missing, raising=False)
    with pytest.raises(ConfigurationError, match=r"cannot write the official masks.*exact: false"):
        MaskCodec(64, 96, 30)
