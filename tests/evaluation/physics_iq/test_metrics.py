"""Metrics against cases worked by hand."""

import numpy as np
import pytest

from phys4d_kedro.evaluation.physics_iq.metrics import MaskOverlap, frame_mse, iou, weighted_iou

ROW = np.array([[1, 1, 0, 0]], bool)
NEXT = np.array([[0, 1, 1, 0]], bool)
NONE = np.zeros((1, 4), bool)


def test_mse_of_a_known_difference() -> None:
    image, other = np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 3), np.uint8)
    other[0, 0] = 51  # a fifth of white, in a quarter of the pixels
    assert frame_mse(image, other) == pytest.approx(0.04 / 4, abs=1e-9)
    assert frame_mse(other, other) == 0


def test_iou_of_known_masks() -> None:
    assert iou(ROW, NEXT) == 1 / 3
    assert iou(ROW, ~ROW) == 0
    assert iou(NONE, NONE) == 1
    assert iou(ROW, NONE) == 0


def test_weighted_iou_of_known_shares() -> None:
    assert weighted_iou(np.array([0.5, 0.25, 0.0]), np.array([0.25, 0.5, 0.25])) == pytest.approx(0.5 / 1.25)
    assert weighted_iou(np.zeros(3), np.zeros(3)) == 1


def test_overlap_over_time() -> None:
    overlap = MaskOverlap()
    for mask, other in ((NONE, NONE), (ROW, NEXT), (ROW, NONE), (NEXT, NEXT)):
        overlap.add(mask, other)
    found = overlap.finish([0.0, 0.1, 0.2, 0.3])
    assert found.spatiotemporal_iou == (1, 1 / 3, 0, 1)
    # Times in the mask: 2 3 1 0 of four, and 0 2 2 0.
    assert found.spatial_iou == 2 / 3
    assert found.weighted_spatial_iou == pytest.approx((0 + 2 + 1) / (2 + 3 + 2))
    assert (found.frames, found.moves, found.other_moves) == (4, True, True)
