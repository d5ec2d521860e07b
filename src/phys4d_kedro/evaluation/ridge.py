"""Ridge regression from the backbone's hidden tokens to depth and motion: what a linear head could have learned.

Letters: T H W pixel frames, rows, columns; t h w latent frames and tokens; D feature width; r temporal compression; P
pixels of a token's edge; O outputs of a token; N tokens.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from phys4d_kedro.world_model.heads import (
    MOTION_CHANNELS,
    decode_depth,
    decode_motion,
    pixels_to_tokens,
    tokens_to_pixels,
)
from phys4d_kedro.world_model.labels import Labels


class NormalEquations:
    """Running sums from which a weighted ridge regression with intercept is solved in closed form."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self._n = torch.zeros((), dtype=torch.float64)
        self._x = torch.zeros(inputs, dtype=torch.float64)
        self._y = torch.zeros(outputs, dtype=torch.float64)
        self._xx = torch.zeros(inputs, inputs, dtype=torch.float64)
        self._xy = torch.zeros(inputs, outputs, dtype=torch.float64)

    def add(self, x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor) -> None:
        """Take in samples x (N, inputs), y (N, outputs) of weight (N,) >= 0."""
        x, y, weight = x.double(), y.double(), weight.double()
        weighted = weight[:, None] * x
        self._n += weight.sum()
        self._x += weighted.sum(0)
        self._y += weight @ y
        self._xx += weighted.T @ x
        self._xy += weighted.T @ y

    def solve(self, penalty: float) -> tuple[torch.Tensor, torch.Tensor]:
        """The W (inputs, outputs) and b (outputs,) of least sum_n w_n |y_n - x_n W - b|^2 + penalty (sum_n w_n) |W|^2.

        Of equal solutions (penalty 0, dependent inputs) the one of least norm.
        """
        n = self._n.clamp_min(1e-12)
        mean_x, mean_y = self._x / n, self._y / n
        covariance = self._xx / n - torch.outer(mean_x, mean_x)
        covariance += penalty * torch.eye(len(mean_x), dtype=torch.float64)
        weight = torch.linalg.pinv(covariance, hermitian=True) @ (self._xy / n - torch.outer(mean_x, mean_y))
        return weight, mean_y - mean_x @ weight


@dataclass(frozen=True)
class RidgeHeads:
    """Depth and motion as linear functions of layer-normalised tokens, laid out as the heads are.

    depth_weight (D, r P P), depth_bias (r P P), motion_weight (D, 3 r P P), motion_bias (3 r P P), all float32.
    """

    depth_weight: torch.Tensor
    depth_bias: torch.Tensor
    motion_weight: torch.Tensor
    motion_bias: torch.Tensor
    temporal: int
    pixels: int
    chunk: int | None = None

    def predict(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (t, h, w, D) -> depth (T, H, W) in metres and motion (T-1, H, W, 3) as in a clip."""
        x = normalise(features)[None]
        depth = self._pixels(x @ self.depth_weight + self.depth_bias)
        motion = self._pixels(x @ self.motion_weight + self.motion_bias)
        metres = decode_depth(depth)
        return metres[0], decode_motion(motion[:, 1:], metres)[0]

    def _pixels(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens_to_pixels(tokens, self.temporal, self.pixels, self.chunk)


class RidgeFit:
    """Fits `RidgeHeads` clip by clip.

    A token counts with the mean confidence of its labels; labels that are not known are filled with the mean of the
    token's known ones, so that one closed form serves all outputs. The first latent frame of a clip, or chunk, stands
    for one pixel frame, so only the last frame's depth is fitted on its tokens.
    """

    def __init__(self, feature_dim: int, *, temporal: int, pixels: int, chunk: int | None = None) -> None:
        self._temporal, self._pixels, self._chunk = temporal, pixels, chunk
        self._earlier = (temporal - 1) * pixels * pixels  # depth outputs of all but a token's last frame come first
        self._depth_earlier = NormalEquations(feature_dim, self._earlier)
        self._depth_last = NormalEquations(feature_dim, pixels * pixels)
        self._motion = NormalEquations(feature_dim, MOTION_CHANNELS * temporal * pixels * pixels)

    def add(self, features: torch.Tensor, labels: Labels) -> None:
        """Take in a clip: its features (t, h, w, D), and its labels (of a batch of one)."""
        x = normalise(features)
        after = torch.arange(len(x)) % (self._chunk or len(x)) > 0
        later = x[after].flatten(0, 2)
        y, w = self._tokens(labels.depth), self._tokens(labels.depth_weight[..., None])
        first = self._earlier
        self._depth_earlier.add(later, *_complete(y[after][..., :first], w[after][..., :first], channels=1))
        self._depth_last.add(x.flatten(0, 2), *_complete(y[..., first:], w[..., first:], channels=1))
        # Motion to frame f is read at the token of frame f; what stands in for the first frame's is not used.
        padded = (torch.cat([v[:, :1], v], 1) for v in (labels.motion, labels.motion_weight[..., None]))
        y, w = (self._tokens(v) for v in padded)
        self._motion.add(later, *_complete(y[after], w[after], channels=MOTION_CHANNELS))

    def solve(self, penalty: float) -> RidgeHeads:
        """The regression on all clips taken in."""
        depth = zip(self._depth_earlier.solve(penalty), self._depth_last.solve(penalty), strict=True)
        depth_weight, depth_bias = (torch.cat(parts, -1).float() for parts in depth)
        motion_weight, motion_bias = (part.float() for part in self._motion.solve(penalty))
        return RidgeHeads(
            depth_weight,
            depth_bias,
            motion_weight,
            motion_bias,
            temporal=self._temporal,
            pixels=self._pixels,
            chunk=self._chunk,
        )

    def _tokens(self, video: torch.Tensor) -> torch.Tensor:
        """(1, T, H, W, C) -> (t, h, w, r P P C)."""
        return pixels_to_tokens(video, self._temporal, self._pixels, self._chunk)[0]


def _complete(values: torch.Tensor, weight: torch.Tensor, *, channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs (t, h, w, K C) and weights (t, h, w, K) -> outputs (N, K C), unknown ones filled, and weights (N,)."""
    y, w = values.flatten(0, 2).unflatten(-1, (-1, channels)), weight.flatten(0, 2)[..., None]
    mean = (y * w).sum(1, keepdim=True) / w.sum(1, keepdim=True).clamp_min(1e-12)
    return torch.where(w > 0, y, mean).flatten(1), w.mean((1, 2))


def normalise(features: torch.Tensor) -> torch.Tensor:
    """Layer-normalised features (..., D), as the heads read them."""
    return F.layer_norm(features, features.shape[-1:], eps=1e-6)
