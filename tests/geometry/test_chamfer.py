import math

import pytest
import torch

from phys4d_kedro.geometry import chamfer
from phys4d_kedro.geometry.chamfer import chamfer_4d, chamfer_per_frame


def brute_force(P, Q, valid_p, valid_q):
    T, N, M = len(P), P.shape[1], Q.shape[1]
    d = [[math.inf] * M for _ in range(N)]
    for i in range(N):
        for j in range(M):
            both = [t for t in range(T) if valid_p[t, i] and valid_q[t, j]]
            if both:
                d[i][j] = sum(math.dist(P[t, i].tolist(), Q[t, j].tolist()) for t in both) / len(both)
    rows = [m for m in (min(row) for row in d) if m < math.inf]
    columns = [m for m in (min(d[i][j] for i in range(N)) for j in range(M)) if m < math.inf]
    return sum(rows) / len(rows) + sum(columns) / len(columns)


def sets(T=4, N=11, M=7):
    g = torch.Generator().manual_seed(0)
    P = torch.randn(T, N, 3, dtype=torch.float64, generator=g)
    Q = torch.randn(T, M, 3, dtype=torch.float64, generator=g)
    return P, Q, torch.rand(T, N, generator=g) > 0.4, torch.rand(T, M, generator=g) > 0.4


@pytest.mark.parametrize(("chunk", "few"), [(2**18, 0), (20, 0), (20, 2**19)])
def test_4d_matches_brute_force_with_partial_validity(monkeypatch, chunk, few):
    monkeypatch.setitem(chamfer._CHUNK_PAIRS, "cpu", chunk)
    monkeypatch.setitem(chamfer._FEW, "tracks", few)
    P, Q, valid_p, valid_q = sets()
    valid_p[:, 2] = False
    P[:, 2] = torch.inf
    assert chamfer_4d(P, Q, valid_p, valid_q).item() == pytest.approx(brute_force(P, Q, valid_p, valid_q))
    everything = torch.ones_like(valid_p), torch.ones_like(valid_q)
    P[:, 2] = 0
    assert chamfer_4d(P, Q).item() == pytest.approx(brute_force(P, Q, *everything))


def test_4d_knows_analytic_cases():
    P, *_ = sets()
    assert chamfer_4d(P, P[:, torch.randperm(11)]).item() == 0
    shift = torch.tensor([0.003, 0.004, 0.0], dtype=torch.float64)  # far less than the points' spacing
    assert chamfer_4d(P, P + shift).item() == pytest.approx(2 * 0.005)
    # Two points that exchange places: every frame holds the same set, but no trajectory is right.
    a, b = torch.zeros(2, 1, 3), torch.zeros(2, 1, 3)
    a[1, :, 0] = b[0, :, 0] = 1.0
    stay = torch.cat([torch.zeros(2, 1, 3), torch.tensor([1.0, 0, 0]).expand(2, 1, 3)], 1)
    swap = torch.cat([a, b], 1)
    assert chamfer_per_frame(stay, swap).tolist() == [0, 0]
    assert chamfer_4d(stay, swap).item() == pytest.approx(1.0)


@pytest.mark.parametrize("few", [0, 2**14])
def test_per_frame_matches_cdist_by_tree_and_by_all_distances(monkeypatch, few):
    monkeypatch.setitem(chamfer._FEW, "points", few)
    P, Q, valid_p, valid_q = sets(N=60, M=50)
    valid_q[2] = False
    got = chamfer_per_frame(P, Q, valid_p, valid_q)
    assert torch.isnan(got[2])
    for t in (0, 1, 3):
        d = torch.cdist(P[t][valid_p[t]], Q[t][valid_q[t]], compute_mode="donot_use_mm_for_euclid_dist")
        assert got[t].item() == pytest.approx((d.min(0).values.mean() + d.min(1).values.mean()).item())


@pytest.mark.parametrize("chunk", [2**18, 200])
def test_nearest_points_in_chunks_are_those_of_all_distances(monkeypatch, chunk):
    """What GPUs use."""
    monkeypatch.setitem(chamfer._CHUNK_PAIRS, "cpu", chunk)
    P, Q, *_ = sets(N=60, M=50)
    distance = torch.cdist(P[0], Q[0])
    of_p, of_q = chamfer._nearest_points(P[0], Q[0])
    assert torch.equal(of_p, distance.argmin(1))
    assert torch.equal(of_q, distance.argmin(0))


@pytest.mark.parametrize("few", [0, 2**14])
def test_both_have_gradients(monkeypatch, few):
    for kind in ("tracks", "points"):
        monkeypatch.setitem(chamfer._FEW, kind, few)
    P, Q, valid_p, valid_q = sets(T=3, N=4, M=3)
    P.requires_grad_()
    assert torch.autograd.gradcheck(lambda p: chamfer_4d(p, Q, valid_p, valid_q), P)
    assert torch.autograd.gradcheck(lambda p: chamfer_per_frame(p, Q), P)
    assert torch.autograd.gradcheck(lambda p: chamfer_4d(p, Q), P)
    same = Q.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(chamfer_4d(same, Q), same)
    assert torch.isfinite(gradient).all()


def test_nothing_to_compare_is_nan():
    P, Q, valid_p, valid_q = sets()
    assert torch.isnan(chamfer_4d(P[:, :0], Q))
    assert torch.isnan(chamfer_4d(P, Q, torch.zeros_like(valid_p), valid_q))


def test_a_point_at_infinity_is_an_error_not_an_absence():
    P, Q, *_ = sets()
    P[1, 3] = torch.inf
    assert torch.isinf(chamfer_4d(P, Q))


def test_memory_of_a_gradient_does_not_grow_with_pairs():
    T, N = 3, 1500
    g = torch.Generator().manual_seed(0)
    P, Q = (torch.randn(T, N, 3, generator=g) for _ in range(2))
    saved: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x.numel()) or x, lambda x: x):
        chamfer_4d(P.requires_grad_(), Q)
    assert 0 < max(saved) <= T * N * 3


def test_distances_count_up_to_the_limit():
    P = torch.zeros(2, 1, 3)
    Q = torch.tensor([[[3.0, 0, 0], [0, 1, 0]], [[0.5, 0, 0], [0, 1, 0]]])
    # P's nearest is at 1 both times; Q's first track is at 3, counted as 2, and 0.5.
    assert chamfer_4d(P, Q, limit=2).item() == pytest.approx(1 + (1.25 + 1) / 2)
    # Without a limit the first track is farther; with one of 1 it is nearer, at 1 and 0.5.
    assert chamfer_4d(P, Q, limit=1).item() == pytest.approx(0.75 + (0.75 + 1) / 2)
    assert chamfer_per_frame(P, Q, limit=2).tolist() == pytest.approx([1 + (2 + 1) / 2, 0.5 + (0.5 + 1) / 2])
