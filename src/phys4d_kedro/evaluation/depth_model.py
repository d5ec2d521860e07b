"""How well a single-frame depth estimator does on frames whose depth is known exactly, beside constant guesses."""

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.evaluation.baselines import median_depths
from phys4d_kedro.evaluation.metrics import abs_rel, delta_1, median_scale

if TYPE_CHECKING:
    from phys4d_kedro.perception.depth import DepthEstimator

Scores = dict[str, dict[str, dict[str, float]]]


def score_depth_model(estimator: "DepthEstimator", heldout: ClipStore, train: ClipStore) -> Scores:
    """Mean scores over held-out clips: {predictor: {region: {metric: value}}}.

    Predictors: `model`; `constant_median` and `pixel_median`, the median depth of all pixels of the training clips and
    of each. Regions: `image`, and `objects` (instances other than the background); pixels without a hit do not count.
    Metrics: AbsRel and delta < 1.25, `_raw` and with the clip's median depth over the image set right.

    Args:
        estimator: a metric one.

    Raises:
        MissingAnnotationError: a clip has no exact depth or segmentation.
    """
    constant, pixel = median_depths(train)
    found: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for clip in tqdm(heldout, total=len(heldout), desc="Depth scores", unit="clip"):
        clip.require("depth", "segmentation")
        predictions = {
            "model": estimator.predict(clip.rgb),
            "constant_median": np.full(clip.rgb.shape[:3], constant, np.float32),
            "pixel_median": np.broadcast_to(pixel, clip.rgb.shape[:3]),
        }
        for name, predicted in predictions.items():
            for region, metric, value in _score(clip, predicted):
                found[name, region, metric].append(value)
    scores: Scores = defaultdict(lambda: defaultdict(dict))
    for (name, region, metric), values in found.items():
        scores[name][region][metric] = round(float(np.mean(values)), 4)
    return {name: dict(regions) for name, regions in scores.items()}


def _score(clip: Clip, predicted: NDArray[np.float32]) -> Iterator[tuple[str, str, float]]:
    """(region, metric, value) of each region that the clip shows."""
    arrays = clip.arrays()
    hit = np.isfinite(arrays["depth"])
    scale = median_scale(predicted, arrays["depth"], hit if hit.any() else None)
    for region, pixels in (("image", hit), ("objects", hit & (arrays["segmentation"] > 0))):
        if pixels.any():
            guess, truth = predicted[pixels], arrays["depth"][pixels]
            for metric, score in (("abs_rel", abs_rel), ("delta_1", delta_1)):
                yield region, f"{metric}_raw", score(guess, truth)
                yield region, metric, score(scale * guess, truth)
