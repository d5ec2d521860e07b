"""Depth of single frames made consistent over a clip, along its optical flow.

A depth estimator sees one frame at a time: its scale and shift flicker from frame to frame. Here each frame gets a
gain and an offset such that points keep their value along the flow, all frames at once; then values are averaged
over time along the flow. Values v are log depth (metric estimators) or inverse depth (relative ones), (T, H, W).
"""

import numpy as np
import torch
from numpy.typing import NDArray

from phys4d_kedro.geometry.flow import warp
from phys4d_kedro.perception.config import ConsistencyConfig
from phys4d_kedro.perception.depth import DepthKind
from phys4d_kedro.perception.flow import ClipFlow

_REWEIGHTINGS = 20
# Scale of a robust residual beneath which nothing counts as an outlier, in standard deviations of the clip's values.
_LEAST_SCALE = 1e-6
# Turns the median of absolute residuals of a normal distribution into its standard deviation.
_MAD_TO_SIGMA = 1.4826


def make_consistent(
    values: NDArray[np.float32], flow: ClipFlow, kind: DepthKind, config: ConsistencyConfig
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Aligned and smoothed values (T, H, W), and by how much each contradicts its neighbours in time, (T, H, W).

    Args:
        values: log depth for kind `metric`, relative inverse depth for kind `relative_inverse`; finite.

    Returns:
        The values, and |v - its neighbours along the flow| before smoothing, in the unit of values; NaN where the
        point is visible in neither neighbour.
    """
    v = torch.from_numpy(values.astype(np.float64))
    if config.alignment != "none":
        both = config.alignment == "scale_and_shift"
        # A factor on depth adds to its logarithm, and multiplies inverse depth.
        gains, offsets = align_frames(
            v, flow, gain=both or kind == "relative_inverse", offset=both or kind == "metric", prior=config.prior
        )
        v = gains[:, None, None] * v + offsets[:, None, None]
    disagreement = (v - neighbours(v, flow)).abs()
    for _ in range(config.smoothing_passes):
        around = neighbours(v, flow)
        v = torch.where(around.isnan(), v, (v + around) / 2)
    return v.numpy().astype(np.float32), disagreement.numpy().astype(np.float32)


def align_frames(
    values: torch.Tensor, flow: ClipFlow, *, gain: bool, offset: bool, prior: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gains a and offsets b (T,): `a[t] v[t](p) + b[t] = a[t+1] v[t+1](p + flow) + b[t+1]` as nearly as can be.

    Minimises, over all frames together and with v standardised to mean 0 and variance 1 over the clip,

        sum_t mean_p w(p) (a[t] x(p) + b[t] - a[t+1] y(p) - b[t+1])^2 + prior sum_t ((a[t] - 1)^2 + b[t]^2)

    with `x = v[t](p)` and `y = v[t+1](p + flow)`, under mean a = 1 and mean b = 0, so that the clip keeps its own
    overall scale. Solving jointly treats both frames of a pair alike; a chain of regressions of one frame on the next
    would shrink the gain with every step. Weights w start as the flow's confidence and are then reweighted as Cauchy's
    loss does: moving things and wrong flow are outliers. The prior makes the correction a high-pass filter in time with
    a period of about 2 pi / sqrt(prior) frames: flicker goes, slow changes stay.

    Args:
        values: (T, H, W) float64.
        gain, offset: which of the two is fitted; the other stays at a = 1, or b = 0 (of the unstandardised values).
    """
    frames = len(values)
    centre = values.mean() if offset else torch.zeros((), dtype=values.dtype)
    spread = (values - centre).square().mean().sqrt()
    if spread == 0:  # a constant clip agrees with itself
        return torch.ones(frames, dtype=values.dtype), torch.zeros(frames, dtype=values.dtype)
    standard = (values - centre) / spread
    sampled, inside = warp(standard[1:, None], flow.forward.to(values.dtype))
    x, y = standard[:-1].flatten(1), sampled.flatten(1)
    trust = (flow.confidence * (flow.forward_valid & inside)).to(values.dtype).flatten(1)
    a, b = torch.ones(frames, dtype=values.dtype), torch.zeros(frames, dtype=values.dtype)
    for _ in range(_REWEIGHTINGS):
        residual = a[:-1, None] * x + b[:-1, None] - a[1:, None] * y - b[1:, None]
        counted = residual[trust > 0].abs()
        if not len(counted):
            break
        scale = torch.clamp(_MAD_TO_SIGMA * counted.median(), min=_LEAST_SCALE)
        a, b = _solve(x, y, trust / (1 + (residual / scale).square()), gain=gain, offset=offset, prior=prior)
    return a, b * spread + (1 - a) * centre


def _solve(
    x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor, *, gain: bool, offset: bool, prior: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """One weighted least-squares problem of `align_frames`: unknowns (a, b), constraints by Lagrange multipliers."""
    frames = len(x) + 1
    normal = prior * torch.eye(2 * frames, dtype=x.dtype)
    right = torch.zeros(2 * frames, dtype=x.dtype)
    right[:frames] = prior
    rows = torch.stack([x, -y, torch.ones_like(x), -torch.ones_like(y)], 1)  # of a[t], a[t+1], b[t], b[t+1]
    moments = torch.einsum("tin,tn,tjn->tij", rows, weight, rows) / weight.sum(1).clamp(min=1e-12)[:, None, None]
    for t in range(frames - 1):
        unknowns = torch.tensor([t, t + 1, frames + t, frames + t + 1])
        normal[unknowns[:, None], unknowns] += moments[t]
    free = torch.tensor([gain] * frames + [offset] * frames)
    start = torch.cat([torch.ones(frames, dtype=x.dtype), torch.zeros(frames, dtype=x.dtype)])
    right = (right - normal @ torch.where(free, 0.0, start))[free]
    # Each kind of unknown keeps its mean over the frames: 1 for gains, 0 for offsets.
    kinds = torch.tensor([[1.0] * frames + [0.0] * frames, [0.0] * frames + [1.0] * frames], dtype=x.dtype)
    constraint = kinds[torch.tensor([gain, offset])][:, free] / frames
    means = torch.tensor([1.0, 0.0], dtype=x.dtype)[torch.tensor([gain, offset])]
    system = torch.zeros(len(right) + len(means), len(right) + len(means), dtype=x.dtype)
    system[: len(right), : len(right)] = normal[free][:, free]
    system[len(right) :, : len(right)] = constraint
    system[: len(right), len(right) :] = constraint.T
    # The least-norm solution: a pair without any common point leaves its frames undetermined without a prior.
    solution = torch.linalg.lstsq(system, torch.cat([right, means])[:, None], driver="gelsd").solution[:, 0]
    start[free] = solution[: len(right)]
    return start[:frames], start[frames:]


def neighbours(values: torch.Tensor, flow: ClipFlow) -> torch.Tensor:
    """Mean value (T, H, W) of each point in the frames before and after it, along the flow; NaN where in neither.

    Where both neighbours see the point, a value that changes steadily in time is met exactly.
    """
    nowhere = torch.full_like(values[:1], torch.nan)
    after, inside = warp(values[1:, None], flow.forward.to(values.dtype))
    after = torch.where(flow.forward_valid & inside, after[:, 0], torch.nan)
    before, inside = warp(values[:-1, None], flow.backward.to(values.dtype))
    before = torch.where(flow.backward_valid & inside, before[:, 0], torch.nan)
    return torch.stack([torch.cat([after, nowhere]), torch.cat([nowhere, before])]).nanmean(0)
