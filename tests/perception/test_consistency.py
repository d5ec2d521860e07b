"""Depth over time: flicker that was put in comes out, true change stays, and disagreement shows."""

import numpy as np
import pytest
import torch

from phys4d_kedro.perception.config import ConsistencyConfig
from phys4d_kedro.perception.consistency import align_frames, make_consistent, neighbours
from phys4d_kedro.perception.flow import ClipFlow

T, H, W = 9, 24, 32
VELOCITY = (1.5, -0.5)  # pixels a frame


def uniform_flow() -> ClipFlow:
    """The whole image moves at VELOCITY, and everything that stays in frame is visible."""
    flow = torch.tensor(VELOCITY)[None, :, None, None].expand(T - 1, 2, H, W).contiguous()
    column, row = np.meshgrid(np.arange(W), np.arange(H))

    def stays(sign: int) -> torch.Tensor:
        x, y = column + sign * VELOCITY[0], row + sign * VELOCITY[1]
        inside = (x >= 0) & (x <= W - 1) & (y >= 0) & (y <= H - 1)
        return torch.from_numpy(np.broadcast_to(inside, (T - 1, H, W)).copy())

    return ClipFlow(flow, -flow, stays(1), stays(-1), torch.ones(T - 1, H, W))


def inverse_depth() -> np.ndarray:
    """Inverse depth of a slanted wall that moves sideways: linear in the image, constant along the flow."""
    time = np.arange(T)[:, None, None]
    column, row = np.meshgrid(np.arange(W), np.arange(H))
    return 0.3 + 0.004 * (column - VELOCITY[0] * time) + 0.002 * (row - VELOCITY[1] * time)


def distance_from_affine(values: np.ndarray, truth: np.ndarray) -> float:
    """How far the values of the whole clip are from one affine function of the truth, at worst."""
    columns = np.stack([truth.ravel(), np.ones(truth.size)], 1)
    coefficients = np.linalg.lstsq(columns, values.ravel(), rcond=None)[0]
    return float(np.abs(columns @ coefficients - values.ravel()).max())


def test_scale_and_shift_flicker_is_removed_exactly() -> None:
    rng = np.random.default_rng(0)
    scale, shift = rng.uniform(0.7, 1.4, (T, 1, 1)), rng.uniform(-0.1, 0.1, (T, 1, 1))
    flickering = inverse_depth() * scale + shift
    assert distance_from_affine(flickering, inverse_depth()) > 0.05
    gains, offsets = align_frames(torch.from_numpy(flickering), uniform_flow(), gain=True, offset=True, prior=0)
    aligned = gains.numpy()[:, None, None] * flickering + offsets.numpy()[:, None, None]
    assert distance_from_affine(aligned, inverse_depth()) < 1e-10
    assert np.isclose(gains.mean(), 1), "the clip keeps its own scale"


def test_objects_with_a_change_of_their_own_do_not_pull_the_alignment() -> None:
    rng = np.random.default_rng(1)
    clean = inverse_depth() * rng.uniform(0.8, 1.2, (T, 1, 1))
    disturbed = clean.copy()
    disturbed[:, 8:16, 10:24] = rng.uniform(0.5, 1.5, (T, 8, 14))
    expected, found = (
        align_frames(torch.from_numpy(values), uniform_flow(), gain=True, offset=False, prior=0)[0]
        for values in (clean, disturbed)
    )
    assert torch.allclose(found / found[0], expected / expected[0], atol=1e-4)


def test_scale_alone_is_one_constant_of_log_depth_a_frame() -> None:
    factor = np.random.default_rng(2).uniform(-0.2, 0.2, (T, 1, 1))
    truth = np.broadcast_to(np.log(4.0), (T, H, W)) + 0.05 * inverse_depth()
    gains, offsets = align_frames(torch.from_numpy(truth + factor), uniform_flow(), gain=False, offset=True, prior=0)
    assert (gains == 1).all()
    corrected = factor[:, 0, 0] + offsets.numpy()
    assert np.ptp(corrected) < 1e-10
    assert np.isclose(offsets.mean(), 0, atol=1e-12)


def test_prior_keeps_slow_change_and_still_removes_flicker() -> None:
    """A camera that moves away slowly, and an estimator that flickers: the first is to stay."""
    time = np.arange(T)[:, None, None]
    slow, flicker = 0.05 * time, 0.1 * (-1.0) ** time
    values = torch.from_numpy(np.broadcast_to(np.log(4.0) + slow + flicker, (T, H, W)) + 0.05 * inverse_depth())
    spread = float((values - values.mean()).std())

    def corrected(prior: float) -> np.ndarray:
        return (
            values.mean((1, 2)) + align_frames(values, uniform_flow(), gain=False, offset=True, prior=prior)[1]
        ).numpy()

    trusting_flow, trusting_model = corrected(0), corrected(0.3)
    assert np.ptp(trusting_flow) < 0.02 * spread, "without a prior the drift goes with the flicker"
    slope = np.polyfit(time.ravel(), trusting_model, 1)[0]
    assert slope > 0.5 * 0.05
    assert np.abs(np.diff(trusting_model)).max() < 0.5 * 0.2


def test_clip_of_one_value_and_clip_without_any_visible_point_stay_as_they_are() -> None:
    flow = uniform_flow()
    gains, offsets = align_frames(torch.full((T, H, W), 2.0).double(), flow, gain=True, offset=True, prior=0)
    assert torch.equal(gains, torch.ones(T).double())
    assert torch.equal(offsets, torch.zeros(T).double())
    blind = ClipFlow(
        flow.forward, flow.backward, flow.forward_valid & False, flow.backward_valid & False, flow.confidence
    )
    gains, offsets = align_frames(torch.from_numpy(inverse_depth()), blind, gain=True, offset=True, prior=0)
    assert torch.equal(gains, torch.ones(T).double())
    assert torch.equal(offsets, torch.zeros(T).double())


def test_neighbours_meet_steady_change_and_know_where_there_is_none() -> None:
    rising = torch.arange(T).double()[:, None, None].expand(T, H, W).contiguous()
    flow = uniform_flow()
    around = neighbours(rising, flow)
    both = flow.forward_valid[1:] & flow.backward_valid[:-1]
    assert torch.equal(around[1:-1][both], rising[1:-1][both])
    assert torch.isnan(around[0][~flow.forward_valid[0]]).all()
    assert torch.isnan(around[-1][~flow.backward_valid[-1]]).all()


@pytest.mark.parametrize("kind", ["metric", "relative_inverse"])
def test_smoothing_lowers_independent_noise_and_disagreement_measures_it(kind: str) -> None:
    noise = np.random.default_rng(3).normal(0, 0.02, (T, H, W))
    config = ConsistencyConfig(alignment="none", prior=0, smoothing_passes=1)
    values, disagreement = make_consistent((inverse_depth() + noise).astype(np.float32), uniform_flow(), kind, config)
    inner = (slice(1, -1), slice(4, -4), slice(4, -4))
    assert (values - inverse_depth())[inner].std() < 0.7 * noise[inner].std()
    # |v - (a + b) / 2| with a, b bilinear samples of the neighbours: between the noise itself and 1.5 times it.
    assert 0.7 < disagreement[inner].mean() / np.abs(noise[inner]).mean() < 1.5
    calm = make_consistent(inverse_depth().astype(np.float32), uniform_flow(), kind, config)[1]
    assert np.nanmax(calm) < 1e-6
