"""Masks of motion against OpenCV's own morphology and a plain implementation, and the codec's part."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from phys4d_kedro.errors import MediaError
from phys4d_kedro.evaluation.physics_iq.masks import (
    CodecRecorder,
    MemoryRecorder,
    MotionMasks,
    open_and_close,
    read_grey,
)
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


def test_codec_changes_masks_and_memory_does_not(tmp_path: Path) -> None:
    frames = film(4, 20)
    exact, memory = CodecRecorder(tmp_path / "a.mp4", 30, SMALL), MemoryRecorder(tmp_path / "b", SMALL)
    for frame in frames:
        exact.add(frame)
        memory.add(frame)
    through, kept = np.array(list(exact.masks())), np.array(list(memory.masks()))
    motion = MotionMasks()
    plain = [cv2.resize(motion(frame), SMALL) > 127 for frame in frames]
    np.testing.assert_array_equal(kept, plain)
    assert through.shape == kept.shape
    assert 0 < (through != kept).mean() < 0.05


def test_grey_is_what_opencv_reads(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    frames = [rng.integers(0, 256, (48, 80), np.uint8) for _ in range(6)]
    frames += [np.tile(np.arange(256, dtype=np.uint8), (48, 1))[:, i : i + 80] for i in range(0, 177, 16)]
    frames += [np.full((48, 80), value, np.uint8) for value in range(256)]
    reference.write_masks(frames, tmp_path / "grey.mp4")
    expected = np.array(reference.read(tmp_path / "grey.mp4", 10**6))
    assert len(np.unique(expected)) > 200
    found = np.array(list(read_grey(tmp_path / "grey.mp4")))
    for channel in range(3):
        np.testing.assert_array_equal(found, expected[..., channel])


def test_masks_that_were_not_written_whole_are_named(tmp_path: Path) -> None:
    """As on a full disk, where OpenCV's writer says nothing."""
    recorder = CodecRecorder(tmp_path / "masks.mp4", 30, SMALL)
    for frame in film(7, 20):
        recorder.add(frame)
    masks = recorder.masks()
    (tmp_path / "masks.mp4").write_bytes((tmp_path / "masks.mp4").read_bytes()[:100])
    with pytest.raises(MediaError, match=r"masks\.mp4 cannot be read back .*is there room"):
        list(masks)


def test_frames_after_the_scored_ones_do_not_change_masks_before(tmp_path: Path) -> None:
    """The official evaluator writes masks of whole videos; the first frames are all that is needed here."""
    short, long = (CodecRecorder(tmp_path / f"{n}.mp4", 30, SMALL) for n in (20, 50))
    for i, frame in enumerate(film(5, 50)):
        long.add(frame)
        if i < 20:
            short.add(frame)
    np.testing.assert_array_equal(list(short.masks()), list(long.masks())[:20])
