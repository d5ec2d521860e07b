"""Ridge regression from the backbone's hidden tokens to depth and motion: what a linear head could have learned.

Letters: T H W pixel frames, rows, columns; t h w latent frames and tokens; D feature width; r temporal compression; P
pixels of a token's edge; O outputs of a token; N tokens.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from phys4d_kedro.training.heads import Labels
from phys4d_kedro.world_model.heads import (
    DEPTH_CHANNELS,
    MOTION_CHANNELS,
    decode_depth,
    decode_motion,
    pixels_to_tokens,
    tokens_to_pixels,
)


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

    def predict(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (t, h, w, D) -> depth (T, H, W) in metres and motion (T-1, H, W, 3) as in a clip."""
        x = normalise(features)[None]
        depth = self._pixels(x @ self.depth_weight + self.depth_bias)
        motion = self._pixels(x @ self.motion_weight + self.motion_bias)
        metres = decode_depth(depth)
        return metres[0], decode_motion(motion[:, 1:], metres)[0]

    def _pixels(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens_to_pixels(tokens, self.temporal, self.pixels)


class RidgeFit:
    """Fits `RidgeHeads` clip by clip.

    A token counts with the mean confidence of its labels; labels that are not known are filled with the mean of the
    token's known ones, so that one closed form serves all outputs.
    """

    def __init__(self, feature_dim: int, *, temporal: int, pixels: int) -> None:
        outputs = temporal * pixels * pixels
        self._temporal, self._pixels = temporal, pixels
        self._depth = NormalEquations(feature_dim, DEPTH_CHANNELS * outputs)
        self._motion = NormalEquations(feature_dim, MOTION_CHANNELS * outputs)

    def add(self, features: torch.Tensor, labels: Labels) -> None:
        """Take in a clip: its features (t, h, w, D), and its labels (of a batch of one)."""
        x = normalise(features).flatten(0, 2)
        self._depth.add(x, *self._tokens(labels.depth, labels.depth_weight))
        # Motion to frame f is read at the token of frame f: the first frame has none.
        motion, weight = (torch.cat([torch.zeros_like(v[:, :1]), v], 1) for v in (labels.motion, labels.motion_weight))
        self._motion.add(x, *self._tokens(motion, weight))

    def solve(self, penalty: float) -> RidgeHeads:
        """The regression on all clips taken in."""
        depth_weight, depth_bias = self._depth.solve(penalty)
        motion_weight, motion_bias = self._motion.solve(penalty)
        return RidgeHeads(
            depth_weight.float(),
            depth_bias.float(),
            motion_weight.float(),
            motion_bias.float(),
            temporal=self._temporal,
            pixels=self._pixels,
        )

    def _tokens(self, values: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Values (1, T, H, W, C) and weights (1, T, H, W) -> outputs (N, O) and weights (N,) of tokens."""
        channels = values.shape[-1]
        y = pixels_to_tokens(values, self._temporal, self._pixels).flatten(0, 3).unflatten(-1, (-1, channels))
        w = pixels_to_tokens(weight[..., None], self._temporal, self._pixels).flatten(0, 3)[..., None]
        mean = (y * w).sum(1, keepdim=True) / w.sum(1, keepdim=True).clamp_min(1e-12)
        return torch.where(w > 0, y, mean).flatten(1), w.mean((1, 2))


def normalise(features: torch.Tensor) -> torch.Tensor:
    """Layer-normalised features (..., D), as the heads read them."""
    return F.layer_norm(features, features.shape[-1:], eps=1e-6)
