"""A Frechet distance between sets of videos, over fixed features that nothing is downloaded or trained for.

It is the distance of FID (Heusel et al. 2017) and FVD (Unterthiner et al. 2018) with other features, so its numbers are
comparable with each other alone, and only between sets of equally many videos. docs/generation.md says what it sees.

Letters: T frames, H rows, W columns, F filters, K features of a video, N videos.
"""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

FEATURES = 64
"""K, the length of a video's features."""

_SEED = 20240607  # of filters and projection: another one makes another metric
_FILTERS = 8  # of each kind
_SCALES = 3  # each half the size of the one before
_CELLS = 2  # along time, rows and columns each
_FLOOR = 0.02  # of responses, in units of full brightness: less is hardly seen, and hardly counts
_COLOR_WEIGHT = 4.0  # brings the spread of colours over clips to about that of the other features

Matrix = NDArray[np.float64]


def video_features(video: NDArray[np.uint8]) -> Matrix:
    """Features (K,) of a video (T, H, W, 3), sRGB.

    Filters (F, 3 colours, time, 5, 5) with normal coefficients: `spatial` ones see one frame and give nothing on a
    uniform one; `temporal` ones see three frames and give nothing where they are equal. The strength of each filter's
    response, at three scales, is averaged over halves of time, rows and columns, and its logarithm taken; mean colours
    of the same cells go beside. A random projection brings all of it to K numbers.

    Raises:
        ValueError: the video has fewer than 5 frames or a side below 16 pixels.
    """
    frames, height, width = video.shape[:3]
    if frames < 5 or min(height, width) < 16:
        raise ValueError(f"features need 5 frames of 16x16 pixels or more, not {frames} of {height}x{width}")
    banks, projection = _fixed_numbers()
    volume = torch.from_numpy(np.ascontiguousarray(video)).movedim(-1, 0)[None].float() / 255  # 1, 3, T, H, W
    parts = [_COLOR_WEIGHT * _by_cell(volume)]
    for _ in range(_SCALES):
        padded = functional.pad(volume, (2, 2, 2, 2, 0, 0), mode="replicate")
        parts += [torch.log(_FLOOR + _by_cell(functional.conv3d(padded, bank).abs())) for bank in banks]
        volume = functional.avg_pool3d(volume, (1, 2, 2))
    features: Matrix = torch.cat(parts).double().numpy() @ projection
    return features


def frechet_distance(first: Matrix, second: Matrix) -> float:
    """Squared Frechet distance between normal distributions fitted to two sets of features (N, K) and (M, K).

    Covariances are shrunk, see `shrunk_covariance`. Zero for equal sets.

    Raises:
        ValueError: a set has fewer than two videos.
    """
    if min(len(first), len(second)) < 2:
        raise ValueError(f"a Frechet distance needs two videos or more in each set, not {len(first)} and {len(second)}")
    return gaussian_distance(first.mean(0), shrunk_covariance(first), second.mean(0), shrunk_covariance(second))


def gaussian_distance(mean_1: Matrix, covariance_1: Matrix, mean_2: Matrix, covariance_2: Matrix) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of normal distributions, means (K,) (Dowson, Landau 1982).

    The trace of the root is the sum of the roots of the eigenvalues of the symmetric C1^(1/2) C2 C1^(1/2).
    """
    values, vectors = np.linalg.eigh(covariance_1)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    product = np.linalg.eigvalsh(root @ covariance_2 @ root)
    trace = np.trace(covariance_1) + np.trace(covariance_2) - 2 * np.sqrt(np.maximum(product, 0)).sum()
    return float(np.square(mean_1 - mean_2).sum() + max(trace, 0.0))


def shrunk_covariance(features: Matrix) -> Matrix:
    """Covariance (K, K) of features (N, K), pulled towards that of independent features of equal variance.

    By how much is what costs least for normal samples: OAS (Chen, Wiesel, Eldar, Hero 2010, eq. 23). With many samples
    it tends to nothing.
    """
    count, width = features.shape
    sample = np.cov(features, rowvar=False, bias=True).reshape(width, width)
    trace, square = np.trace(sample), np.square(sample).sum()
    spread = (count + 1 - 2 / width) * (square - trace**2 / width)
    shrinkage = 1.0 if spread <= 0 else min(1.0, ((1 - 2 / width) * square + trace**2) / spread)
    return np.asarray((1 - shrinkage) * sample + shrinkage * trace / width * np.eye(width))


def _by_cell(volume: torch.Tensor) -> torch.Tensor:
    """Means of channels (1, C, T, H, W) over halves of time, rows and columns: (C * 8,)."""
    return functional.adaptive_avg_pool3d(volume, _CELLS).flatten()


@cache
def _fixed_numbers() -> tuple[tuple[torch.Tensor, ...], Matrix]:
    """The two banks of filters (F, 3, time, 5, 5), each filter of unit norm, and the projection to K features."""
    rng = np.random.default_rng(_SEED)
    banks = []
    for frames, balanced in ((1, (3, 4)), (3, (2,))):  # the axes along which coefficients sum to zero
        filters = rng.standard_normal((_FILTERS, 3, frames, 5, 5))
        filters -= filters.mean(balanced, keepdims=True)
        filters /= np.sqrt(np.square(filters).sum((1, 2, 3, 4), keepdims=True))
        banks.append(torch.from_numpy(filters).float())
    width = _CELLS**3 * (3 + 2 * _FILTERS * _SCALES)
    return tuple(banks), rng.standard_normal((width, FEATURES)) / np.sqrt(FEATURES)
