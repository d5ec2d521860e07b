"""Motion stability: motion that leads back, keeps colours, and moves points without trembling; docs/suite.md.

End-point error is `evaluation.metrics`', the warp residual `geometry.flow`'s. Letters: T frames, H rows, W columns,
N points.
"""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from phys4d_kedro.geometry.flow import warp

Bools = NDArray[np.bool_]

# White noise of variance 1 in a coordinate has third differences of variance 1 + 9 + 9 + 1.
_NOISE_GAIN = 20.0


def cycle_error(forward: torch.Tensor, backward: torch.Tensor, visible: torch.Tensor) -> float | None:
    """Mean of |f(p) + b(p + f(p))| in pixels, over the pixels that are `visible` in the next frame and stay inside.

    Args:
        forward, backward: (T-1, 2, H, W), motion from t to t+1 at the pixels of t, and back at those of t+1.
        visible: (T-1, H, W).

    Returns:
        None where no pixel counts.
    """
    back, inside = warp(backward, forward)
    counted = visible & inside
    if not counted.any():
        return None
    return float(torch.linalg.vector_norm(forward + back, dim=1)[counted].double().mean())


def photometric_error(rgb: NDArray[np.uint8], motion_xy: torch.Tensor, visible: torch.Tensor) -> float | None:
    """Mean of `|I[t+1](p + f(p)) - I[t](p)|`, sRGB in [0, 1], over colours and the pixels as of `cycle_error`.

    Args:
        rgb: (T, H, W, 3).
        motion_xy: (T-1, 2, H, W), pixels.
        visible: (T-1, H, W).
    """
    frames = torch.from_numpy(rgb).movedim(-1, 1).to(motion_xy.dtype) / 255
    moved, inside = warp(frames[1:], motion_xy)
    counted = visible & inside
    if not counted.any():
        return None
    return float((moved - frames[:-1]).abs().mean(1)[counted].double().mean())


def track_jitter(points: NDArray[np.floating[Any]], followed: Bools) -> float | None:
    """How much points tremble, in metres: the standard deviation of white noise that would jerk them as much.

    Third differences over time vanish for any constant acceleration. Of each track they give
    sqrt(mean |P(t+3) - 3 P(t+2) + 3 P(t+1) - P(t)|^2 / (3 x 20)); the result is the median over tracks, which single
    points that slip to another surface do not decide.

    Args:
        points: (T, N, 3) metres.
        followed: (T, N); a difference counts where all four of its points are followed.

    Returns:
        None where no track has four successive points.
    """
    if len(points) < 4:
        return None
    jerk = np.diff(np.where(followed[..., None], points, 0.0), 3, axis=0)  # a lost point may be infinitely far
    known = followed[:-3] & followed[1:-2] & followed[2:-1] & followed[3:]
    counts = known.sum(0)
    squares = np.where(known, (jerk**2).sum(-1), 0).sum(0)[counts > 0] / counts[counts > 0]
    return math.sqrt(float(np.median(squares)) / (3 * _NOISE_GAIN)) if squares.size else None
