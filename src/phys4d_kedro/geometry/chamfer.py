"""Chamfer distances between sets of tracks and sets of points, in metres; differentiable in the points.

Letters: T frames; N and M points.
"""

import torch

# Distances held at once; bounds the memory of a chunk to a few times 64 MB in float32.
_CHUNK_ELEMENTS = 2**24

# Distances by subtraction; the matrix product is faster, but in float32 loses millimetres at ten metres.
_EXACT = "donot_use_mm_for_euclid_dist"


def chamfer_4d(
    P: torch.Tensor, Q: torch.Tensor, valid_p: torch.Tensor | None = None, valid_q: torch.Tensor | None = None
) -> torch.Tensor:
    """4D Chamfer distance of two sets of tracks: how far the nearest whole trajectory is, both ways.

    d(i, j) = mean over t of |P_i(t) - Q_j(t)|, over the frames where both are valid; the result is
    mean_i min_j d + mean_j min_i d. Tracks that share no frame with any of the other set are left out.

    Args:
        P: (T, N, 3); Q: (T, M, 3), metres.
        valid_p: (T, N); valid_q: (T, M); all valid by default.

    Returns:
        A scalar; NaN when no pair of tracks shares a frame.
    """
    T, N, M = P.shape[0], P.shape[1], Q.shape[1]
    valid_p = torch.ones(T, N, dtype=torch.bool, device=P.device) if valid_p is None else valid_p
    valid_q = torch.ones(T, M, dtype=torch.bool, device=P.device) if valid_q is None else valid_q
    if min(T, N, M) == 0:
        return P.new_tensor(torch.nan)
    # Points that are not valid may be inf; 0 * inf would be NaN.
    P, Q = torch.where(valid_p[..., None], P, 0.0), torch.where(valid_q[..., None], Q, 0.0)
    weight_p, weight_q = valid_p.to(P), valid_q.to(P)
    of_p, of_q = [], P.new_full((M,), torch.inf)
    for chunk in torch.arange(N, device=P.device).split(max(1, _CHUNK_ELEMENTS // M)):
        shared = weight_p[:, chunk].T @ weight_q
        total = P.new_zeros(len(chunk), M)
        for t in range(T):
            distance = torch.cdist(P[t, chunk], Q[t], compute_mode=_EXACT)
            total = total + distance * (weight_p[t, chunk, None] * weight_q[t])
        mean = torch.where(shared > 0, total / shared.clamp(min=1), torch.inf)
        of_p.append(mean.min(1).values)
        of_q = torch.minimum(of_q, mean.min(0).values)
    return _finite_mean(torch.cat(of_p)) + _finite_mean(of_q)


def chamfer_per_frame(
    P: torch.Tensor, Q: torch.Tensor, valid_p: torch.Tensor | None = None, valid_q: torch.Tensor | None = None
) -> torch.Tensor:
    """Chamfer distance of two point sets in each frame: mean_i min_j |P_i - Q_j| + mean_j min_i |P_i - Q_j|.

    Neighbours come from a k-d tree on a CPU, from chunked distances on a GPU.

    Args:
        P: (T, N, 3); Q: (T, M, 3), metres.
        valid_p: (T, N); valid_q: (T, M); all valid by default.

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
        to_q = torch.linalg.vector_norm(p - q[_nearest(p, q)], dim=-1).mean()
        to_p = torch.linalg.vector_norm(q - p[_nearest(q, p)], dim=-1).mean()
        frames.append(to_q + to_p)
    return torch.stack(frames)


@torch.no_grad()
def _nearest(points: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """The index (N,) in others (M, 3) of the point nearest to each of points (N, 3)."""
    if points.is_cuda:
        chunks = points.split(max(1, _CHUNK_ELEMENTS // len(others)))
        return torch.cat([torch.cdist(c, others, compute_mode=_EXACT).argmin(1) for c in chunks])
    from scipy.spatial import KDTree

    return torch.from_numpy(KDTree(others.numpy()).query(points.numpy())[1])


def _finite_mean(distances: torch.Tensor) -> torch.Tensor:
    """Mean of what is finite; NaN when nothing is."""
    return distances[torch.isfinite(distances)].mean()
