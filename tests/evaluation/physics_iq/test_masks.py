"""Masks of motion against OpenCV's own morphology and a plain implementation; where masks come from."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from phys4d_kedro.errors import MediaError
from phys4d_kedro.evaluation.physics_iq.masks import CodecMasks, MotionMasks, PlainMasks, ShippedMasks, open_and_close
from tests.evaluation.physics_iq import reference
from tests.evaluation.physics_iq.official_set import film, write_mp4v

SMALL = (24, 16)


@pytest.mark.parametrize("density", [0.02, 0.2, 0.5, 0.8, 0.98])
def test_opening_and_closing_is_that_of_opencv(density: float) -> None:
    rng = np.random.default_rng(int(100 * density))
    kernel = np.ones((5, 5), np.uint8)
    for _ in range(40):
        height, width = rng.integers(5, 60, 2)
        noise = cv2.GaussianBlur(rng.random((height, width)), (0, 0), rng.uniform(0.5, 3))
        mask = np.where(noise > np.quantile(noise, 1 - density), 255, 0).astype(np.uint8)
        opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel)
        np.testing.assert_array_equal(open_and_close(mask), cv2.morphologyEx(opened, cv2.MORPH_CLOSE, kernel))


@pytest.mark.parametrize("size", [(64, 96), (65, 97), (129, 96), (300, 40)])  # rows: part of a strip, or several
def test_masks_are_those_of_the_rules(tmp_path: Path, size: tuple[int, int]) -> None:
    path = write_mp4v(tmp_path / "video.mp4", film(3, 20, size))
    masks = MotionMasks()
    found = [masks(frame) for frame in reference.read(path, 20)]
    np.testing.assert_array_equal(found, reference.native_masks(path))
    assert not found[0].any()
    assert all(mask.any() for mask in found[3:])


def test_a_step_of_brightness_is_followed_and_forgotten() -> None:
    """The background keeps 0.7 of itself: a step of 40 grey levels is 28, 19.6, 13.7 and 9.6 away from it."""
    masks = MotionMasks()
    frames = [np.full((32, 32, 3), value, np.uint8) for value in (100, 140, 140, 140, 140)]
    assert [bool(masks(frame).all()) for frame in frames] == [False, True, True, True, False]


def test_plain_masks_are_small_and_codec_changes_them() -> None:
    frames, motion = film(4, 20), MotionMasks()
    through, plain = CodecMasks(30, SMALL), PlainMasks(SMALL)
    kept, changed = (np.array([masks(frame) for frame in frames]) for masks in (plain, through))
    np.testing.assert_array_equal(kept, [cv2.resize(motion(frame), SMALL) > 127 for frame in frames])
    assert changed.shape == kept.shape
    assert 0 < (changed != kept).mean() < 0.05


def test_shipped_masks_are_those_of_the_file_and_it_is_named_when_they_end(tmp_path: Path) -> None:
    frames = film(7, 6)
    written = [np.full((64, 96), 255 * (i % 2), np.uint8) for i in range(5)]
    reference.write_masks(written, tmp_path / "masks.mp4")
    masks = ShippedMasks(tmp_path / "masks.mp4", 6, SMALL)
    assert [bool(masks(frame).all()) for frame in frames[:5]] == [False, True, False, True, False]
    with pytest.raises(MediaError, match=r"masks\.mp4 has fewer masks"):
        masks(frames[5])
