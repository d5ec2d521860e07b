"""How well a generated video agrees with what truly happened after the same first frame; docs/generation.md.

Videos are (T, H, W, 3) uint8, sRGB, of equal shapes. A generated one starts from the true first frame, so every metric
judges the frames after it. Letters: T frames, H rows, W columns.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.evaluation.statistics import Metric

Video = NDArray[np.uint8]
Masks = NDArray[np.bool_]

GENERATION_METRICS = {
    "mse": Metric("Pixel MSE"),
    "psnr": Metric("PSNR", "dB", higher_is_better=True),
    "motion_iou": Metric("Motion IoU, spatiotemporal", higher_is_better=True),
    "motion_iou_spatial": Metric("Motion IoU, spatial", higher_is_better=True),
    "motion_iou_weighted": Metric("Motion IoU, weighted spatial", higher_is_better=True),
}

GREY = np.array([0.299, 0.587, 0.114], np.float32)  # BT.601, as OpenCV has it
_ROUNDING = 1 / 12 / 255**2  # mean square of what rounding to 8 bits adds


def mse(video: Video, truth: Video) -> float:
    """Mean square of the difference of brightness in [0, 1], over frames, pixels and colours."""
    difference = (video[1:].astype(np.int32) - truth[1:]) ** 2
    return float(difference.mean(dtype=np.float64)) / 255**2


def psnr(video: Video, truth: Video) -> float:
    """10 log10(1 / MSE) in dB, at most 58.9: less error than rounding to 8 bits makes is not told apart."""
    return float(-10 * np.log10(max(mse(video, truth), _ROUNDING)))


def motion_masks(video: Video, *, threshold: float = 10.0) -> Masks:
    """Where each frame has changed since the first one: (T, H, W), empty in frame 0.

    Grey values G in 0..255, smoothed by [1 2 1] / 4 along rows and columns with the border repeated, differ by more
    than the threshold: |G(t) - G(0)| > threshold.
    """
    padded = np.pad(video.astype(np.float32) @ GREY, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
    grey = (rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 4
    return np.asarray(np.abs(grey - grey[:1]) > threshold)


def spatiotemporal_iou(masks: Masks, truth: Masks) -> float:
    """Mean over frames of the intersection over union of masks (T, H, W); a frame where both are empty counts 1."""
    both, either = (m[1:].sum((1, 2)) for m in (masks & truth, masks | truth))
    return float(np.where(either > 0, both / np.maximum(either, 1), 1.0).mean())


def spatial_iou(masks: Masks, truth: Masks) -> float:
    """Intersection over union of where anything ever moves; 1 if nothing does in either."""
    ever, truly = np.asarray(masks.any(0)), np.asarray(truth.any(0))
    return _ratio(ever & truly, ever | truly)


def weighted_spatial_iou(masks: Masks, truth: Masks) -> float:
    """sum(min) / sum(max) of how often each pixel moves; 1 if none does in either."""
    often, truly = masks.sum(0), truth.sum(0)
    return _ratio(np.minimum(often, truly), np.maximum(often, truly))


def copy_first_frame(truth: Video) -> Video:
    """The baseline to be ahead of: the first frame, standing still."""
    return np.repeat(truth[:1], len(truth), axis=0)


def score_video(video: Video, truth: Video) -> dict[str, float]:
    """Every metric of GENERATION_METRICS."""
    masks, true_masks = motion_masks(video), motion_masks(truth)
    return {
        "mse": mse(video, truth),
        "psnr": psnr(video, truth),
        "motion_iou": spatiotemporal_iou(masks, true_masks),
        "motion_iou_spatial": spatial_iou(masks, true_masks),
        "motion_iou_weighted": weighted_spatial_iou(masks, true_masks),
    }


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> float:
    """Sum over sum; 1 if there is nothing in either."""
    total = float(whole.sum())
    return float(part.sum()) / total if total else 1.0
