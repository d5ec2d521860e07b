"""Chamfer distances between sets of tracks and sets of points, in metres; differentiable in the points.

Of few points all distances are taken. Of more, the nearest neighbours are searched without a gradient, in chunks, and
the distance to it is computed again with one. So memory grows with the number of tracks, not with that of pairs.
Letters: T frames; N and M points.
"""

import math
from typing import Any

import numpy as np
import torch

# Pairs held at once. A CPU is fastest while three such matrices stay in its cache; a GPU wants work for all its cores.
_CHUNK_PAIRS = {"cpu": 2**18, "cuda": 2**24}

# Up to so many distances, a CPU is done sooner if it takes all at once: of tracks in all frames, than in chunks; of
# points, than by a k-d tree.
_FEW = {"tracks": 2**19, "points": 2**16}

# A tree is asked once for each point, which does not pay for making it balanced and tight.
_TREE: dict[str, Any] = {"leafsize": 32, "balanced_tree": False, "compact_nodes": False}

# Distances by subtraction: by a matrix product, float32 would lose millimetres at ten metres.
_EXACT = "donot_use_mm_for_euclid_dist"


def chamfer_4d(
    P: torch.Tensor,
    Q: torch.Tensor,
    valid_p: torch.Tensor | None = None,
    valid_q: torch.Tensor | None = None,
    *,
    limit: float = math.inf,
) -> torch.Tensor:
    """4D Chamfer distance of two sets of tracks: how far the nearest whole trajectory is, both ways.

    d(i, j) = mean over t of |P_i(t) - Q_j(t)|, over the frames where both are valid; the result is
    mean_i min_j d + mean_j min_i d. Tracks that share no frame with any of the other set are left out.

    Args:
        P: (T, N, 3); Q: (T, M, 3), metres.
        valid_p: (T, N); valid_q: (T, M); all valid by default.
        limit: metres that the distance of two points counts at most, in each frame.

    Returns:
        A scalar; NaN when no pair of tracks shares a frame.
    """
    if min(P.shape[0], P.shape[1], Q.shape[1]) == 0:
        return P.new_tensor(torch.nan)
    weight_p = weight_q = None
    if valid_p is not None or valid_q is not None:
        valid_p = torch.ones_like(P[..., 0], dtype=torch.bool) if valid_p is None else valid_p
        valid_q = torch.ones_like(Q[..., 0], dtype=torch.bool) if valid_q is None else valid_q
        # Points that are not valid may be inf; 0 * inf would be NaN.
        P, Q = torch.where(valid_p[..., None], P, 0.0), torch.where(valid_q[..., None], Q, 0.0)
        weight_p, weight_q = valid_p.to(P), valid_q.to(P)
    if P.device.type == "cpu" and P.shape[0] * P.shape[1] * Q.shape[1] <= _FEW["tracks"]:
        return _of_all_tracks(P, Q, weight_p, weight_q, limit)
    nearest_p, nearest_q = _nearest_tracks(P, Q, weight_p, weight_q, limit)
    to_q = _mean_distance(P, Q[:, nearest_p], weight_p, weight_q if weight_q is None else weight_q[:, nearest_p], limit)
    to_p = _mean_distance(Q, P[:, nearest_q], weight_q, weight_p if weight_p is None else weight_p[:, nearest_q], limit)
    return to_q + to_p


def chamfer_per_frame(
    P: torch.Tensor,
    Q: torch.Tensor,
    valid_p: torch.Tensor | None = None,
    valid_q: torch.Tensor | None = None,
    *,
    limit: float = math.inf,
) -> torch.Tensor:
    """Chamfer distance of two point sets in each frame: mean_i min_j |P_i - Q_j| + mean_j min_i |P_i - Q_j|.

    Neighbours come from a k-d tree where a CPU has many points.

    Args:
        P: (T, N, 3); Q: (T, M, 3), metres.
        valid_p: (T, N); valid_q: (T, M); all valid by default.
        limit: metres that the distance of two points counts at most.

    Returns:
        (T,); NaN in frames where either set is empty.
    """
    frames = []
    for t in range(P.shape[0]):
        p = P[t] if valid_p is None else P[t][valid_p[t]]
        q = Q[t] if valid_q is None else Q[t][valid_q[t]]
        if len(p) == 0 or len(q) == 0:
            frames.append(P.new_tensor(torch.nan))
            continue
        to_q, to_p = _nearest_distances(p, q)
        if limit < math.inf:
            to_q, to_p = to_q.clamp(max=limit), to_p.clamp(max=limit)
        frames.append((to_q.mean() + to_p.mean()).to(P))
    return torch.stack(frames)


@torch.no_grad()
def _nearest_tracks(
    P: torch.Tensor, Q: torch.Tensor, weight_p: torch.Tensor | None, weight_q: torch.Tensor | None, limit: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The index of the nearest track of the other set, (N,) and (M,); weights (T, N) and (T, M) are 0 or 1."""
    P, Q = P.transpose(1, 2).contiguous(), Q.transpose(1, 2).contiguous()
    best = _Best(P.shape[2], Q.shape[2], P)
    for rows in best.chunks():
        total, distance, scratch = best.buffers(len(rows))
        total.zero_()
        for t in range(len(P)):
            _distances(P[t, :, rows], Q[t], distance, scratch)
            if limit < math.inf:
                distance.clamp_(max=limit)
            if weight_p is not None and weight_q is not None:
                distance.mul_(weight_p[t, rows, None]).mul_(weight_q[t])
            total.add_(distance)
        if weight_p is not None and weight_q is not None:
            torch.mm(weight_p[:, rows].T, weight_q, out=scratch)
            total.div_(scratch).masked_fill_(scratch == 0, torch.inf)
        best.take(rows, total)
    return best.of_p, best.of_q


def _of_all_tracks(
    P: torch.Tensor, Q: torch.Tensor, weight_p: torch.Tensor | None, weight_q: torch.Tensor | None, limit: float
) -> torch.Tensor:
    """The 4D Chamfer distance of few tracks, from all distances (T, N, M) at once."""
    distance = torch.cdist(P, Q, compute_mode=_EXACT)
    if limit < math.inf:
        distance = distance.clamp(max=limit)
    if weight_p is None or weight_q is None:
        mean = distance.mean(0)
        return mean.amin(1).mean() + mean.amin(0).mean()
    both = weight_p[:, :, None] * weight_q[:, None]
    shared = both.sum(0)
    mean = ((distance * both).sum(0) / shared.clamp(min=1)).masked_fill(shared == 0, torch.inf)
    of_p, of_q = mean.amin(1), mean.amin(0)
    return of_p[of_p < torch.inf].mean() + of_q[of_q < torch.inf].mean()


def _nearest_distances(p: torch.Tensor, q: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The distance to the nearest point of the other set, (N,) and (M,), of points (N, 3) and (M, 3).

    float64 where a tree says it.
    """
    if p.device.type == "cpu" and len(p) * len(q) <= _FEW["points"]:
        distance = torch.cdist(p, q, compute_mode=_EXACT)
        return distance.amin(1), distance.amin(0)
    if p.device.type == "cpu":
        from scipy.spatial import KDTree

        a, b = (np.ascontiguousarray(points.detach().numpy()) for points in (p, q))
        threads = torch.get_num_threads()
        tree_a, tree_b = (KDTree(points, **_TREE) for points in (a, b))
        (to_q, nearest_p), (to_p, nearest_q) = tree_b.query(a, workers=threads), tree_a.query(b, workers=threads)
        if not (torch.is_grad_enabled() and (p.requires_grad or q.requires_grad)):
            return torch.from_numpy(to_q), torch.from_numpy(to_p)
        of_p, of_q = torch.as_tensor(nearest_p), torch.as_tensor(nearest_q)
    else:
        of_p, of_q = _nearest_points(p.detach(), q.detach())
    return torch.linalg.vector_norm(p - q[of_p], dim=-1), torch.linalg.vector_norm(q - p[of_q], dim=-1)


def _nearest_points(p: torch.Tensor, q: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The index of the nearest point of the other set, (N,) and (M,), chunk by chunk."""
    p, q = p.T.contiguous(), q.T.contiguous()
    best = _Best(p.shape[1], q.shape[1], p)
    for rows in best.chunks():
        _, distance, scratch = best.buffers(len(rows))
        _distances(p[:, rows], q, distance, scratch)
        best.take(rows, distance)
    return best.of_p, best.of_q


class _Best:
    """Nearest neighbours both ways, from the rows of a matrix of distances (N, M) that is made chunk by chunk."""

    def __init__(self, n: int, m: int, like: torch.Tensor) -> None:
        self._rows = min(n, max(1, _CHUNK_PAIRS.get(like.device.type, _CHUNK_PAIRS["cuda"]) // m))
        self._buffers = like.new_empty(3, self._rows, m)
        self._least = like.new_full((m,), torch.inf)
        self.of_p = torch.zeros(n, dtype=torch.int64, device=like.device)
        self.of_q = torch.zeros(m, dtype=torch.int64, device=like.device)

    def chunks(self) -> tuple[torch.Tensor, ...]:
        """Indices of the rows of each chunk."""
        return torch.arange(len(self.of_p), device=self.of_p.device).split(self._rows)

    def buffers(self, rows: int) -> torch.Tensor:
        """Three matrices (rows, M) to compute in."""
        return self._buffers[:, :rows]

    def take(self, rows: torch.Tensor, distances: torch.Tensor) -> None:
        """Let distances (rows, M) of these rows count."""
        self.of_p[rows] = distances.argmin(1)
        least, row = distances.min(0)
        nearer = least < self._least
        self._least = torch.where(nearer, least, self._least)
        self.of_q = torch.where(nearer, rows[row], self.of_q)


def _distances(p: torch.Tensor, q: torch.Tensor, out: torch.Tensor, scratch: torch.Tensor) -> None:
    """Distances of points (3, N) and (3, M), written to out (N, M)."""
    if p.is_cuda:
        out.copy_(torch.cdist(p.T, q.T, compute_mode=_EXACT))
        return
    # Coordinate by coordinate: the CPU's cdist goes along the three coordinates, too few for its vector units.
    torch.sub(p[0, :, None], q[0], out=out)
    out.mul_(out)
    for axis in (1, 2):
        torch.sub(p[axis, :, None], q[axis], out=scratch)
        out.addcmul_(scratch, scratch)
    out.sqrt_()


def _mean_distance(
    P: torch.Tensor, Q: torch.Tensor, weight_p: torch.Tensor | None, weight_q: torch.Tensor | None, limit: float
) -> torch.Tensor:
    """Mean of the distances of tracks P_i and Q_i, (T, N, 3), that share a frame; NaN when none do."""
    distance = torch.linalg.vector_norm(P - Q, dim=-1).clamp(max=limit)
    if weight_p is None or weight_q is None:
        return distance.mean(0).mean()
    both = weight_p * weight_q
    shared = both.sum(0)
    return ((distance * both).sum(0) / shared.clamp(min=1))[shared > 0].mean()
