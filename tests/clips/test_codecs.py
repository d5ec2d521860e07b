"""Coding of arrays: what comes back, what is lost, and what damage is noticed."""

import zlib

import numpy as np
import pytest
from factories import make_clip
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.codecs import Encoded, Request, byte_range, decode, encode
from phys4d_kedro.clips.compression import pack_images, round_mantissa, unpack_images
from phys4d_kedro.clips.config import ClipCoding

EXACT = ClipCoding(mantissa_bits=23)


def read(encoded: Encoded, start: int, stop: int) -> np.ndarray:
    low, high = byte_range(encoded.layout, start, stop)
    [array] = decode([Request(encoded.layout, encoded.payload[low:high], start, stop)])
    return array


@pytest.fixture(scope="module")
def clip() -> Clip:
    return make_clip(0, height=48, width=40, frames=13)


def test_exact_coding_gives_every_array_back(clip: Clip) -> None:
    for key, array in clip.arrays().items():
        before = array.copy()
        encoded = encode(key, array, clip.fps, EXACT)
        np.testing.assert_array_equal(array, before, err_msg=f"{key} was written to")
        back = read(encoded, 0, len(array))
        assert back.dtype == array.dtype
        np.testing.assert_array_equal(back, array, err_msg=key)


@pytest.mark.parametrize("coding", [EXACT, ClipCoding(rgb="h264", chunk_frames=3), ClipCoding(chunk_frames=100)])
def test_any_window_equals_the_slice_of_the_whole(clip: Clip, coding: ClipCoding) -> None:
    for key in ("rgb", "depth", "motion", "motion_valid", "segmentation", "tracks"):
        array = getattr(clip, key)
        encoded = encode(key, array, clip.fps, coding)
        whole = read(encoded, 0, len(array))
        for start in range(len(array)):
            for stop in range(start, len(array) + 1):
                np.testing.assert_array_equal(read(encoded, start, stop), whole[start:stop])


def test_a_window_reads_only_its_chunks(clip: Clip) -> None:
    encoded = encode("depth", clip.depth, clip.fps, ClipCoding(chunk_frames=4))
    low, high = byte_range(encoded.layout, 5, 7)
    assert (low, high) == (encoded.layout["ends"][0], encoded.layout["ends"][1])


def test_equal_input_makes_equal_bytes(clip: Clip) -> None:
    for key, array in clip.arrays().items():
        for coding in (ClipCoding(), ClipCoding(rgb="h264")):
            payloads = set()
            for _ in range(8):
                _stir_the_heap()
                payloads.add(encode(key, array.copy(), 8.0, coding).payload)
            assert len(payloads) == 1, (key, coding)


def _stir_the_heap() -> None:
    """Leave other bytes in the memory that the next allocation gets: no encoder may depend on them."""
    rng = np.random.default_rng()
    for size in rng.integers(10_000, 500_000, 20):
        np.full(size, rng.integers(255), np.uint8)


def test_lossy_rgb_is_smaller_and_close() -> None:
    t, y, x = np.mgrid[0:9, 0:64, 0:64]
    waves = [np.sin((x + 2 * t) / 5 + y / 9), np.sin(y / 4 - t), np.sin((x * y) / 300 + t / 3)]
    rgb = np.stack([127 + 120 * wave for wave in waves], -1).astype(np.uint8)
    lossless = encode("rgb", rgb, 8.0, ClipCoding())
    lossy = encode("rgb", rgb, 8.0, ClipCoding(rgb="h264", crf=16))
    assert len(lossy.payload) < 0.6 * len(lossless.payload)
    error = np.mean((lossy.decoded.astype(float) - rgb) ** 2)
    assert 10 * np.log10(255**2 / error) > 40


@given(arrays(np.float32, st.integers(1, 40), elements=st.floats(width=32, allow_nan=False)), st.integers(4, 23))
@settings(deadline=None, max_examples=200)
def test_rounding_keeps_its_bound_and_infinity(values: np.ndarray, bits: int) -> None:
    normal = np.isinf(values) | ((np.abs(values) >= 2**-126) & (np.abs(values) < 2**127)) | (values == 0)
    values = values[normal]
    rounded = round_mantissa(values, bits)
    infinite = np.isinf(values)
    np.testing.assert_array_equal(rounded[infinite], values[infinite])
    error = np.abs(rounded[~infinite].astype(np.float64) - values[~infinite])
    assert (error <= np.abs(values[~infinite].astype(np.float64)) * 2.0 ** -(bits + 1)).all()
    if bits == 23:
        np.testing.assert_array_equal(rounded, values)


@given(arrays(np.float32, (2, 3, 5, 3), elements=st.floats(width=32, allow_nan=False)))
@settings(deadline=None, max_examples=50)
def test_differences_are_undone_exactly(images: np.ndarray) -> None:
    for array in (images, images[..., 0].copy()):
        out = np.empty_like(array)
        unpack_images(memoryview(pack_images(array)), len(array), slice(0, len(array)), out)
        np.testing.assert_array_equal(out.view(np.uint32), array.view(np.uint32))


def test_arrays_without_rows_or_points_survive() -> None:
    one_frame = encode("motion", np.zeros((0, 4, 4, 3), np.float32), 8.0, ClipCoding())
    assert read(one_frame, 0, 0).shape == (0, 4, 4, 3)
    no_points = encode("tracks", np.zeros((5, 0, 3), np.float32), 8.0, ClipCoding())
    assert read(no_points, 1, 4).shape == (3, 0, 3)
    no_instances = encode("track_instance", np.zeros(0, np.uint16), 8.0, ClipCoding())
    assert read(no_instances, 0, 0).shape == (0,)


@pytest.mark.parametrize("key", ["rgb", "depth", "motion_valid"])
def test_damage_is_noticed_in_every_chunk(clip: Clip, key: str) -> None:
    array = getattr(clip, key)
    encoded = encode(key, array, clip.fps, ClipCoding(chunk_frames=4))
    for end in encoded.layout["ends"]:
        damaged = bytearray(encoded.payload)
        damaged[end - 3] ^= 1
        with pytest.raises(ValueError, match="checksum"):
            decode([Request(encoded.layout, bytes(damaged), 0, len(array))])
    with pytest.raises(ValueError, match="bytes where"):
        decode([Request(encoded.layout, encoded.payload[:-1], 0, len(array))])


def test_a_decoder_that_gives_something_else_is_noticed(clip: Clip) -> None:
    encoded = encode("depth", clip.depth, clip.fps, ClipCoding())
    layout = encoded.layout | {"sums": [number ^ 1 for number in encoded.layout["sums"]]}
    with pytest.raises(ValueError, match="decode to something else"):
        decode([Request(layout, encoded.payload, 0, len(clip.depth))])


@pytest.mark.parametrize("key", ["rgb", "depth", "segmentation"])
def test_undecodable_bytes_with_a_good_checksum_are_an_error_not_a_crash(clip: Clip, key: str) -> None:
    array = getattr(clip, key)
    encoded = encode(key, array, clip.fps, ClipCoding(chunk_frames=100))
    junk = np.random.default_rng(0).bytes(len(encoded.payload))
    layout = encoded.layout | {"crc32": [zlib.crc32(junk)]}
    with pytest.raises(ValueError, match=r"decode|holds"):
        decode([Request(layout, junk, 0, len(array))])


def test_large_arrays_are_decoded_by_threads_to_the_same_values() -> None:
    rng = np.random.default_rng(0)
    depth = rng.uniform(1, 9, (9, 512, 512)).astype(np.float32)
    np.testing.assert_array_equal(encode("depth", depth, 8.0, EXACT).decoded, depth)
    encoded = encode("depth", depth, 8.0, EXACT)
    damaged = bytearray(encoded.payload)
    damaged[-1] ^= 1
    with pytest.raises(ValueError, match="checksum mismatch in rows 8 to 8"):
        decode([Request(encoded.layout, bytes(damaged), 0, 9)])
