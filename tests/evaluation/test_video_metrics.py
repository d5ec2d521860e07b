"""Metrics of generated videos, on videos whose every score is counted by hand."""

import cv2
import numpy as np
import pytest

from phys4d_kedro.evaluation.video_metrics import (
    GENERATION_METRICS,
    copy_first_frame,
    motion_masks,
    mse,
    psnr,
    score_video,
    spatial_iou,
    spatiotemporal_iou,
    weighted_spatial_iou,
)


def grey(level: int, frames: int = 5, size: int = 16) -> np.ndarray:
    return np.full((frames, size, size, 3), level, np.uint8)


def masks(*cells: list[int]) -> np.ndarray:
    """Masks (1 + len(cells), 1, 4): an empty first frame, then one with these columns set."""
    made = np.zeros((1 + len(cells), 1, 4), bool)
    for frame, columns in enumerate(cells, start=1):
        made[frame, 0, columns] = True
    return made


def test_mse_and_psnr_by_hand() -> None:
    truth, video = grey(100), grey(100)
    video[1:, ..., 0] += 51  # a fifth of full brightness, in one of three colours
    assert mse(video, truth) == pytest.approx(0.2**2 / 3)
    assert psnr(video, truth) == pytest.approx(10 * np.log10(75))
    assert mse(truth, video) == mse(video, truth)


def test_the_given_frame_does_not_count() -> None:
    truth, video = grey(100), grey(100)
    video[0] = 0
    assert mse(video, truth) == 0
    shifted = grey(100)
    shifted[3] = 151
    assert mse(shifted, truth) == pytest.approx(0.2**2 / 4)


def test_psnr_of_equal_videos_is_finite_and_that_of_rounding() -> None:
    assert psnr(grey(9), grey(9)) == pytest.approx(10 * np.log10(12 * 255**2)) == pytest.approx(58.92, abs=0.01)


class TestMotionMasks:
    """Where a frame differs from the first."""

    def test_a_moved_square_is_where_it_was_and_where_it_is(self) -> None:
        video = grey(50, frames=3)
        video[0, 4:8, 2:6] = video[1, 4:8, 2:6] = 200
        video[2, 4:8, 9:13] = 200
        found = motion_masks(video)
        assert not found[:2].any()
        # A change of 150 reaches one pixel beyond the square with weight 1/4, over a corner 1/16 of it: 9.4 < 10.
        expected = np.zeros((16, 16), bool)
        for left in (2, 9):
            expected[3:9, left : left + 4] = expected[4:8, left - 1 : left + 5] = True
        assert np.array_equal(found[2], expected)

    def test_the_threshold_is_a_difference_of_grey(self) -> None:
        video = grey(100)
        video[2], video[3], video[4] = 110, 111, 89
        assert [bool(mask.all()) for mask in motion_masks(video)] == [False, False, False, True, True]
        assert not motion_masks(video)[2].any()
        assert motion_masks(video, threshold=9.5)[2].all()

    def test_grey_and_blur_are_those_of_opencv(self) -> None:
        video = np.random.default_rng(0).integers(0, 255, (4, 12, 20, 3), np.uint8)
        kernel = np.array([0.25, 0.5, 0.25], np.float32)
        smooth = [
            cv2.sepFilter2D(
                cv2.cvtColor(frame.astype(np.float32), cv2.COLOR_RGB2GRAY),
                cv2.CV_32F,
                kernel,
                kernel,
                borderType=cv2.BORDER_REPLICATE,
            )
            for frame in video
        ]
        expected = np.stack([np.abs(frame - smooth[0]) > 10 for frame in smooth])
        assert (motion_masks(video) == expected).mean() > 0.999

    def test_faint_noise_is_no_motion(self) -> None:
        noisy = grey(120) + np.random.default_rng(0).integers(-6, 7, grey(0).shape)
        assert not motion_masks(noisy.astype(np.uint8)).any()


class TestMotionIou:
    """The three forms, counted by hand."""

    def test_partial_overlap(self) -> None:
        found, true = masks([0, 1], [1], [], [3]), masks([1, 2], [1], [], [])
        assert spatiotemporal_iou(found, true) == pytest.approx((1 / 3 + 1 + 1 + 0) / 4)
        assert spatial_iou(found, true) == pytest.approx(1 / 4)  # {0, 1, 3} and {1, 2}
        # How often: 1 2 0 1 and 0 2 1 0.
        assert weighted_spatial_iou(found, true) == pytest.approx(2 / 5)

    def test_right_place_at_the_wrong_time(self) -> None:
        found, true = masks([0], [1]), masks([1], [0])
        assert spatiotemporal_iou(found, true) == 0
        assert spatial_iou(found, true) == weighted_spatial_iou(found, true) == 1

    def test_right_place_for_too_long(self) -> None:
        found, true = masks([0], [0], [0]), masks([0], [], [])
        assert spatial_iou(found, true) == 1
        assert weighted_spatial_iou(found, true) == spatiotemporal_iou(found, true) == pytest.approx(1 / 3)

    @pytest.mark.parametrize("iou", [spatiotemporal_iou, spatial_iou, weighted_spatial_iou])
    def test_empty_masks(self, iou) -> None:
        still, moving = masks([], []), masks([0], [1])
        assert iou(still, still) == 1
        assert iou(still, moving) == iou(moving, still) == 0
        assert iou(moving, moving) == 1


def test_the_copy_is_best_on_a_still_clip_and_has_no_motion_on_another() -> None:
    truth = grey(50)
    perfect = {"mse": 0, "psnr": psnr(truth, truth)} | dict.fromkeys(list(GENERATION_METRICS)[2:], 1)
    assert score_video(copy_first_frame(truth), truth) == perfect
    truth[1:, 4:8, 4:8] = 200
    scores = score_video(copy_first_frame(truth), truth)
    assert scores["mse"] == pytest.approx((150 / 255) ** 2 / 16)
    assert [scores[name] for name in list(GENERATION_METRICS)[2:]] == [0, 0, 0]
    assert score_video(truth, truth) == perfect
